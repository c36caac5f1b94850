/** The profiles (kind 0) of the people in a chat, and our own. */

import { Kind } from "./event.js";
import { Names } from "./names.js";
import { cleanName } from "./text.js";

const MAX_AUTHORS = 500;
const REFRESH_MS = 250;
/** Clocks differ, but a profile from the future would win over every later one. */
const MAX_AHEAD_SECONDS = 150;

/** Learns the names of authors, and publishes our own. */
export class Profiles {
  #relay;
  #keys;
  #onChange;
  #names = new Names();
  /** @type {Set<string>} the oldest first, except for ourselves */
  #authors = new Set();
  /** @type {Record<string, unknown>} the members of our profile */
  #own = {};
  #ownAt = 0;
  #isKnown = false;
  /** @type {import("./relay.js").Subscription | undefined} */
  #subscription;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import("./relay.js").Relay} relay
   * @param {import("./key_store.js").KeyStore} keys
   * @param {() => void} onChange a name has changed
   */
  constructor(relay, keys, onChange) {
    this.#relay = relay;
    this.#keys = keys;
    this.#onChange = onChange;
  }

  open() {
    this.#subscription = this.#relay.subscribe({
      filters: () => [{ kinds: [Kind.PROFILE], authors: [this.#keys.publicKey, ...this.#authors] }],
      onEvent: (event) => this.#receive(event),
      onStored: () => {
        if (this.#isKnown) return;
        this.#isKnown = true;
        this.publishName().catch(() => {}); // Our messages are just as good without a name.
      },
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#subscription?.close();
  }

  /**
   * @param {string} key
   * @returns {string}
   */
  nameOf(key) {
    return this.#names.nameOf(key);
  }

  /** @param {string} author whose name will be needed */
  add(author) {
    if (author === this.#keys.publicKey || this.#authors.has(author)) return;
    this.#authors.add(author);
    for (const first of this.#authors) {
      if (this.#authors.size < MAX_AUTHORS) break;
      this.#authors.delete(first);
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#subscription?.refresh();
    }, REFRESH_MS);
  }

  /**
   * Publish the name of the key store, unless the relay has it. Members of the profile from other programs stay.
   *
   * @returns {Promise<void>} rejected with a RefusedError
   */
  async publishName() {
    const name = cleanName(this.#keys.name);
    if (!this.#isKnown) return; // It is published when our profile is known.
    if (!name || this.#own.name === name) return;
    // Later than the last version: of two within the same second, a relay keeps either.
    const created_at = Math.max(Math.floor(Date.now() / 1000), this.#ownAt + 1);
    const content = JSON.stringify({ ...this.#own, name });
    const event = this.#keys.sign({ kind: Kind.PROFILE, created_at, tags: [], content });
    this.#receive(event);
    await this.#relay.publish(event);
  }

  /** @param {import("./event.js").NostrEvent} event */
  #receive(event) {
    if (event.kind !== Kind.PROFILE || event.created_at > Date.now() / 1000 + MAX_AHEAD_SECONDS) return;
    const profile = parseProfile(event.content);
    if (event.pubkey === this.#keys.publicKey && event.created_at >= this.#ownAt) {
      this.#own = profile;
      this.#ownAt = event.created_at;
    }
    const name = typeof profile.name === "string" ? profile.name : "";
    if (this.#names.learn(event.pubkey, name, event.created_at)) this.#onChange();
  }
}

/**
 * @param {string} content
 * @returns {Record<string, unknown>} empty if it is not a JSON object
 */
function parseProfile(content) {
  try {
    const members = JSON.parse(content);
    return typeof members === "object" && !Array.isArray(members) ? (members ?? {}) : {};
  } catch {
    return {};
  }
}
