/** The page of a discovery service without a name in its address: asks for the three words. */

import { readTyped } from "../discovery/call_name.js";
import { h, iconUrl } from "./elements.js";

export class NameForm {
  /**
   * @param {string} problem a sentence to begin with; empty for none
   * @param {(path: string) => void} onPath the user wants this call
   */
  constructor(problem, onPath) {
    this._onPath = onPath;
    this._notices = h("div.notices", { role: "status" });
    this._words = /** @type {HTMLInputElement} */ (
      h("input", {
        type: "text",
        name: "words",
        required: true,
        maxlength: 600,
        placeholder: "brave-otter-lantern",
        autocomplete: "off",
        autocapitalize: "none",
        spellcheck: "false",
      })
    );
    const form = h(
      "form",
      { onsubmit: (/** @type {Event} */ event) => this._submit(event) },
      h("div.brand", {}, h("img", { src: iconUrl(), alt: "" }), "Teleglyph"),
      h("h1", {}, "Join a call"),
      this._notices,
      h("label.field", {}, h("span", {}, "The three words that the host told you"), this._words),
      h("button.button.primary", { type: "submit" }, "Continue"),
      h("p.hint", {}, "Everybody in a call is drawn in characters."),
    );
    this.element = h("div.lobby", {}, h("div.lobby-card.narrow", {}, form));
    if (problem) this._notice(problem);
  }

  /** @param {Event} event */
  _submit(event) {
    event.preventDefault();
    const { path, problem } = readTyped(this._words.value, location.origin);
    if (path) this._onPath(path);
    else {
      this._notice(problem);
      this._words.select();
    }
  }

  /** @param {string} text */
  _notice(text) {
    this._notices.replaceChildren(h("p.notice.error", {}, text));
  }
}
