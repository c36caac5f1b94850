/** Finds web addresses in text. */

/** @typedef {{text: string, href?: string}} Segment a part of a text; with an address if it is one */

const ADDRESS = /https?:\/\/[^\s<>"`\ufffd]+/giu;
const MAX_LINKS = 50;
const MAX_LENGTH = 2000;

/**
 * Split a text into addresses and what is between them. Only http and https count.
 *
 * @param {string} text
 * @returns {Segment[]}
 */
export function splitLinks(text) {
  /** @type {Segment[]} */
  const segments = [];
  let end = 0;
  let links = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const shown = match.length > MAX_LENGTH ? "" : withoutPunctuation(match);
    const href = addressOf(shown);
    if (!href) continue;
    if (links++ === MAX_LINKS) break;
    if (index > end) segments.push({ text: text.slice(end, index) });
    segments.push({ text: shown, href });
    end = index + shown.length;
  }
  if (end < text.length) segments.push({ text: text.slice(end) });
  return segments;
}

/** @param {string} address without what belongs to the sentence around it */
function withoutPunctuation(address) {
  let depth = 0;
  for (const character of address) depth += character === "(" ? 1 : character === ")" ? -1 : 0;
  let length = address.length;
  for (; length > 0; length--) {
    const last = address[length - 1];
    if (last === ")" && depth < 0) depth++;
    else if (!".,;:!?'*_]}…".includes(last)) break;
  }
  return address.slice(0, length);
}

/**
 * @param {string} text
 * @returns {string | undefined}
 */
function addressOf(text) {
  try {
    const url = new URL(text);
    // A name in front of the host only serves to make the address look like another one.
    return /^https?:$/.test(url.protocol) && !url.username && !url.password ? url.href : undefined;
  } catch {
    return undefined;
  }
}
