/** What to ask the relay for after a connection, and what its answer says about deleted messages. */

import { MAX_AGE } from "./group_writer.js";
import { MAX_MESSAGES } from "./message_list.js";

/** @typedef {import("./event.js").NostrEvent} NostrEvent */

const HISTORY = 100;

/** Follows the connections of one chat. Times are Unix seconds. */
export class CatchUp {
  #isLoaded = false;
  /** Latest `created_at`. */
  #newest = 0;
  #lostAt = Infinity;
  #since = 0;
  #limit = HISTORY;
  /** @type {Set<string> | null} ids that the relay has, until it has sent all of them */
  #seen = null;
  #oldest = Infinity;

  /** Whether the history has arrived. */
  get isLoaded() {
    return this.#isLoaded;
  }

  /**
   * There is no connection.
   *
   * @param {number} at
   */
  lost(at) {
    this.#lostAt = Math.min(this.#lostAt, at);
  }

  /**
   * Begin to catch up.
   *
   * @returns {{limit: number, since?: number}} for the filter of messages
   */
  begin() {
    this.#seen = new Set();
    this.#oldest = Infinity;
    if (!this.#isLoaded) return { limit: this.#limit };
    this.#limit = MAX_MESSAGES;
    // Times are their authors'. What the relay accepted meanwhile may be as old as it allows.
    this.#since = this.#newest && Math.max(0, Math.min(this.#newest, this.#lostAt) - MAX_AGE);
    return { limit: this.#limit, since: this.#since };
  }

  /** @param {NostrEvent} event a message from the relay, or one of ours that it has accepted */
  note(event) {
    this.#newest = Math.max(this.#newest, event.created_at);
    if (!this.#seen) return;
    this.#seen.add(event.id);
    this.#oldest = Math.min(this.#oldest, event.created_at);
  }

  /**
   * The relay has sent all stored messages.
   *
   * @param {Iterable<NostrEvent>} events that it had accepted before
   * @returns {string[]} ids of those that it no longer has
   */
  finish(events) {
    const seen = this.#seen ?? new Set();
    const from = seen.size < this.#limit ? this.#since : this.#oldest + 1;
    const isFirst = !this.#isLoaded;
    this.#isLoaded = true;
    this.#lostAt = Infinity;
    this.#seen = null;
    if (isFirst) return [];
    return [...events].filter((event) => event.created_at >= from && !seen.has(event.id)).map((event) => event.id);
  }
}
