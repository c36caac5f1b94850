/** A connection to the server's Nostr relay that repairs itself. */

import { isEvent, Kind } from "./event.js";
import { Outbox, RefusedError } from "./outbox.js";

/**
 * @typedef {import("./event.js").NostrEvent} NostrEvent
 * @typedef {Record<string, unknown>} Filter a filter of NIP-01
 * @typedef {"connecting" | "open" | "waiting" | "closed"} RelayState "waiting" is the pause before the next attempt
 */
/**
 * @typedef {object} SubscriptionHandler
 * @property {() => Filter[]} filters called for each connection
 * @property {(event: NostrEvent) => void} onEvent after a new connection, events may repeat
 * @property {() => void} [onStored] the stored events have arrived; live ones follow
 * @property {(error: RefusedError) => void} [onRefused] the relay serves this subscription no longer
 */
/**
 * @typedef {object} Subscription
 * @property {() => void} refresh ask again, with new filters
 * @property {() => void} close
 */

const MIN_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;
const OPEN_MS = 10_000;
/** A connection that lasts this long was a success. */
const STABLE_MS = 10_000;
/** Silence after which a question checks the connection. A browser does not notice by itself that a network is gone. */
const SILENCE_MS = 45_000;
const ANSWER_MS = 10_000;
const RESUBSCRIBE_MS = 5000;
const MAX_MESSAGE = 1 << 20;
const PROBE = ["REQ", "probe", { ids: ["0".repeat(64)], limit: 1 }];

/**
 * Publishes and subscribes. It reconnects after a pause that grows from 1 s to 30 s, subscribes again, sends again what
 * was not confirmed, and authenticates (NIP-42) when the relay asks for it.
 *
 * Dispatches "state" when `state` has changed.
 */
export class Relay extends EventTarget {
  #url;
  #keys;
  #WebSocket;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {RelayState} */
  #state = "closed";
  #pause = MIN_PAUSE_MS;
  #openedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} until the next step for the connection is due */
  #timer;
  #outbox = new Outbox(
    (event) => this.#send(["EVENT", event]),
    () => this.#lose(),
  );
  /** @type {Map<string, SubscriptionHandler>} */
  #subscriptions = new Map();
  #count = 0;
  /** Of this connection; empty before the relay's challenge. */
  #challenge = "";
  /** Id of the authentication, and whether the relay accepted it. */
  #proof = { id: "", isAccepted: false };
  #connectNow = () => this.#state === "waiting" && this.#connect();

  /**
   * @param {string} url such as wss://calls.example.org/events
   * @param {import("./key_store.js").KeyStore} keys
   * @param {{WebSocket?: typeof globalThis.WebSocket}} [options] another implementation, for tests
   */
  constructor(url, keys, { WebSocket = globalThis.WebSocket } = {}) {
    super();
    this.#url = url;
    this.#keys = keys;
    this.#WebSocket = WebSocket;
  }

  get state() {
    return this.#state;
  }

  /** Connect, and stay connected until close(). */
  open() {
    if (this.#state !== "closed") return;
    globalThis.addEventListener?.("online", this.#connectNow);
    this.#connect();
  }

  /** Disconnect. Events that the relay has not confirmed are rejected. */
  close() {
    globalThis.removeEventListener?.("online", this.#connectNow);
    this.#drop();
    this.#setState("closed");
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
        if (this.#subscriptions.delete(name)) this.#send(["CLOSE", name]);
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

  // --- the connection ---

  #connect() {
    this.#drop();
    this.#setState("connecting");
    const socket = (this.#socket = new this.#WebSocket(this.#url));
    this.#timer = setTimeout(() => this.#lose(), OPEN_MS);
    // What an abandoned socket still reports is ignored.
    socket.onopen = () => socket === this.#socket && this.#opened();
    socket.onclose = () => socket === this.#socket && this.#lose();
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(data);
  }

  #opened() {
    this.#openedAt = Date.now();
    this.#challenge = "";
    this.#proof = { id: "", isAccepted: false };
    this.#setState("open");
    this.#expectMessage();
    for (const name of this.#subscriptions.keys()) this.#request(name);
    this.#outbox.resend();
  }

  /** Check the connection after some silence. */
  #expectMessage() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#send(PROBE);
      this.#send(["CLOSE", PROBE[1]]);
      this.#timer = setTimeout(() => this.#lose(), ANSWER_MS);
    }, SILENCE_MS);
  }

  /** The connection is lost, or as good as lost: connect again after a pause. */
  #lose() {
    if (this.#state === "open" && Date.now() - this.#openedAt >= STABLE_MS) this.#pause = MIN_PAUSE_MS;
    this.#drop();
    this.#outbox.pause();
    this.#timer = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, MAX_PAUSE_MS);
    this.#setState("waiting");
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {RelayState} state */
  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.dispatchEvent(new Event("state"));
  }

  /**
   * @param {unknown[]} message
   * @returns {boolean} whether there is a connection
   */
  #send(message) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** @param {string} name of a subscription */
  #request(name) {
    const handler = this.#subscriptions.get(name);
    if (handler && this.#state === "open") this.#send(["REQ", name, ...handler.filters()]);
  }

  // --- messages from the relay ---

  /** @param {unknown} data */
  #receive(data) {
    this.#expectMessage();
    if (typeof data !== "string" || data.length > MAX_MESSAGE) return;
    let message;
    try {
      message = JSON.parse(data);
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
      setTimeout(() => this.#subscriptions.has(name) && this.#request(name), RESUBSCRIBE_MS);
      return;
    }
    handler.onRefused?.(error);
  }

  /**
   * @param {string} id
   * @param {boolean} isAccepted
   * @param {string} reason
   */
  #answered(id, isAccepted, reason) {
    if (id !== this.#proof.id) {
      if (!isAccepted && reason.startsWith("auth-required:") && this.#authenticate()) return;
      this.#outbox.answer(id, isAccepted, reason);
      return;
    }
    this.#proof.isAccepted = isAccepted;
    if (isAccepted) {
      for (const name of this.#subscriptions.keys()) this.#request(name);
      this.#outbox.resend();
    } else {
      const error = RefusedError.fromReason(reason, "The server does not accept our key.");
      this.#outbox.rejectAll(error);
      for (const handler of this.#subscriptions.values()) handler.onRefused?.(error);
    }
  }

  /** @returns {boolean} whether the answer to an authentication follows */
  #authenticate() {
    if (!this.#challenge || this.#proof.isAccepted) return false;
    if (!this.#proof.id) {
      const tags = [
        ["relay", this.#url],
        ["challenge", this.#challenge],
      ];
      const draft = { kind: Kind.AUTHENTICATION, created_at: Math.floor(Date.now() / 1000), tags, content: "" };
      const event = this.#keys.sign(draft);
      this.#proof.id = event.id;
      this.#send(["AUTH", event]);
    }
    return true;
  }
}

/** @param {unknown} value */
function asText(value) {
  return typeof value === "string" ? value : "";
}
