/** Events on their way to the relay. */

/** @typedef {import("./event.js").NostrEvent} NostrEvent */

/**
 * @typedef {object} Waiting
 * @property {NostrEvent} event
 * @property {() => void} resolve
 * @property {(error: RefusedError) => void} reject
 * @property {number} attempts that the relay did not answer
 * @property {number} retries after a rate limit
 * @property {ReturnType<typeof setTimeout>} [timer] until the answer is overdue, or until the next retry
 */

/** Events that may wait. */
export const MAX_WAITING = 50;
const ANSWER_MS = 10_000;
const MAX_ATTEMPTS = 3;
/** Before each retry of an event over the relay's rate limit. */
const RETRY_MS = [1000, 2000, 4000, 8000];

/** The event was not accepted. The message is a sentence for people. */
export class RefusedError extends Error {
  /**
   * @param {string} message
   * @param {string} [prefix] the relay's reason for programs (NIP-01), such as "restricted"; empty if there is none
   */
  constructor(message, prefix = "") {
    super(message);
    this.prefix = prefix;
  }

  /**
   * @param {string} reason from the relay: a prefix, a colon and a text for people
   * @param {string} otherwise for a relay without a reason
   * @returns {RefusedError}
   */
  static fromReason(reason, otherwise) {
    const [, prefix = "", text = reason] = /^([a-z-]{2,20}): *(.*\S)/s.exec(reason) ?? [];
    const sentence = text.trim().slice(0, 300) || otherwise;
    return new RefusedError(sentence[0].toUpperCase() + sentence.slice(1).replace(/\.?$/, "."), prefix);
  }
}

/**
 * Sends events until the relay answers each, also over several connections. It changes nothing that a relay receives an
 * event twice.
 */
export class Outbox {
  /** @type {Map<string, Waiting>} by id, the oldest first */
  #waiting = new Map();
  #transmit;
  #onSilence;

  /**
   * @param {(event: NostrEvent) => boolean} transmit false if there is no connection
   * @param {() => void} onSilence the relay does not answer, so the connection may be dead
   */
  constructor(transmit, onSilence) {
    this.#transmit = transmit;
    this.#onSilence = onSilence;
  }

  /**
   * @param {NostrEvent} event
   * @returns {Promise<void>} settled by the relay's answer; rejected with a RefusedError
   */
  add(event) {
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(new RefusedError(`${MAX_WAITING} messages are already waiting for the server.`));
    }
    return new Promise((resolve, reject) => {
      const waiting = { event, resolve, reject, attempts: 0, retries: 0 };
      this.#waiting.set(event.id, waiting);
      this.#send(waiting);
    });
  }

  /** Send everything that waits: there is a new connection, or the relay has just authenticated us. */
  resend() {
    for (const waiting of [...this.#waiting.values()]) this.#send(waiting);
  }

  /** Wait for the next connection. */
  pause() {
    for (const waiting of this.#waiting.values()) clearTimeout(waiting.timer);
  }

  /**
   * The relay's answer.
   *
   * @param {string} id
   * @param {boolean} isAccepted
   * @param {string} reason
   */
  answer(id, isAccepted, reason) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    const error = RefusedError.fromReason(reason, "The server gave no reason.");
    if (!isAccepted && error.prefix === "rate-limited" && waiting.retries < RETRY_MS.length) {
      clearTimeout(waiting.timer);
      waiting.attempts = 0;
      waiting.timer = setTimeout(() => this.#send(waiting), RETRY_MS[waiting.retries++]);
      return;
    }
    this.#settle(waiting, isAccepted ? null : error);
  }

  /** @param {RefusedError} error for everything that waits */
  rejectAll(error) {
    for (const waiting of [...this.#waiting.values()]) this.#settle(waiting, error);
  }

  /** @param {Waiting} waiting */
  #send(waiting) {
    clearTimeout(waiting.timer);
    if (waiting.attempts === MAX_ATTEMPTS) {
      this.#settle(waiting, new RefusedError("The server did not answer."));
    } else if (this.#transmit(waiting.event)) {
      waiting.attempts++;
      waiting.timer = setTimeout(this.#onSilence, ANSWER_MS);
    }
  }

  /**
   * @param {Waiting} waiting
   * @param {RefusedError | null} error
   */
  #settle(waiting, error) {
    clearTimeout(waiting.timer);
    this.#waiting.delete(waiting.event.id);
    if (error) waiting.reject(error);
    else waiting.resolve();
  }
}
