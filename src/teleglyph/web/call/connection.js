/** One connection of a call: the handshake, packets in both directions, and signs of life. */

import { PageHandshake } from "./handshake.js";
import { pageHello } from "./messages.js";
import { PacketError, Type, decodePackets, encodePacket } from "./packet.js";

const TICK_MS = 2000;
const PING_AFTER_MS = 4000;
const LOST_AFTER_MS = 12_000;
const JUMP_MS = 15_000;
/** After a sleep the server may be gone, or may have given up on this page; waiting for 12 s would be too long. */
const AFTER_SLEEP_MS = 3000;

/** @typedef {import("./handshake.js").Ending} Ending */

/**
 * @typedef {object} Handlers
 * @property {(welcome: NonNullable<PageHandshake["welcome"]>) => void} onWelcome
 * @property {(type: number, payload: Uint8Array) => void} onPacket
 * @property {(ending: Ending) => void} onEnd called once, unless the page left by itself
 */

export class CallConnection {
  /**
   * @param {import("./transport.js").Connect} connect
   * @param {Parameters<typeof pageHello>[0]} hello
   * @param {Handlers} handlers
   */
  constructor(connect, hello, handlers) {
    this._handlers = handlers;
    this._handshake = new PageHandshake();
    this._hasEnded = false;
    this._startedAt = this._heardAt = this._tickedAt = performance.now();
    this._limitMs = LOST_AFTER_MS;
    const packet = encodePacket(Type.PAGE_HELLO, pageHello(hello));
    this._transport = connect(packet, {
      onOpen: () => this._transport.send(packet),
      onMessage: (message) => this._receive(message),
      onClose: (isTemporary, ending) => this._closed(isTemporary, ending),
    });
    this._timer = setInterval(() => this._tick(), TICK_MS);
  }

  /** Bytes that wait in the browser because the network is slow. */
  get waitingBytes() {
    return this._transport.waitingBytes;
  }

  /**
   * Send a packet; it is dropped if the handshake is not over.
   *
   * @param {number} type
   * @param {Uint8Array} [payload]
   */
  send(type, payload = new Uint8Array()) {
    if (this._handshake.welcome !== null) this._transport.send(encodePacket(type, payload));
  }

  /** Leave the call; onEnd is not called any more. */
  leave() {
    this.send(Type.CLIENT_LEAVE);
    this._end();
    this._transport.close();
  }

  /** Check soon whether the server is still there, for example when the network has changed. */
  check() {
    this._limitMs = AFTER_SLEEP_MS;
    this._heardAt = performance.now();
    this.send(Type.PING);
  }

  /** @param {unknown} message */
  _receive(message) {
    this._heardAt = performance.now();
    this._limitMs = LOST_AFTER_MS;
    try {
      if (!(message instanceof ArrayBuffer)) throw new PacketError("The server sent a text.");
      for (const { type, payload } of decodePackets(message)) this._dispatch(type, payload);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      console.warn(error.message);
      this._transport.close(true);
      this._closed(false);
    }
  }

  /**
   * @param {number} type
   * @param {Uint8Array} payload
   */
  _dispatch(type, payload) {
    if (this._hasEnded) return;
    const wasIn = this._handshake.welcome !== null;
    if (type === Type.PING) this.send(Type.PONG);
    else if (this._handshake.receive(type, payload)) {
      if (!wasIn && this._handshake.welcome) this._handlers.onWelcome(this._handshake.welcome);
    } else if (wasIn) this._handlers.onPacket(type, payload);
  }

  _tick() {
    const now = performance.now();
    const hasSlept = now - this._tickedAt > JUMP_MS && document.visibilityState === "visible";
    this._tickedAt = now;
    if (this._handshake.welcome === null) {
      if (now - this._startedAt > this._transport.limitMs) this._giveUp();
    } else if (hasSlept) this.check();
    else if (now - this._heardAt > this._limitMs && document.visibilityState === "visible") this._giveUp();
    else if (now - this._heardAt > PING_AFTER_MS) this.send(Type.PING);
  }

  _giveUp() {
    this._transport.close();
    this._closed(false);
  }

  /**
   * @param {boolean} isTemporary
   * @param {Ending} [ending]
   */
  _closed(isTemporary, ending) {
    if (this._hasEnded) return;
    this._end();
    this._handlers.onEnd(ending ?? this._handshake.ending(isTemporary));
  }

  _end() {
    this._hasEnded = true;
    clearInterval(this._timer);
  }
}
