/** Names of calls: three words, which the host reads out. */

const NAME = /^[a-z]{2,12}(-[a-z]{2,12}){2}$/;

/**
 * @param {string} text
 * @returns {boolean} whether it has the form of a name; only the service knows whether there is such a call
 */
export function isCallName(text) {
  return NAME.test(text);
}

/**
 * @typedef {object} Typed
 * @property {string} path of the call's page, with what was behind a #; empty if the text is no name
 * @property {string} problem a sentence; empty for none
 */

/**
 * What somebody typed or pasted: words in any letters with any separators, or a link of this service.
 *
 * @param {string} text
 * @param {string} origin of this page
 * @returns {Typed}
 */
export function readTyped(text, origin) {
  let [words, rest] = [text.trim(), ""];
  if (/^https?:\/\//i.test(words)) {
    const url = parsed(words);
    if (url !== null && url.origin !== origin)
      return { path: "", problem: `This link belongs to another service, ${url.host}. Open it in the browser itself.` };
    const [first, room] = (url?.pathname ?? "/").slice(1).split("/");
    words = first;
    rest = (room ? `/${room}` : "") + (url?.hash ?? "");
  }
  const name = words
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter(Boolean)
    .join("-");
  // Digits or other letters would vanish silently, and the result would be another name.
  if (isCallName(name) && !/[\p{L}\p{N}]/u.test(words.replace(/[a-z]/gi, "")))
    return { path: `/${name}${rest}`, problem: "" };
  return { path: "", problem: noName(text) };
}

/**
 * @param {string} text
 * @returns {string} a sentence
 */
export function noName(text) {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return `“${shown}” is not the name of a call. A name has three words, such as brave-otter-lantern.`;
}

/**
 * @param {string} text
 * @returns {URL | null}
 */
function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
