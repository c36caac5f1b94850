/** The messages of a chat, in order. */

import { firstValue } from "./event.js";

/** @typedef {import("./event.js").NostrEvent} NostrEvent */
/**
 * @typedef {object} ChatMessage
 * @property {string} id
 * @property {string} author public key
 * @property {string} text as received
 * @property {number} at Unix seconds, according to the author, but never in the future
 * @property {string} replyTo id of the message that it answers; empty if there is none
 * @property {boolean} isOwn
 * @property {"sending" | "sent" | "failed"} state
 * @property {string} reason why it failed: a sentence
 * @property {NostrEvent} event
 */

/** Messages that are kept. */
export const MAX_MESSAGES = 500;

/** At most 500 messages, each once, the oldest first. Beyond that the oldest are dropped. */
export class MessageList {
  /** @type {ChatMessage[]} */
  #messages = [];
  /** @type {Map<string, ChatMessage>} */
  #byId = new Map();

  /** @returns {readonly ChatMessage[]} */
  get all() {
    return this.#messages;
  }

  /**
   * @param {string} id
   * @returns {ChatMessage | undefined}
   */
  get(id) {
    return this.#byId.get(id);
  }

  /**
   * @param {NostrEvent} event a message with a new id
   * @param {{state: ChatMessage["state"], isOwn: boolean, now: number}} facts the time in Unix seconds
   * @returns {ChatMessage}
   */
  add(event, { state, isOwn, now }) {
    const message = {
      id: event.id,
      author: event.pubkey,
      text: event.content,
      at: Math.min(event.created_at, now),
      replyTo: firstValue(event, "q") ?? "",
      isOwn,
      state,
      reason: "",
      event,
    };
    let place = this.#messages.length;
    while (place > 0 && isBefore(message, this.#messages[place - 1])) place--;
    this.#messages.splice(place, 0, message);
    this.#byId.set(message.id, message);
    if (this.#messages.length > MAX_MESSAGES) this.remove(this.#messages[0].id);
    return message;
  }

  /** @param {string} id */
  remove(id) {
    if (this.#byId.delete(id)) this.#messages = this.#messages.filter((message) => message.id !== id);
  }

  /**
   * Remove what a deletion names.
   *
   * @param {NostrEvent} event
   * @param {string} [author] whose messages it may delete; without one, anybody's
   */
  removeNamedIn(event, author) {
    for (const [name, id] of event.tags) {
      if (name === "e" && (!author || this.#byId.get(id)?.author === author)) this.remove(id);
    }
  }
}

/**
 * @param {ChatMessage} one
 * @param {ChatMessage} other
 */
function isBefore(one, other) {
  // Times from the future are all cut to the present. Then those times still decide.
  const difference = one.at - other.at || one.event.created_at - other.event.created_at;
  return difference < 0 || (difference === 0 && one.id < other.id);
}
