/** The choices that the page remembers in this browser. */

import { recall, remember } from "./storage.js";

const KEY = "teleglyph.preferences";

export const RENDER_MODES = Object.freeze([
  [2, "Half blocks"],
  [3, "Quadrants"],
  [4, "Sextants"],
  [5, "Braille"],
  [6, "Shapes"],
  [1, "Letters on colour"],
  [0, "Letters"],
]);
export const COLOR_LEVELS = Object.freeze([
  [3, "All colours"],
  [2, "256 colours"],
  [1, "16 colours"],
  [0, "No colours"],
]);
export const MIN_CELL = 6;
export const MAX_CELL = 32;

/**
 * @typedef {object} Preferences
 * @property {string} name
 * @property {number} cell height of a character in CSS pixels
 * @property {number} renderMode
 * @property {number} colorLevel
 * @property {boolean} mirrorsSelf
 * @property {boolean} hidesSelf
 * @property {boolean} camera turn it on when joining
 * @property {boolean} microphone
 * @property {boolean} pushToTalk
 * @property {number} volume 0 to 1
 */

/** @type {Preferences} */
const DEFAULTS = {
  name: "",
  cell: 14,
  renderMode: 2,
  colorLevel: 3,
  mirrorsSelf: true,
  hidesSelf: false,
  camera: true,
  microphone: true,
  pushToTalk: false,
  volume: 1,
};

/** @returns {Preferences} */
export function loadPreferences() {
  let stored = {};
  try {
    stored = JSON.parse(recall(KEY) ?? "{}") ?? {};
  } catch {
    // Not ours.
  }
  return validated(stored);
}

/** @param {Preferences} preferences */
export function savePreferences(preferences) {
  remember(KEY, JSON.stringify(preferences));
}

/**
 * Preferences with defaults for whatever is missing or of the wrong type.
 *
 * @param {Record<string, unknown>} stored
 * @returns {Preferences}
 */
export function validated(stored) {
  /** @type {Record<string, unknown>} */
  const result = { ...DEFAULTS };
  for (const [name, value] of Object.entries(DEFAULTS))
    if (typeof stored[name] === typeof value) result[name] = stored[name];
  const preferences = /** @type {Preferences} */ (/** @type {unknown} */ (result));
  preferences.cell = Math.min(MAX_CELL, Math.max(MIN_CELL, Math.round(preferences.cell) || DEFAULTS.cell));
  preferences.volume = Math.min(1, Math.max(0, preferences.volume));
  if (!RENDER_MODES.some(([mode]) => mode === preferences.renderMode)) preferences.renderMode = DEFAULTS.renderMode;
  if (!COLOR_LEVELS.some(([level]) => level === preferences.colorLevel)) preferences.colorLevel = DEFAULTS.colorLevel;
  preferences.name = preferences.name.slice(0, 32);
  return preferences;
}
