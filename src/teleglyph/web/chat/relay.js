/** The server's Nostr relay, as its clients see it. */

import { Connection } from "./connection.js";
import { isEvent, Kind } from "./event.js";
import { Outbox, RefusedError } from "./outbox.js";

/**
 * @typedef {import("./event.js").NostrEvent} NostrEvent
 * @typedef {Record<string, unknown>} Filter a filter of NIP-01
 */
/**
 * @typedef {object} SubscriptionHandler
 * @property {() => Filter[]} filters called for each connection
 * @property {(event: NostrEvent) => void} onEvent after a new connection, events may repeat
 * @property {() => void} [onStored] the stored events have arrived; live ones follow
 * @property {(error: RefusedError) => void} [onRefused] the relay does not serve this subscription
 */
/**
 * @typedef {object} Subscription
 * @property {() => void} refresh ask again, with new filters
 * @property {() => void} close
 */

const RESUBSCRIBE_MS = 5000;
/** A question with an empty answer. */
const PROBE = ["REQ", "probe", { ids: ["0".repeat(64)], limit: 1 }];

/**
 * Publishes and subscribes at one relay. It reconnects by itself, subscribes again, sends again what was not confirmed,
 * and authenticates (NIP-42) when the relay asks for it.
 *
 * Dispatches "state" when `state` has changed.
 */
export class Relay extends EventTarget {
  #keys;
  #connection;
  #outbox = new Outbox(
    (event) => this.#connection.send(["EVENT", event]),
    () => this.#connection.lose(),
  );
  /** @type {Map<string, SubscriptionHandler>} */
  #subscriptions = new Map();
  #count = 0;
  /** Of this connection; empty before the relay's challenge. */
  #challenge = "";
  /** Id of the authentication. */
  #proof = "";
  /** @type {"none" | "sent" | "accepted" | "refused"} */
  #authentication = "none";

  /**
   * @param {string} url such as wss://calls.example.org/events
   * @param {import("./key_store.js").KeyStore} keys
   * @param {{WebSocket?: typeof globalThis.WebSocket}} [options] another implementation, for tests
   */
  constructor(url, keys, { WebSocket = globalThis.WebSocket } = {}) {
    super();
    /** Address of the WebSocket. */
    this.url = url;
    this.#keys = keys;
    const handler = {
      onState: () => this.#stateChanged(),
      onMessage: (/** @type {string} */ text) => this.#receive(text),
      onSilence: () => {
        this.#connection.send(PROBE);
        this.#connection.send(["CLOSE", PROBE[1]]);
      },
    };
    this.#connection = new Connection(url, handler, WebSocket);
  }

  /** @returns {import("./connection.js").ConnectionState} */
  get state() {
    return this.#connection.state;
  }

  /** Connect, and stay connected until close(). */
  open() {
    this.#connection.open();
  }

  /** Disconnect. Events that the relay has not confirmed are rejected. */
  close() {
    this.#connection.close();
    this.#outbox.rejectAll(new RefusedError("The connection was closed before the server confirmed the message."));
  }

  /**
   * @param {SubscriptionHandler} handler
   * @returns {Subscription}
   */
  subscribe(handler) {
    const name = `s${++this.#count}`;
    this.#subscriptions.set(name, handler);
    this.#request(name);
    return {
      refresh: () => this.#request(name),
      close: () => {
        if (this.#subscriptions.delete(name)) this.#connection.send(["CLOSE", name]);
      },
    };
  }

  /**
   * Send an event, now or as soon as there is a connection.
   *
   * @param {NostrEvent} event
   * @returns {Promise<void>} resolved when the relay has stored it; rejected with a RefusedError
   */
  publish(event) {
    return this.#outbox.add(event);
  }

  #stateChanged() {
    if (this.state === "open") {
      this.#challenge = "";
      this.#authentication = "none";
      this.#resume();
    } else {
      this.#outbox.pause();
    }
    this.dispatchEvent(new Event("state"));
  }

  #resume() {
    for (const name of this.#subscriptions.keys()) this.#request(name);
    this.#outbox.resend();
  }

  /** @param {string} name of a subscription */
  #request(name) {
    const handler = this.#subscriptions.get(name);
    if (handler && this.state === "open") this.#connection.send(["REQ", name, ...handler.filters()]);
  }

  /** @param {string} text from the relay, which may be anything */
  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (!Array.isArray(message)) return;
    const [verb, name, ...rest] = message;
    if (typeof name !== "string") return;
    const handler = this.#subscriptions.get(name);
    if (verb === "EVENT" && handler && isEvent(rest[0])) handler.onEvent(rest[0]);
    else if (verb === "EOSE") handler?.onStored?.();
    else if (verb === "CLOSED" && handler) this.#closed(name, handler, asText(rest[0]));
    else if (verb === "OK" && name === this.#proof) this.#authenticated(rest[0] === true, asText(rest[1]));
    else if (verb === "OK") this.#answered(name, rest[0] === true, asText(rest[1]));
    else if (verb === "AUTH") this.#challenge = name;
  }

  /**
   * @param {string} name
   * @param {SubscriptionHandler} handler
   * @param {string} reason
   */
  #closed(name, handler, reason) {
    const error = RefusedError.fromReason(reason, "The server gave no reason.");
    if (error.prefix === "auth-required" && this.#authenticate()) return;
    if (error.prefix === "error" || error.prefix === "rate-limited") {
      setTimeout(() => this.#request(name), RESUBSCRIBE_MS);
    } else {
      handler.onRefused?.(error);
    }
  }

  /**
   * @param {string} id
   * @param {boolean} isAccepted
   * @param {string} reason
   */
  #answered(id, isAccepted, reason) {
    if (!isAccepted && reason.startsWith("auth-required:") && this.#authenticate()) return;
    this.#outbox.answer(id, isAccepted, reason);
  }

  /** @returns {boolean} whether the relay's answer to an authentication follows */
  #authenticate() {
    if (this.#authentication === "none" && this.#challenge) {
      const tags = [
        ["relay", this.url],
        ["challenge", this.#challenge],
      ];
      const draft = { kind: Kind.AUTHENTICATION, created_at: Math.floor(Date.now() / 1000), tags, content: "" };
      const event = this.#keys.sign(draft);
      this.#proof = event.id;
      this.#authentication = "sent";
      this.#connection.send(["AUTH", event]);
    }
    return this.#authentication === "sent";
  }

  /**
   * @param {boolean} isAccepted
   * @param {string} reason
   */
  #authenticated(isAccepted, reason) {
    this.#authentication = isAccepted ? "accepted" : "refused";
    if (isAccepted) {
      this.#resume();
      return;
    }
    const error = RefusedError.fromReason(reason, "The server does not accept our key.");
    this.#outbox.rejectAll(error);
    for (const handler of this.#subscriptions.values()) handler.onRefused?.(error);
  }
}

/** @param {unknown} value */
function asText(value) {
  return typeof value === "string" ? value : "";
}
