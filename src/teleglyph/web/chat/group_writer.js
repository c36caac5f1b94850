/** Writes to a group (NIP-29). */

import { Kind } from "./event.js";
import { RefusedError } from "./outbox.js";

/** The relay accepts messages in groups that are at most this old, in seconds. */
export const MAX_AGE = 3600;
/** How far the times of our events may run ahead to keep them in order, in seconds. */
const MAX_AHEAD = 60;
/** What the relay accepts: characters, and bytes minus the rest of the event. */
const MAX_CHARACTERS = 64 << 10;
const MAX_BYTES = 126 << 10;

/** Signs and publishes our events. It joins the group when the relay refuses an event of somebody who is not a member. */
export class GroupWriter {
  #relay;
  #keys;
  #group;
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

  /**
   * @param {string} content
   * @returns {import("./event.js").NostrEvent} a signed message
   * @throws {RefusedError} the content is too long
   */
  message(content) {
    const [characters, bytes] = [[...content].length, new TextEncoder().encode(JSON.stringify(content)).length];
    if (characters > MAX_CHARACTERS || bytes > MAX_BYTES) {
      throw new RefusedError(
        `The message is too long, with ${characters} characters in ${bytes} bytes. ` +
          `At most ${MAX_CHARACTERS} in ${MAX_BYTES} can be sent.`,
      );
    }
    return this.#sign(Kind.MESSAGE, content);
  }

  /**
   * @param {import("./event.js").NostrEvent} event
   * @returns {Promise<void>} rejected with a RefusedError
   */
  async publish(event) {
    try {
      await this.#relay.publish(event);
    } catch (error) {
      if (!(error instanceof RefusedError) || error.prefix !== "restricted") throw error;
      await this.join().catch((refusal) => {
        // If the relay forbids us to join, then its reason says more.
        throw refusal.prefix === "restricted" ? refusal : error;
      });
      await this.#relay.publish(event);
    }
  }

  /** @returns {Promise<void>} rejected with a RefusedError */
  join() {
    return this.#relay.publish(this.#sign(Kind.JOIN_REQUEST, ""));
  }

  /**
   * @param {number} kind
   * @param {string} content
   */
  #sign(kind, content) {
    // Each second once: this keeps the order of our messages, and two of the same text apart.
    const now = Math.floor(Date.now() / 1000);
    this.#lastTime = Math.max(now, Math.min(this.#lastTime + 1, now + MAX_AHEAD));
    return this.#keys.sign({ kind, created_at: this.#lastTime, tags: [["h", this.#group]], content });
  }
}
