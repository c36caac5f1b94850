/** A WebSocket that is opened again whenever it is lost. */

/** @typedef {"connecting" | "open" | "waiting" | "closed"} ConnectionState "waiting" is the pause before an attempt */
/**
 * @typedef {object} ConnectionHandler
 * @property {() => void} onState the state has changed
 * @property {(text: string) => void} onMessage
 * @property {() => void} onSilence nothing has arrived for 45 s: ask something that the server answers
 */

const MIN_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;
const OPEN_MS = 10_000;
/** A connection that lasts this long was a success. */
const STABLE_MS = 10_000;
const SILENCE_MS = 45_000;
const ANSWER_MS = 10_000;
const MAX_MESSAGE = 1 << 20;

/** The pause between attempts grows from 1 s to 30 s. Silence ends a connection: a browser may not notice a dead network. */
export class Connection {
  #url;
  #handler;
  #WebSocket;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ConnectionState} */
  #state = "closed";
  #pause = MIN_PAUSE_MS;
  #openedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} until the next step is due */
  #timer;
  #retry = () => this.#state === "waiting" && this.#connect();

  /**
   * @param {string} url
   * @param {ConnectionHandler} handler
   * @param {typeof globalThis.WebSocket} WebSocket the browser's, or another one in tests
   */
  constructor(url, handler, WebSocket) {
    this.#url = url;
    this.#handler = handler;
    this.#WebSocket = WebSocket;
  }

  get state() {
    return this.#state;
  }

  /** Connect, and stay connected until close(). */
  open() {
    if (this.#state !== "closed") return;
    globalThis.addEventListener?.("online", this.#retry);
    this.#connect();
  }

  close() {
    globalThis.removeEventListener?.("online", this.#retry);
    this.#drop();
    this.#setState("closed");
  }

  /**
   * @param {unknown} message sent as JSON
   * @returns {boolean} whether there is a connection
   */
  send(message) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** The connection is lost, or as good as lost: connect again after a pause. */
  lose() {
    if (this.#state === "open" && Date.now() - this.#openedAt >= STABLE_MS) this.#pause = MIN_PAUSE_MS;
    this.#drop();
    this.#timer = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, MAX_PAUSE_MS);
    this.#setState("waiting");
  }

  #connect() {
    this.#drop();
    this.#setState("connecting");
    const socket = (this.#socket = new this.#WebSocket(this.#url));
    this.#timer = setTimeout(() => this.lose(), OPEN_MS);
    // What an abandoned socket still reports is ignored.
    socket.onopen = () => {
      if (socket !== this.#socket) return;
      this.#openedAt = Date.now();
      this.#expectMessage();
      this.#setState("open");
    };
    socket.onclose = () => socket === this.#socket && this.lose();
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#expectMessage();
      if (typeof data === "string" && data.length <= MAX_MESSAGE) this.#handler.onMessage(data);
    };
  }

  #expectMessage() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.lose(), ANSWER_MS);
      this.#handler.onSilence();
    }, SILENCE_MS);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {ConnectionState} state */
  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#handler.onState();
  }
}
