/** What the page says about the host of a call that was joined by its name. */

import { h } from "./elements.js";

const WAYS = Object.freeze({
  direct: "Directly: no other computer passes your pictures and sound on.",
  relayed: "Through a relay (TURN), which cannot see or hear anything.",
});
export const NO_CHAT = "A call that you join by its name has no chat yet.";

export class HostPanel {
  /** @param {string} name three words */
  constructor(name) {
    this._way = h("dd", {}, "Connecting …");
    this._key = h("dd", {}, "");
    this.element = h(
      "fieldset.host",
      {},
      h("legend", {}, "Connection"),
      h(
        "dl",
        {},
        ...[h("dt", {}, "Call"), h("dd", {}, name), h("dt", {}, "Way to the host"), this._way],
        ...[h("dt", {}, "Key of the host"), this._key],
      ),
      h("p.hint", {}, "The host's server prints the same key. This browser remembers it, and warns you if it changes."),
      h("p.hint", {}, NO_CHAT),
    );
  }

  /** @param {import("../discovery/data_channel.js").Way} way */
  showWay(way) {
    this._way.textContent = WAYS[way];
  }

  /** @param {string} fingerprint */
  showKey(fingerprint) {
    this._key.replaceChildren(h("code", {}, fingerprint));
  }
}

/**
 * The warning before the call is joined.
 *
 * @param {import("../discovery/host_trust.js").HostChange} change
 * @param {() => void} onTrust the user wants to join all the same
 * @returns {HTMLElement}
 */
export function hostWarning({ name, expected, actual, isPinned }, onTrust) {
  const keys = h(
    "dl",
    {},
    ...[h("dt", {}, isPinned ? "In the link" : "Before"), h("dd", {}, h("code", {}, expected))],
    ...[h("dt", {}, "Now"), h("dd", {}, h("code", {}, actual))],
  );
  if (isPinned)
    return warning(
      "This is not the host that the link asks for.",
      "Somebody may pose as the host, so the page did not join. Ask the host for a new link, or open this one without the part after #.",
      keys,
    );
  return warning(
    `The host of ${name} has another key than the last time.`,
    "Either the host has a new computer or a new key, or somebody poses as the host. Nothing was sent to it. Ask the host which key their server prints before you go on.",
    keys,
    h("button.button", { type: "button", onclick: onTrust }, "Trust the new key and join"),
  );
}

/**
 * @param {string} title
 * @param {string} text
 * @param {...HTMLElement} more
 */
function warning(title, text, ...more) {
  return h("div.notice.error.host", {}, h("strong", {}, title), h("p", {}, text), ...more);
}
