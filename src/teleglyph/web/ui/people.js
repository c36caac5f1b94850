/** The list of participants: who is here, who speaks, and a click that shows one alone. */

import { RosterFlag } from "../call/messages.js";
import { h, icon } from "./elements.js";

/** @typedef {import("../call/messages.js").RosterEntry} RosterEntry */

export class People {
  /** @param {(place: number) => void} onPlace the user chose to see this place alone */
  constructor(onPlace) {
    this._onPlace = onPlace;
    this._list = h("ul.people");
    this.element = h("div.body", {}, this._list);
    this._shown = "";
    this._spotlight = 0;
    /** @type {RosterEntry[]} */
    this._roster = [];
  }

  /** @param {RosterEntry[]} roster */
  showRoster(roster) {
    this._roster = roster;
    this._draw();
  }

  /** @param {number} place that is shown alone; 0 for all */
  showSpotlight(place) {
    this._spotlight = place;
    this._draw();
  }

  _draw() {
    const shown = JSON.stringify([
      this._spotlight,
      this._roster.map((one) => [one.number, one.flags & ~RosterFlag.SPEAKING, one.place, one.name]),
    ]);
    if (shown !== this._shown) {
      this._shown = shown;
      const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.number;
      this._list.replaceChildren(...this._roster.map((one) => this._item(one)));
      if (focused) /** @type {HTMLElement | null} */ (this._list.querySelector(`[data-number="${focused}"]`))?.focus();
    }
    this._roster.forEach((one, index) => {
      const isSpeaking = (one.flags & RosterFlag.SPEAKING) !== 0;
      this._list.children[index]?.firstElementChild?.classList.toggle("speaking", isSpeaking);
    });
  }

  /** @param {RosterEntry} one */
  _item(one) {
    const { flags } = one;
    const parts = [h("span.dot", {}), h("span.name", {}, h("bdi", {}, one.name))];
    if (flags & RosterFlag.SELF) parts.push(h("span.you", {}, "you"));
    if (flags & RosterFlag.VIEW_ONLY) parts.push(h("span.you", {}, "watching"));
    const hasPicture = (flags & RosterFlag.PICTURE) !== 0;
    // A label would hide the visible text, which people say to programs that listen.
    const symbols = [
      icon(hasPicture ? "camera" : "camera-off"),
      h("span.unseen", {}, `camera ${hasPicture ? "on" : "off"}`),
    ];
    if (!one.place) return h("li", {}, h("div.person", { "data-number": one.number }, ...parts, ...symbols));
    const isAlone = this._spotlight === one.place;
    const button = h(
      "button.person",
      {
        type: "button",
        "data-number": one.number,
        "aria-pressed": isAlone,
        title: isAlone ? "Show everybody" : "Show alone",
        onclick: () => this._onPlace(isAlone ? 0 : one.place),
      },
      ...parts,
      ...symbols,
    );
    return h("li", {}, button);
  }
}

/**
 * What has changed between two rosters, as sentences for people who cannot see the picture.
 *
 * @param {RosterEntry[]} before
 * @param {RosterEntry[]} after
 * @returns {string[]}
 */
export function changes(before, after) {
  if (!before.length) return [];
  const is = (/** @type {RosterEntry | undefined} */ one, /** @type {number} */ flag) =>
    ((one?.flags ?? 0) & flag) !== 0;
  const sentences = [];
  const others = after.filter((one) => !is(one, RosterFlag.SELF));
  for (const one of others) {
    const old = before.find((other) => other.number === one.number);
    if (old === undefined) sentences.push(`${one.name} joined.`);
    else if (old.name !== one.name) sentences.push(`${old.name} is now called ${one.name}.`);
    if (old !== undefined && is(one, RosterFlag.PICTURE) !== is(old, RosterFlag.PICTURE))
      sentences.push(`${one.name} turned the camera ${is(one, RosterFlag.PICTURE) ? "on" : "off"}.`);
  }
  for (const old of before)
    if (!after.some((one) => one.number === old.number) && !is(old, RosterFlag.SELF))
      sentences.push(`${old.name} left.`);
  const speaking = (/** @type {RosterEntry[]} */ roster) =>
    roster.filter((one) => is(one, RosterFlag.SPEAKING) && !is(one, RosterFlag.SELF)).map((one) => one.name);
  const [now, then] = [speaking(after), speaking(before)];
  const begun = now.filter((name) => !then.includes(name));
  if (begun.length) sentences.push(`${begun.join(" and ")} speaks.`);
  return sentences;
}
