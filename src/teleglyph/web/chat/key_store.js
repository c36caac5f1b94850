/** The visitor's key and name, which this browser stores for this server. */

import { signEvent } from "./event.js";
import { fromHex, isHex32, toHex } from "./hex.js";
import { isSecretKey, publicKey } from "./schnorr.js";
import { availableStorage, recall, remember } from "../storage.js";

const KEY = "teleglyph.chat.key";
const NAME = "teleglyph.chat.name";

/**
 * A key of this page's own, created on first use. It signs and nothing else: nobody sees it, and no address contains it.
 * If the browser refuses to store it, it lasts until the page closes.
 */
export class KeyStore {
  /** @type {Uint8Array} */
  #secret;
  /** @type {Storage | null} */
  #storage;
  #name;

  /** @param {Storage | null} [storage] null for memory only */
  constructor(storage = availableStorage()) {
    this.#storage = storage;
    const stored = recall(KEY, storage);
    const secret = isHex32(stored) ? fromHex(stored) : new Uint8Array();
    this.#secret = isSecretKey(secret) ? secret : newSecretKey();
    /** Our public key, 64 hexadecimal digits. */
    this.publicKey = toHex(publicKey(this.#secret));
    remember(KEY, toHex(this.#secret), storage);
    this.#name = recall(NAME, storage) ?? "";
  }

  /** The visitor's name, as typed; empty if none was chosen. */
  get name() {
    return this.#name;
  }

  set name(name) {
    this.#name = name;
    remember(NAME, name, this.#storage);
  }

  /**
   * @param {import("./event.js").Draft} draft
   * @returns {import("./event.js").NostrEvent}
   */
  sign(draft) {
    return signEvent(this.#secret, this.publicKey, draft);
  }
}

function newSecretKey() {
  for (;;) {
    const secret = crypto.getRandomValues(new Uint8Array(32));
    if (isSecretKey(secret)) return secret;
  }
}
