/** The page before a call: name, camera preview, devices, a password if the server wants one. */

import { DeviceChoice } from "./device_choice.js";
import { h, icon, iconUrl } from "./elements.js";
import { Preview } from "./preview.js";

/**
 * @typedef {object} LobbyOptions
 * @property {string} room empty for the lobby
 * @property {boolean} isByName the call is one of a discovery service, which has no chat and needs a secure page
 * @property {import("../preferences.js").Preferences} preferences
 * @property {import("../own_media.js").OwnMedia} media
 * @property {import("../media/media_support.js").MediaSupport} support
 * @property {boolean} isViewOnly the link has an invitation to watch and listen only
 * @property {(name: string, password: string) => void} onJoin
 * @property {(wishes: {camera?: boolean, microphone?: boolean}) => void} onWish
 */

export class Lobby {
  /** @param {LobbyOptions} options */
  constructor(options) {
    this._options = options;
    const { media, support, preferences, room } = options;
    this._canSend = (support.camera || support.microphone) && !options.isViewOnly;
    this._preview = new Preview((columns, rows) => media.preview(columns, rows));
    this._empty = h("div.empty");
    this._notices = h("div.notices", { role: "status" });
    this._meter = h("div");
    this._camera = this._switch("camera", () => options.onWish({ camera: !media.hasCamera }));
    this._microphone = this._switch("microphone", () => options.onWish({ microphone: !media.hasMicrophone }));
    this._choice = new DeviceChoice(media.devices, ["camera", "microphone"], (kind, id) => {
      void media.choose(/** @type {"camera" | "microphone"} */ (kind), id);
    });
    this._name = input("text", { name: "name", maxlength: 32, autocomplete: "nickname", value: preferences.name });
    this._password = input("password", { name: "password", maxlength: 256, autocomplete: "current-password" });
    this._passwordField = h("label.field", { hidden: true }, h("span", {}, "Password of the call"), this._password);
    this._button = /** @type {HTMLButtonElement} */ (h("button.button.primary", { type: "submit" }, "Join"));
    const form = h(
      "form",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.submit();
        },
      },
      h("div.brand", {}, h("img", { src: iconUrl(), alt: "" }), "Teleglyph"),
      h("h1", {}, room ? h("span", {}, "Join ", h("bdi", {}, room)) : "Join the call"),
      this._notices,
      h("label.field", {}, h("span", {}, "Your name"), this._name),
      this._passwordField,
      this._button,
      this._canSend ? h("details.devices", {}, h("summary", {}, "Camera and microphone"), this._choice.element) : null,
      h("p.hint", {}, "Everybody in this call is drawn in characters."),
    );
    const switches = this._canSend
      ? h("div.switches", {}, support.microphone ? this._microphone : null, support.camera ? this._camera : null)
      : null;
    const meter = this._canSend ? h("div.meter", { "aria-hidden": "true" }, this._meter) : null;
    this.element = h(
      "div.lobby",
      {},
      h(
        "div.lobby-card",
        {},
        h("div", {}, h("div.preview", {}, this._preview.element, this._empty, switches), meter),
        form,
      ),
    );
    if (options.isViewOnly) this.notice("You were invited to watch and listen.");
    if (!support.secure && !options.isByName) this._explainInsecure();
    else if (!this._canSend && !options.isViewOnly)
      this.notice(
        `This browser has no camera or microphone for pages. You can watch and ${options.isByName ? "listen" : "chat"}.`,
      );
    this.refresh();
  }

  /** Show what is on now, and which devices there are. */
  refresh() {
    const { media } = this._options;
    showSwitch(this._camera, "camera", media.hasCamera);
    showSwitch(this._microphone, "microphone", media.hasMicrophone);
    this._empty.hidden = media.hasCamera;
    this._empty.replaceChildren(this._canSend ? "Your camera is off." : "You will watch.");
    void this._choice.refresh();
  }

  /** @param {number} rms of the microphone, 0 to 1 */
  showLevel(rms) {
    this._meter.style.transform = `scaleX(${Math.min(1, rms * 4).toFixed(3)})`;
  }

  /** @param {string} text that the user should know */
  notice(text, isError = false) {
    this.show(h(isError ? "p.notice.error" : "p.notice", {}, text));
  }

  /** @param {HTMLElement} notice */
  show(notice) {
    this._notices.append(notice);
  }

  /** @param {string} text why nobody can join with this browser */
  forbid(text) {
    this._button.disabled = true;
    this.notice(text, true);
  }

  /** @param {boolean} isWrong a password was tried */
  askForPassword(isWrong) {
    this._passwordField.hidden = false;
    this._password.required = true;
    this._password.value = "";
    this._password.focus();
    if (isWrong) this.notice("The password is wrong.", true);
  }

  /** Join with what was typed. */
  submit() {
    this._options.onJoin(this._name.value.trim(), this._password.value);
  }

  /** @param {boolean} isJoining */
  showJoining(isJoining) {
    this._button.disabled = isJoining;
    this._button.textContent = isJoining ? "Joining …" : "Join";
    if (isJoining) this._notices.querySelectorAll(".error").forEach((notice) => notice.remove());
  }

  dispose() {
    this._preview.dispose();
    this.element.remove();
  }

  _explainInsecure() {
    this._notices.append(
      h(
        "div.notice",
        {},
        h("strong", {}, "You can watch and chat."),
        "Browsers allow camera, microphone and sound only on secure pages, and this one came over http. The host can start the server with a certificate (--tls-cert), or put it behind a proxy with https.",
      ),
    );
  }

  /**
   * @param {string} name of the icon
   * @param {() => void} onclick
   */
  _switch(name, onclick) {
    return /** @type {HTMLButtonElement} */ (h("button.button.round", { type: "button", onclick }, icon(name)));
  }
}

/**
 * Show a button as on or off.
 *
 * @param {HTMLElement} button
 * @param {"camera" | "microphone"} name
 * @param {boolean} isOn
 */
export function showSwitch(button, name, isOn) {
  button.classList.toggle("off", !isOn);
  button.querySelector("use")?.setAttribute("href", `#icon-${name}${isOn ? "" : "-off"}`);
  const label = `Turn ${isOn ? "off" : "on"} the ${name}`;
  button.setAttribute("aria-label", label);
  button.title = label;
}

/**
 * @param {string} type
 * @param {Record<string, unknown>} properties
 */
function input(type, properties) {
  return /** @type {HTMLInputElement} */ (h("input", { type, ...properties }));
}
