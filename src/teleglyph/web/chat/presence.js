/** Announces to other people in a chat that we are there (NIP-53). */

import { Kind } from "./event.js";
import { isHex32 } from "./hex.js";

const INTERVAL_MS = 60_000;
/** How long an announcement is valid, and how long the last one is. */
const SECONDS = 150;
const FAREWELL_SECONDS = 2;
const LIVE_ACTIVITY = 30311;
const INFORMATION = "application/nostr+json";

/** Announces each minute that we are here, while there is a connection. */
export class Presence {
  #relay;
  #keys;
  #group;
  /** @type {string[][]} the tag of the call, if the server announces it */
  #activity = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #lastTime = 0;

  /**
   * @param {import("./relay.js").Relay} relay
   * @param {import("./key_store.js").KeyStore} keys
   * @param {string} groupId
   */
  constructor(relay, keys, groupId) {
    this.#relay = relay;
    this.#keys = keys;
    this.#group = groupId;
  }

  /** Announce our presence now and each minute. */
  open() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), INTERVAL_MS);
    this.#announce(SECONDS);
  }

  /** End our presence now instead of letting it expire. */
  close() {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#announce(FAREWELL_SECONDS);
  }

  /** Learn which call our announcements belong to. */
  async findCall() {
    const key = await relayKey(this.#relay.url);
    if (key) this.#activity = [["a", `${LIVE_ACTIVITY}:${key}:${this.#group}`, this.#relay.url, "root"]];
  }

  /** @param {number} seconds */
  #announce(seconds) {
    if (this.#relay.state !== "open") return; // It would be outdated when there is a connection.
    // Of two versions within the same second, a relay keeps either.
    const created_at = (this.#lastTime = Math.max(Math.floor(Date.now() / 1000), this.#lastTime + 1));
    const tags = [["h", this.#group], ...this.#activity, ["expiration", `${created_at + seconds}`]];
    const event = this.#keys.sign({ kind: Kind.PRESENCE, created_at, tags, content: "" });
    this.#relay.publish(event).catch(() => {}); // The next one may succeed, and nobody waits for it.
  }
}

/**
 * The relay's own key, from its information document (NIP-11).
 *
 * @param {string} url of the relay
 * @returns {Promise<string>} empty if it is not there
 */
async function relayKey(url) {
  try {
    const answer = await fetch(url.replace(/^ws/, "http"), { headers: { Accept: INFORMATION } });
    const key = (await answer.json()).self;
    return isHex32(key) ? key : "";
  } catch {
    return "";
  }
}
