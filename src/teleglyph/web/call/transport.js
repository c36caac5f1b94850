/** What carries the packets of a call: a WebSocket of the server here, or a data channel in `discovery/`. */

const TRY_AGAIN_LATER = 1013;
const GOING_AWAY = 1001;
const PROTOCOL_ERROR = 3002;
const CONNECT_MS = 10_000;

/**
 * @typedef {object} TransportHandlers
 * @property {() => void} onOpen packets can be sent
 * @property {(message: unknown) => void} onMessage an ArrayBuffer of whole packets; anything else breaks the protocol
 * @property {(isTemporary: boolean, ending?: import("./handshake.js").Ending) => void} onClose called at most once, and
 *   not after `close`. isTemporary: the server will take connections later. ending: why, if the transport knows better
 *   than the packets
 *
 * @typedef {object} Transport
 * @property {number} limitMs from the beginning to PAGE_WELCOME
 * @property {number} waitingBytes that wait in the browser because the network is slow
 * @property {(packet: Uint8Array<ArrayBuffer>) => void} send dropped if the transport is not open
 * @property {(isProtocolError?: boolean) => void} close
 *
 * @typedef {(hello: Uint8Array<ArrayBuffer>, handlers: TransportHandlers) => Transport} Connect opens a transport;
 *   hello is the packet PAGE_HELLO, which is sent by the caller once the transport is open
 */

/**
 * @param {string} url
 * @returns {Connect}
 */
export function overWebSocket(url) {
  return (_hello, handlers) => new WebSocketTransport(url, handlers);
}

/** @implements {Transport} */
class WebSocketTransport {
  /**
   * @param {string} url
   * @param {TransportHandlers} handlers
   */
  constructor(url, handlers) {
    this.limitMs = CONNECT_MS;
    this._isClosed = false;
    this._socket = new WebSocket(url, "teleglyph.page");
    this._socket.binaryType = "arraybuffer";
    this._socket.onopen = handlers.onOpen;
    this._socket.onmessage = (event) => handlers.onMessage(event.data);
    this._socket.onclose = ({ code }) => {
      if (!this._isClosed) handlers.onClose(code === TRY_AGAIN_LATER || code === GOING_AWAY);
    };
  }

  get waitingBytes() {
    return this._socket.bufferedAmount;
  }

  /** @param {Uint8Array<ArrayBuffer>} packet */
  send(packet) {
    if (this._socket.readyState === WebSocket.OPEN) this._socket.send(packet);
  }

  close(isProtocolError = false) {
    this._isClosed = true;
    this._socket.close(isProtocolError ? PROTOCOL_ERROR : 1000);
  }
}
