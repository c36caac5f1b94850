/** Which host a name belongs to: the fingerprint of its key, remembered in this browser at the first call. */

import { recall, remember } from "../storage.js";

const KEY = "teleglyph.host.";
/** In OpenSSH's form: "ssh-ed25519" and the key, each after its length. */
const SSH_PREFIX = [0, 0, 0, 11, ...new TextEncoder().encode("ssh-ed25519"), 0, 0, 0, 32];

/**
 * @typedef {object} HostChange the host that answered is not the expected one
 * @property {string} name
 * @property {string} expected fingerprint
 * @property {string} actual fingerprint
 * @property {boolean} isPinned the link says which host to expect
 */

/** The host is not the expected one. */
export class HostChangedError extends Error {
  /** @param {HostChange} change */
  constructor(change) {
    super("The host has another key than expected.");
    this.change = change;
  }
}

/**
 * @param {Uint8Array} key Ed25519
 * @returns {Promise<string>} its fingerprint, as ssh-keygen and the host's server print it
 */
export async function fingerprint(key) {
  const digest = await crypto.subtle.digest("SHA-256", Uint8Array.of(...SSH_PREFIX, ...key));
  return `SHA256:${btoa(String.fromCharCode(...new Uint8Array(digest))).replace(/=+$/, "")}`;
}

/**
 * Check a host before anything secret is sent to it.
 *
 * @param {string} name three words
 * @param {string} actual its fingerprint
 * @param {string} pin the fingerprint in the link, which then counts alone; empty for none
 * @throws {HostChangedError}
 */
export function checkHost(name, actual, pin) {
  const expected = pin || recall(KEY + name) || actual;
  if (expected !== actual) throw new HostChangedError({ name, expected, actual, isPinned: pin !== "" });
}

/**
 * Expect this host from now on. Pages of other services have a memory of their own.
 *
 * @param {string} name three words
 * @param {string} actual its fingerprint
 */
export function trustHost(name, actual) {
  remember(KEY + name, actual);
}
