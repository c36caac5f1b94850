/** The panel with settings: picture, sound, devices and keys. */

import { COLOR_LEVELS, MAX_CELL, MIN_CELL, RENDER_MODES } from "../preferences.js";
import { h } from "./elements.js";

const KEYS = [
  ["M", "Microphone on or off"],
  ["V", "Camera on or off"],
  ["Space", "Hold to talk, with push to talk"],
  ["1 … 9", "Show one person alone"],
  ["0 or Esc", "Show everybody"],
  ["+ −", "Size of the characters"],
  ["C, P, S", "Chat, people, settings"],
];

/** @typedef {import("../preferences.js").Preferences} Preferences */

/**
 * @param {Preferences} preferences
 * @param {(changed: Partial<Preferences>) => void} onChange
 * @param {HTMLElement | null} devices elements to choose devices; null if the page only watches
 * @param {HTMLElement | null} host about the host; null if it is the page's own server
 * @returns {HTMLElement}
 */
export function settingsPanel(preferences, onChange, devices, host) {
  const picture = fieldset(
    "Picture",
    range("Size of the characters", preferences.cell, MIN_CELL, MAX_CELL, (cell) => onChange({ cell })),
    choice("Drawn with", RENDER_MODES, preferences.renderMode, (renderMode) => onChange({ renderMode })),
    choice("Colours", COLOR_LEVELS, preferences.colorLevel, (colorLevel) => onChange({ colorLevel })),
    check("Mirror my own picture", preferences.mirrorsSelf, (mirrorsSelf) => onChange({ mirrorsSelf })),
    check("Hide my own picture", preferences.hidesSelf, (hidesSelf) => onChange({ hidesSelf })),
  );
  const sound = fieldset(
    "Sound",
    range("Volume", Math.round(preferences.volume * 100), 0, 100, (value) => onChange({ volume: value / 100 })),
    devices && check("Push to talk: hold Space", preferences.pushToTalk, (pushToTalk) => onChange({ pushToTalk })),
    devices,
  );
  const keys = KEYS.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)]);
  const you = fieldset(
    "You",
    name(preferences.name, (text) => onChange({ name: text })),
  );
  return h(
    "div.body",
    {},
    h("div.settings", {}, picture, sound, you, host, fieldset("Keys", h("dl.keys", {}, ...keys))),
  );
}

/**
 * @param {string} title
 * @param {...(HTMLElement | null)} children
 */
function fieldset(title, ...children) {
  return h("fieldset", {}, h("legend", {}, title), ...children);
}

/**
 * @param {string} label
 * @param {number} value
 * @param {number} min
 * @param {number} max
 * @param {(value: number) => void} onChange
 */
function range(label, value, min, max, onChange) {
  const input = h("input", {
    type: "range",
    min,
    max,
    value,
    oninput: (/** @type {Event} */ event) => onChange(Number(/** @type {HTMLInputElement} */ (event.target).value)),
  });
  return h("label.field", {}, h("span", {}, label), input);
}

/**
 * @param {string} label
 * @param {readonly (readonly (string | number)[])[]} options value and text
 * @param {number} value
 * @param {(value: number) => void} onChange
 */
function choice(label, options, value, onChange) {
  const entries = options.map(([option, text]) =>
    h("option", { value: option, selected: option === value }, String(text)),
  );
  const select = h(
    "select",
    { onchange: (/** @type {Event} */ e) => onChange(Number(/** @type {HTMLSelectElement} */ (e.target).value)) },
    ...entries,
  );
  return h("label.field", {}, h("span", {}, label), select);
}

/**
 * @param {string} label
 * @param {boolean} value
 * @param {(value: boolean) => void} onChange
 */
function check(label, value, onChange) {
  const input = h("input", {
    type: "checkbox",
    checked: value,
    onchange: (/** @type {Event} */ event) => onChange(/** @type {HTMLInputElement} */ (event.target).checked),
  });
  return h("label.check", {}, input, label);
}

/**
 * @param {string} value
 * @param {(value: string) => void} onChange
 */
function name(value, onChange) {
  const input = h("input", {
    type: "text",
    maxlength: 32,
    autocomplete: "nickname",
    value,
    onchange: (/** @type {Event} */ event) => onChange(/** @type {HTMLInputElement} */ (event.target).value.trim()),
  });
  return h("label.field", {}, h("span", {}, "Your name"), input);
}
