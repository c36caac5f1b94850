/** Makes text from other people safe to show. The rules are those of the terminal's client. */

const REPLACEMENT = "\ufffd";
const NAME_CHARACTERS = 24;
/** Combining marks on one letter; no script needs more. */
const MAX_MARKS = 8;
/**
 * Format characters that scripts and emoji need. The controls that reorder all text after them are missing. U+E0020 to
 * U+E007F spell the flags of regions.
 */
const KEPT_FORMATS =
  "\u200b-\u200f\u2060\u180e\u061c\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}\u{e0020}-\u{e007f}";
const UNSAFE = new RegExp(`[\\p{Cc}\\p{Cs}\\p{Co}\\p{Zl}\\p{Zp}]|(?![${KEPT_FORMATS}])\\p{Cf}`, "gu");
const MARKS = new RegExp(`(\\p{M}{${MAX_MARKS}})\\p{M}+`, "gu");
/** With these a name could imitate a name with a key. */
const RESERVED = /[:()<>[\]*#\u02d0\ua789\u2236\u05c3\uff08\uff09\u115f\u1160\u2800\u3164\uffa0\u034f]/gu;
const INVISIBLE = /[\p{Cf}\p{Mn}\p{Me}\p{Zs}]/gu;

/**
 * Replace control characters, and controls that reorder text, by U+FFFD. Line feeds stay.
 *
 * @param {string} text
 * @returns {string}
 */
export function cleanText(text) {
  return text
    .replace(/\r\n?|[\u2028\u2029\u0085\v\f]/g, "\n")
    .replace(/\t/g, " ")
    .replace(UNSAFE, (character) => (character === "\n" ? character : REPLACEMENT))
    .replace(MARKS, "$1");
}

/**
 * A name without characters that could mislead, in one line of at most 24 characters; empty if nothing is left.
 *
 * @param {string} name
 * @returns {string}
 */
export function cleanName(name) {
  const kept = cleanText(name.slice(0, 8 * NAME_CHARACTERS))
    .replace(RESERVED, " ")
    .split(/\s+/u)
    .join(" ")
    .trim();
  const short = [...kept].slice(0, NAME_CHARACTERS).join("").trim();
  const visible = skeleton(short);
  return visible && !visible.startsWith("npub1") ? short : "";
}

/**
 * The same text for names that look the same.
 *
 * @param {string} name
 * @returns {string}
 */
export function skeleton(name) {
  return name.normalize("NFKD").toLowerCase().replace(INVISIBLE, "");
}

/**
 * The beginning of a text, without half of a surrogate pair at its end.
 *
 * @param {string} text
 * @param {number} length UTF-16 units, at most
 * @returns {string}
 */
export function beginning(text, length) {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}
