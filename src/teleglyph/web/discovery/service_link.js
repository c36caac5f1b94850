/** The page's WebSocket to the discovery service: look up a call, join it, and exchange messages with its host. */

import { PacketError, Type, decodePackets, encodePacket } from "../call/packet.js";
import {
  DiscoveryType,
  readRendezvous,
  readServiceError,
  readSessionInfo,
  readSessionJoined,
  rendezvous,
  sessionJoin,
  sessionLeave,
  sessionLookup,
} from "./discovery_messages.js";
import { DiscoveryError, hostAway, refused, refusedByService, unknownName } from "./problem.js";

const PROTOCOL = "teleglyph.discovery";
const ANSWER_MS = 10_000;
/** More than this from a host that nobody reads is not a conversation. */
const MAX_WAITING_MESSAGES = 64;
const UNREACHABLE = "The discovery service does not answer. Check your network, then try again.";

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * One conversation: `open`, `lookUp`, `join`, then `send` and `receive`.  Everything that fails throws a
 * DiscoveryError, also when the connection has been lost meanwhile.
 */
export class ServiceLink {
  /**
   * @param {string} url
   * @param {string} name three words
   */
  constructor(url, name) {
    this._name = name;
    this._socket = new WebSocket(url, PROTOCOL);
    this._socket.binaryType = "arraybuffer";
    /** @type {DiscoveryError | null} */
    this._failure = null;
    /** @type {{type: number, payload: Bytes}[]} what nobody has taken yet */
    this._waiting = [];
    /** @type {(() => void) | null} */
    this._wake = null;
    /** @type {import("./discovery_messages.js").SessionJoined | null} */
    this._place = null;
    this._socket.onopen = () => this._wake?.();
    this._socket.onclose = () => this._fail(new DiscoveryError(UNREACHABLE));
    this._socket.onmessage = ({ data }) => this._take(data);
  }

  /** Wait for the connection. */
  async opened() {
    await this._until(() => this._socket.readyState === WebSocket.OPEN, UNREACHABLE);
  }

  /** @returns {Promise<import("./discovery_messages.js").SessionInfo>} */
  async lookUp() {
    this._socket.send(sessionLookup(this._name));
    const info = await this._next(DiscoveryType.SESSION_INFO, readSessionInfo, UNREACHABLE);
    if (!info.isFound) throw unknownName(this._name);
    return info;
  }

  /** @returns {Promise<Bytes>} id of the session */
  async join() {
    this._socket.send(sessionJoin(this._name, Date.now()));
    const answer = await this._next(DiscoveryType.SESSION_JOINED, readSessionJoined, UNREACHABLE);
    if (answer.refusal) throw refused(answer.refusal, answer.text, this._name);
    if (answer.host === null) throw hostAway();
    this._place = answer;
    return answer.session;
  }

  /** @param {Bytes} data for the host */
  send(data) {
    const { session, participant, host } = this._joined;
    this._socket.send(rendezvous(session, participant, /** @type {Bytes} */ (host), data));
  }

  /** @returns {Promise<Bytes>} what the host sent */
  async receive() {
    const { session, host } = this._joined;
    const problem = "The host does not answer. Its connection may be bad; try again.";
    for (;;) {
      const message = await this._next(DiscoveryType.RENDEZVOUS, readRendezvous, problem);
      // A message for an earlier conversation, or of somebody else, has no meaning here.
      if (same(message.session, session) && same(message.sender, /** @type {Bytes} */ (host))) return message.data;
    }
  }

  /** Leave the session and close.  Whoever waits gets an error. */
  close() {
    if (this._place !== null && this._socket.readyState === WebSocket.OPEN)
      this._socket.send(sessionLeave(this._place.session, this._place.participant));
    this._fail(new DiscoveryError("The connection to the discovery service was closed."));
  }

  get _joined() {
    if (this._failure !== null) throw this._failure;
    if (this._place === null) throw new Error("The page has not joined a session.");
    return this._place;
  }

  /** @param {unknown} data */
  _take(data) {
    try {
      if (!(data instanceof ArrayBuffer)) throw new PacketError("A text instead of a packet.");
      for (const { type, payload } of decodePackets(data)) this._sort(type, new Uint8Array(payload));
    } catch (error) {
      this._fail(nonsense(error));
    }
  }

  /**
   * @param {number} type
   * @param {Bytes} payload
   */
  _sort(type, payload) {
    if (type === Type.PING) this._socket.send(encodePacket(Type.PONG, new Uint8Array()));
    else if (type === DiscoveryType.ERROR_MESSAGE) this._fail(refusedByService(readServiceError(type, payload)));
    else if (type === DiscoveryType.ACIP_ERROR) {
      const { code, text } = readServiceError(type, payload);
      this._fail(refused(code, text, this._name));
    } else if (ANSWERS.has(type)) {
      if (this._waiting.length >= MAX_WAITING_MESSAGES) throw new PacketError("Too many messages at once.");
      this._waiting.push({ type, payload });
      this._wake?.();
    }
  }

  /**
   * What the next packet of a type says.
   *
   * @template Message
   * @param {number} type
   * @param {(payload: Bytes) => Message} read
   * @param {string} problem if nothing comes
   */
  async _next(type, read, problem) {
    /** @type {{type: number, payload: Bytes} | undefined} */
    let found;
    await this._until(() => {
      found = this._waiting.find((packet) => packet.type === type);
      return found !== undefined;
    }, problem);
    this._waiting = this._waiting.filter((packet) => packet !== found);
    try {
      return read(/** @type {{payload: Bytes}} */ (found).payload);
    } catch (error) {
      throw nonsense(error);
    }
  }

  /**
   * @param {() => boolean} condition
   * @param {string} problem if it does not hold in time
   */
  async _until(condition, problem) {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this._wake?.();
    }, ANSWER_MS);
    try {
      while (!condition()) {
        if (this._failure !== null) throw this._failure;
        if (isLate) throw new DiscoveryError(problem);
        await new Promise((resolve) => (this._wake = () => resolve(undefined)));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {DiscoveryError} failure */
  _fail(failure) {
    this._failure ??= failure;
    this._socket.close();
    this._wake?.();
  }
}

/** @type {Set<number>} */
const ANSWERS = new Set([DiscoveryType.SESSION_INFO, DiscoveryType.SESSION_JOINED, DiscoveryType.RENDEZVOUS]);

/** @param {unknown} error */
function nonsense(error) {
  if (!(error instanceof PacketError)) throw error;
  return new DiscoveryError(
    `The discovery service sent something that this page does not understand. ${error.message}`,
  );
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
function same(one, other) {
  return one.every((byte, at) => byte === other[at]);
}
