/** One WebSocket of a call: the handshake, packets in both directions, and signs of life. */

import { pageHello, readAuthFailed, readError, readWelcome } from "./messages.js";
import { PacketError, Type, decodePackets, encodePacket } from "./packet.js";

const TICK_MS = 2000;
const PING_AFTER_MS = 4000;
const LOST_AFTER_MS = 12_000;
const CONNECT_MS = 10_000;
const JUMP_MS = 15_000;
/** After a sleep the server may be gone, or may have given up on this page; waiting for 12 s would be too long. */
const AFTER_SLEEP_MS = 3000;
const TRY_AGAIN_LATER = 1013;
const GOING_AWAY = 1001;

/**
 * @typedef {object} Ending why a connection ended
 * @property {"refused" | "lost"} kind refused: the server does not want this page as it is; lost: try again
 * @property {number} reasons bits of AuthFailure, if the password or invitation was refused
 * @property {number} code of the server's error; 0 for none
 * @property {string} text a sentence of the server; empty for none
 */

/**
 * @typedef {object} Handlers
 * @property {(welcome: ReturnType<typeof readWelcome>) => void} onWelcome
 * @property {(type: number, payload: Uint8Array) => void} onPacket
 * @property {(ending: Ending) => void} onEnd called once, unless the page left by itself
 */

export class CallConnection {
  /**
   * @param {string} url
   * @param {Parameters<typeof pageHello>[0]} hello
   * @param {Handlers} handlers
   */
  constructor(url, hello, handlers) {
    this._handlers = handlers;
    this._isOpen = false;
    this._hasEnded = false;
    this._reasons = 0;
    this._code = 0;
    this._text = "";
    this._startedAt = this._heardAt = this._tickedAt = performance.now();
    this._limitMs = LOST_AFTER_MS;
    this._socket = new WebSocket(url, "teleglyph.page");
    this._socket.binaryType = "arraybuffer";
    this._socket.onopen = () => this._socket.send(new Uint8Array(encodePacket(Type.PAGE_HELLO, pageHello(hello))));
    this._socket.onmessage = (event) => this._receive(event.data);
    this._socket.onclose = (event) => this._closed(event.code);
    this._timer = setInterval(() => this._tick(), TICK_MS);
  }

  /** Bytes that wait in the browser because the network is slow. */
  get waitingBytes() {
    return this._socket.bufferedAmount;
  }

  /**
   * Send a packet; it is dropped if the handshake is not over.
   *
   * @param {number} type
   * @param {Uint8Array} [payload]
   */
  send(type, payload = new Uint8Array()) {
    if (this._isOpen && this._socket.readyState === WebSocket.OPEN)
      this._socket.send(new Uint8Array(encodePacket(type, payload)));
  }

  /** Leave the call; onEnd is not called any more. */
  leave() {
    this.send(Type.CLIENT_LEAVE);
    this._end();
    this._socket.close(1000);
  }

  /** Check soon whether the server is still there, for example when the network has changed. */
  check() {
    this._limitMs = AFTER_SLEEP_MS;
    this._heardAt = performance.now();
    this.send(Type.PING);
  }

  /** @param {unknown} data */
  _receive(data) {
    this._heardAt = performance.now();
    this._limitMs = LOST_AFTER_MS;
    try {
      if (!(data instanceof ArrayBuffer)) throw new PacketError("The server sent a text.");
      for (const { type, payload } of decodePackets(data)) this._dispatch(type, payload);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      console.warn(error.message);
      this._socket.close(3002);
      this._closed(3002);
    }
  }

  /**
   * @param {number} type
   * @param {Uint8Array} payload
   */
  _dispatch(type, payload) {
    if (this._hasEnded) return;
    if (type === Type.PING) this.send(Type.PONG);
    else if (type === Type.AUTH_FAILED) this._reasons |= readAuthFailed(payload) || 0x80;
    else if (type === Type.ERROR_MESSAGE) ({ code: this._code, text: this._text } = readError(payload));
    else if (type === Type.PAGE_WELCOME && !this._isOpen) {
      this._isOpen = true;
      this._handlers.onWelcome(readWelcome(payload));
    } else if (this._isOpen) this._handlers.onPacket(type, payload);
  }

  _tick() {
    const now = performance.now();
    const hasSlept = now - this._tickedAt > JUMP_MS && document.visibilityState === "visible";
    this._tickedAt = now;
    if (!this._isOpen) {
      if (now - this._startedAt > CONNECT_MS) this._giveUp();
    } else if (hasSlept) this.check();
    else if (now - this._heardAt > this._limitMs && document.visibilityState === "visible") this._giveUp();
    else if (now - this._heardAt > PING_AFTER_MS) this.send(Type.PING);
  }

  _giveUp() {
    this._socket.close();
    this._closed(0);
  }

  /** @param {number} code of the close frame */
  _closed(code) {
    if (this._hasEnded) return;
    this._end();
    const isTemporary = code === TRY_AGAIN_LATER || code === GOING_AWAY;
    const isRefused = this._reasons !== 0 || (this._code !== 0 && !isTemporary);
    this._handlers.onEnd({
      kind: isRefused ? "refused" : "lost",
      reasons: this._reasons,
      code: this._code,
      text: this._text,
    });
  }

  _end() {
    this._hasEnded = true;
    clearInterval(this._timer);
  }
}
