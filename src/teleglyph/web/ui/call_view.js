/** The page during a call: the stage, the bar with controls, and the panel beside it. */

import { DeviceChoice } from "./device_choice.js";
import { h, icon, isTyping } from "./elements.js";
import { showSwitch } from "./lobby.js";
import { People } from "./people.js";
import { settingsPanel } from "./settings.js";
import { Stage } from "./stage.js";

/** @typedef {"chat" | "people" | "settings"} PanelName */
const TITLES = Object.freeze({ chat: "Chat", people: "People", settings: "Settings" });

/**
 * @typedef {object} CallViewOptions
 * @property {string} room
 * @property {HTMLElement | null} host for the settings: about the host; null if it is the page's own server
 * @property {string} noChat why there can be no chat; empty if there can
 * @property {import("../preferences.js").Preferences} preferences
 * @property {import("../own_media.js").OwnMedia} media
 * @property {{camera: boolean, microphone: boolean, sound: boolean}} can what this guest may and can do
 * @property {boolean} canChooseSpeaker
 * @property {(columns: number, rows: number) => void} onSize
 * @property {(number: number, flags: number) => void} onAcknowledge
 * @property {(place: number) => void} onPlace
 * @property {(wishes: {camera?: boolean, microphone?: boolean}) => void} onWish
 * @property {(changed: Partial<import("../preferences.js").Preferences>) => void} onPreferences
 * @property {(kind: import("../media/devices.js").DeviceKind, id: string) => void} onDevice
 * @property {() => void} onLeave
 */

export class CallView {
  /** @param {CallViewOptions} options */
  constructor(options) {
    this._options = options;
    /** @type {PanelName | null} */
    this._open = null;
    /** @type {HTMLElement | null} */
    this._chat = null;
    this.stage = new Stage({
      onSize: options.onSize,
      onAcknowledge: options.onAcknowledge,
      onPlace: (place) => this._choose(place),
    });
    this.people = new People((place) => this._choose(place));
    this._spotlight = 0;
    this._status = h("div.status", { role: "status", hidden: true });
    this._corner = h("div.corner", {}, options.room);
    this.stage.element.append(this._corner, this._status);
    this._microphone = this._round("microphone", "", () =>
      options.onWish({ microphone: !options.media.hasMicrophone }),
    );
    this._camera = this._round("camera", "", () => options.onWish({ camera: !options.media.hasCamera }));
    this._count = h("span.count", { hidden: true });
    /** @type {Record<PanelName, HTMLElement>} */
    this._openers = {
      people: this._round("people", "People (P)", () => this.toggle("people")),
      chat: this._round("chat", "Chat (C)", () => this.toggle("chat")),
      settings: this._round("settings", "Settings (S)", () => this.toggle("settings")),
    };
    this._openers.chat.append(this._count);
    this._openers.chat.hidden = true;
    for (const opener of Object.values(this._openers)) opener.setAttribute("aria-expanded", "false");
    const leave = this._round("leave", "Leave the call", options.onLeave);
    leave.classList.add("leave");
    const { can } = options;
    this._bar = h(
      "div.bar",
      { role: "toolbar", "aria-label": "Call" },
      can.microphone ? this._microphone : null,
      can.camera ? this._camera : null,
      h("span.gap"),
      this._openers.people,
      this._openers.chat,
      this._openers.settings,
      h("span.gap"),
      leave,
    );
    const close = this._round("close", "Close", () => this.show(null));
    this._title = h("h2");
    this._body = h("div.body");
    this._side = h("aside.side", { hidden: true }, h("header", {}, this._title, close), this._body);
    this.element = h("div.call", {}, this.stage.element, this._bar, this._side);
    this._onKey = (/** @type {KeyboardEvent} */ event) => this._key(event);
    addEventListener("keydown", this._onKey);
    addEventListener("keyup", this._onKey);
    this._onBlur = () => options.media.setTalking(false);
    addEventListener("blur", this._onBlur);
    this.stage.setCell(options.preferences.cell);
    this.refresh();
  }

  /** Show what is on now. */
  refresh() {
    const { media } = this._options;
    showSwitch(this._microphone, "microphone", media.hasMicrophone);
    showSwitch(this._camera, "camera", media.hasCamera);
    this._microphone.title += " (M)";
    this._camera.title += " (V)";
    void this._devices?.refresh();
  }

  /** @param {string} way to the host, in one word */
  showWay(way) {
    // A narrow window cuts the end off.
    this._corner.textContent = `${way} · ${this._options.room}`;
  }

  /** @param {HTMLElement} panel of the room's chat */
  setChat(panel) {
    this._chat = panel;
    panel.hidden = this._open !== "chat";
    this._openers.chat.hidden = false;
    if (this._open === "chat") this._fill("chat", false);
  }

  /** @param {number} count of messages that the user has not seen */
  showUnread(count) {
    this._count.hidden = count === 0;
    this._count.textContent = count > 99 ? "99+" : String(count);
    this._openers.chat.setAttribute("aria-label", count ? `Chat (C), ${count} new messages` : "Chat (C)");
  }

  /** @param {number} place that is shown alone; 0 for all */
  showSpotlight(place) {
    this._spotlight = place;
    this.people.showSpotlight(place);
  }

  /**
   * Show a sentence over the picture; without one, nothing.
   *
   * @param {string} text
   * @param {(() => void) | null} [action] on a click
   */
  status(text, action = null) {
    this._status.hidden = !text;
    this._status.textContent = text;
    this._status.classList.toggle("action", action !== null);
    this._status.onclick = action;
  }

  /** @param {PanelName} name */
  toggle(name) {
    this.show(this._open === name ? null : name);
  }

  /**
   * @param {PanelName | null} name of the panel beside the picture
   * @param {boolean} [takesFocus] false if nobody asked for the panel, so that keys stay commands
   */
  show(name, takesFocus = true) {
    if (name === "chat" && this._chat === null) {
      const { noChat } = this._options;
      if (noChat) this.status(noChat, () => this.status(""));
      return;
    }
    const before = this._open;
    this._open = name;
    // What arrives while the chat is hidden counts as unread.
    if (this._chat) this._chat.hidden = name !== "chat";
    for (const [key, opener] of Object.entries(this._openers))
      opener.setAttribute("aria-expanded", String(key === name));
    this._side.hidden = name === null;
    this.element.classList.toggle("with-side", name !== null);
    if (name !== null) this._fill(name, takesFocus);
    else if (before !== null) this._openers[before].focus();
  }

  dispose() {
    removeEventListener("keydown", this._onKey);
    removeEventListener("keyup", this._onKey);
    removeEventListener("blur", this._onBlur);
    this.stage.dispose();
    this.element.remove();
  }

  /**
   * @param {PanelName} name
   * @param {boolean} takesFocus
   */
  _fill(name, takesFocus) {
    this._title.textContent = TITLES[name];
    let body;
    if (name === "people") body = this.people.element;
    else if (name === "chat") body = h("div.body.chat", {}, /** @type {HTMLElement} */ (this._chat));
    else body = this._settings();
    this._body.replaceWith(body);
    this._body = body;
    if (!takesFocus || !matchMedia("(min-width: 761px)").matches) return;
    /** @type {HTMLElement | null} */ (
      body.querySelector(":is(textarea, select, input, button):not([hidden])")
    )?.focus();
  }

  _settings() {
    const { preferences, media, can, canChooseSpeaker, onDevice } = this._options;
    /** @type {import("../media/devices.js").DeviceKind[]} */
    const kinds = [];
    if (can.microphone) kinds.push("microphone");
    if (can.camera) kinds.push("camera");
    if (can.sound && canChooseSpeaker) kinds.push("speaker");
    this._devices = kinds.length ? new DeviceChoice(media.devices, kinds, onDevice) : undefined;
    return settingsPanel(preferences, this._options.onPreferences, this._devices?.element ?? null, this._options.host);
  }

  /** @param {number} place */
  _choose(place) {
    this._options.onPlace(place === this._spotlight ? 0 : place);
  }

  /**
   * @param {string} name of the icon
   * @param {string} label
   * @param {() => void} onclick
   */
  _round(name, label, onclick) {
    return h("button.button.round", { type: "button", "aria-label": label, title: label, onclick }, icon(name));
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const { media, preferences, onWish, onPreferences } = this._options;
    if (event.key === "Escape" && event.type === "keydown") {
      if (this._open !== null && this._side.contains(document.activeElement)) this.show(null);
      else if (this._spotlight) this._choose(0);
      return;
    }
    if (isTyping(event)) return;
    if (event.key === " " && preferences.pushToTalk && !(event.target instanceof HTMLButtonElement)) {
      media.setTalking(event.type === "keydown");
      event.preventDefault();
      return;
    }
    if (event.type !== "keydown" || event.repeat) return;
    const { can } = this._options;
    const key = event.key.toLowerCase();
    if (key === "m" && can.microphone) onWish({ microphone: !media.hasMicrophone });
    else if (key === "v" && can.camera) onWish({ camera: !media.hasCamera });
    else if (key === "c") this.toggle("chat");
    else if (key === "p") this.toggle("people");
    else if (key === "s") this.toggle("settings");
    else if (key === "+" || key === "=") onPreferences({ cell: preferences.cell + 1 });
    else if (key === "-") onPreferences({ cell: preferences.cell - 1 });
    else if (/^[0-9]$/.test(key)) this._options.onPlace(Number(key));
    else return;
    event.preventDefault();
  }
}
