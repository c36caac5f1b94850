/** Nostr events (NIP-01): their canonical form, id and signature. */

import { isHex32, toHex } from "./hex.js";
import { sha256 } from "./sha256.js";
import { sign } from "./schnorr.js";

/**
 * @typedef {object} Draft what an author decides
 * @property {number} kind
 * @property {number} created_at Unix seconds
 * @property {string[][]} tags
 * @property {string} content
 */
/**
 * @typedef {Draft & {id: string, pubkey: string, sig: string}} NostrEvent an event as it travels; id and pubkey have 64
 *   lower-case hexadecimal digits, sig has 128
 */

/** Kinds of events. */
export const Kind = Object.freeze({
  PROFILE: 0,
  DELETION: 5,
  MESSAGE: 9,
  DELETE_EVENT: 9005,
  JOIN_REQUEST: 9021,
  PRESENCE: 10312,
  AUTHENTICATION: 22242,
});

/**
 * The text whose hash is the id. Control characters have the escapes of JSON, nothing else has.
 *
 * @param {string} pubkey
 * @param {Draft} draft
 * @returns {string}
 */
export function serialize(pubkey, { created_at, kind, tags, content }) {
  // JSON.stringify escapes half of a surrogate pair, which has no UTF-8. A relay could only refuse it.
  for (const text of [content, ...tags.flat()]) {
    if (/\p{Surrogate}/u.test(text)) throw new TypeError("The text contains half of a surrogate pair.");
  }
  return JSON.stringify([0, pubkey, created_at, kind, tags, content]);
}

/**
 * @param {Uint8Array} secret 32 bytes
 * @param {string} pubkey its public key, 64 hexadecimal digits
 * @param {Draft} draft
 * @returns {NostrEvent}
 */
export function signEvent(secret, pubkey, draft) {
  const hash = sha256(new TextEncoder().encode(serialize(pubkey, draft)));
  return { ...draft, id: toHex(hash), pubkey, sig: toHex(sign(secret, hash)) };
}

/**
 * Whether a value from outside has the form of an event. Its id and signature are not checked; see schnorr.js.
 *
 * @param {any} value
 * @returns {value is NostrEvent}
 */
export function isEvent(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    isHex32(value.id) &&
    isHex32(value.pubkey) &&
    Number.isSafeInteger(value.created_at) &&
    value.created_at >= 0 &&
    Number.isSafeInteger(value.kind) &&
    typeof value.content === "string" &&
    Array.isArray(value.tags) &&
    value.tags.every((/** @type {unknown} */ tag) => Array.isArray(tag) && tag.every((one) => typeof one === "string"))
  );
}

/**
 * The first value of the first tag of a name.
 *
 * @param {NostrEvent} event
 * @param {string} name
 * @returns {string | undefined}
 */
export function firstValue(event, name) {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}
