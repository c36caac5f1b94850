/** The names of people. */

import { cleanName, skeleton } from "./text.js";

const MAX_NAMES = 1000;
/** Bits of a key as five-bit letters (NIP-19). */
const LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** Names by public key (64 hexadecimal digits). */
export class Names {
  /** @type {Map<string, {name: string, at: number}>} the oldest first */
  #names = new Map();
  /** @type {Map<string, Set<string>>} the owners of names that look the same */
  #owners = new Map();

  /**
   * @param {string} key
   * @param {string} name as received
   * @param {number} at when it was chosen, in Unix seconds
   * @returns {boolean} whether it is new
   */
  learn(key, name, at) {
    const clean = cleanName(name);
    const old = this.#names.get(key);
    if (old && (at < old.at || clean === old.name)) return false;
    this.#forget(key);
    this.#names.set(key, { name: clean, at });
    const look = skeleton(clean);
    this.#owners.set(look, (this.#owners.get(look) ?? new Set()).add(key));
    for (const first of this.#names.keys()) {
      if (this.#names.size <= MAX_NAMES) break;
      this.#forget(first);
    }
    return true;
  }

  /**
   * @param {string} key
   * @returns {string} the name as chosen; empty if none was
   */
  chosenName(key) {
    return this.#names.get(key)?.name ?? "";
  }

  /**
   * @param {string} key
   * @returns {string} the name, with a part of the key if another name looks the same; or else the key's beginning
   */
  nameOf(key) {
    const name = this.chosenName(key);
    if (!name) return `npub1${letters(key).slice(0, 7)}`;
    return (this.#owners.get(skeleton(name))?.size ?? 0) > 1 ? `${name} (${letters(key)})` : name;
  }

  /** @param {string} key */
  #forget(key) {
    const look = skeleton(this.chosenName(key));
    const owners = this.#owners.get(look);
    owners?.delete(key);
    if (owners?.size === 0) this.#owners.delete(look);
    this.#names.delete(key);
  }
}

/**
 * The first eight letters of a key's npub, after "npub1".
 *
 * @param {string} key
 */
function letters(key) {
  const bits = BigInt("0x" + key.slice(0, 10));
  return Array.from({ length: 8 }, (_, place) => LETTERS[Number((bits >> BigInt(35 - 5 * place)) & 31n)]).join("");
}
