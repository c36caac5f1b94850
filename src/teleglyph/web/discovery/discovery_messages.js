/** Packets between a page, the discovery service and a host (docs/protocol/discovery.md). */

import { readError } from "../call/messages.js";
import { PacketError, encodePacket } from "../call/packet.js";
import { Reader } from "../call/reader.js";
import { Writer, utf8 } from "../call/writer.js";

export const DiscoveryType = Object.freeze({
  ERROR_MESSAGE: 2003,
  SESSION_LOOKUP: 6002,
  SESSION_INFO: 6003,
  SESSION_JOIN: 6004,
  SESSION_JOINED: 6005,
  SESSION_LEAVE: 6006,
  RENDEZVOUS: 6110,
  WAYS: 6112,
  WAYS_OFFER: 6113,
  WAYS_ANSWER: 6114,
  ACIP_ERROR: 6199,
});

/** The host takes rendezvous messages, and checks passwords by itself. */
export const CAN_RENDEZVOUS = 0x04;
export const MAX_RENDEZVOUS = 16_384;
export const MAX_SDP = 12_000;
const NAME_SIZE = 48;
const ID_SIZE = 16;
const KEY_SIZE = 32;
const JOIN_SIZE = 282;
const SIGNATURE_SIZE = 64;
const LARGEST_NUMBER = 255;
const ERROR_TEXT = 256;
/** Reasons of a refusal in the service's own packets, which have one byte for them. */
export const Refusal = Object.freeze({ NOT_FOUND: 1, FULL: 2, RATE_LIMITED: 5 });
/** Numbers in ERROR_MESSAGE. */
export const ServiceError = Object.freeze({ HOST_AWAY: 44, RATE_LIMITED: 46 });

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * @typedef {object} SessionInfo
 * @property {boolean} isFound if not, nothing else counts
 * @property {Bytes} session id
 * @property {number} capabilities
 *
 * @typedef {object} SessionJoined
 * @property {number} refusal one of Refusal or another number; 0 if the service let the page in
 * @property {string} text why not
 * @property {Bytes} participant the page's id
 * @property {Bytes} session id
 * @property {Bytes | null} host its participant id; null if there is none at the moment
 */

/**
 * @param {string} name three words
 * @returns {Bytes} the whole packet
 */
export function sessionLookup(name) {
  const text = utf8(name, NAME_SIZE);
  return encodePacket(
    DiscoveryType.SESSION_LOOKUP,
    new Writer(1 + NAME_SIZE).u8(text.length).bytes(text, NAME_SIZE).end(),
  );
}

/**
 * Without an identity and a password: the host asks for those by itself.
 *
 * @param {string} name three words
 * @param {number} now in milliseconds since 1970
 * @returns {Bytes} the whole packet
 */
export function sessionJoin(name, now) {
  const text = utf8(name, NAME_SIZE);
  const payload = new Writer(JOIN_SIZE).u8(text.length).bytes(text, NAME_SIZE).end();
  new DataView(payload.buffer).setBigUint64(1 + NAME_SIZE + KEY_SIZE + SIGNATURE_SIZE, BigInt(Math.round(now)), true);
  return encodePacket(DiscoveryType.SESSION_JOIN, payload);
}

/**
 * @param {Bytes} session
 * @param {Bytes} participant
 * @returns {Bytes} the whole packet
 */
export function sessionLeave(session, participant) {
  const payload = new Writer(2 * ID_SIZE).bytes(session, ID_SIZE).bytes(participant, ID_SIZE).end();
  return encodePacket(DiscoveryType.SESSION_LEAVE, payload);
}

/**
 * @param {Bytes} session
 * @param {Bytes} sender
 * @param {Bytes} recipient
 * @param {Bytes} data 1 to MAX_RENDEZVOUS bytes
 * @returns {Bytes} the whole packet
 */
export function rendezvous(session, sender, recipient, data) {
  if (data.length === 0 || data.length > MAX_RENDEZVOUS)
    throw new RangeError(`A rendezvous message cannot have ${data.length} bytes.`);
  const payload = new Writer(3 * ID_SIZE + data.length);
  for (const id of [session, sender, recipient]) payload.bytes(id, ID_SIZE);
  return encodePacket(DiscoveryType.RENDEZVOUS, payload.bytes(data).end());
}

/**
 * @param {string} sdp
 * @returns {Bytes} the whole packet
 */
export function waysOffer(sdp) {
  const text = utf8(sdp, MAX_SDP + 1);
  if (text.length > MAX_SDP) throw new RangeError(`The offer is longer than ${MAX_SDP} bytes.`);
  return encodePacket(DiscoveryType.WAYS_OFFER, text);
}

/**
 * @param {Uint8Array} payload
 * @returns {SessionInfo}
 */
export function readSessionInfo(payload) {
  const reader = new Reader(payload);
  const isFound = reader.u8() !== 0;
  const session = reader.bytes(ID_SIZE);
  reader.bytes(KEY_SIZE);
  return { isFound, session, capabilities: reader.u8() };
}

/**
 * @param {Uint8Array} payload
 * @returns {SessionJoined}
 */
export function readSessionJoined(payload) {
  const reader = new Reader(payload);
  const [isIn, code, text] = [reader.u8() !== 0, reader.u8(), reader.paddedText(128)];
  const [participant, session] = [reader.bytes(ID_SIZE), reader.bytes(ID_SIZE)];
  reader.bytes(ID_SIZE);
  const hasHost = reader.u8() !== 0;
  const host = reader.bytes(ID_SIZE);
  return { refusal: isIn ? 0 : code || LARGEST_NUMBER, text, participant, session, host: hasHost ? host : null };
}

/** @param {Uint8Array} payload */
export function readRendezvous(payload) {
  const reader = new Reader(payload);
  const [session, sender, recipient] = [reader.bytes(ID_SIZE), reader.bytes(ID_SIZE), reader.bytes(ID_SIZE)];
  const data = reader.bytes();
  if (data.length === 0 || data.length > MAX_RENDEZVOUS)
    throw new PacketError(`A rendezvous message has ${data.length} bytes.`);
  return { session, sender, recipient, data };
}

/**
 * The ways to a host.  Pages cannot open TCP connections, so the addresses for those are left out.
 *
 * @param {Uint8Array} payload
 * @returns {{urls: string, username: string, credential: string}[]} STUN and TURN servers
 */
export function readWays(payload) {
  const reader = new Reader(payload);
  for (let count = reader.u8(); count > 0; count--) {
    reader.u8();
    reader.bytes(reader.u8());
    reader.u16le();
  }
  return Array.from({ length: reader.u8() }, () => {
    const urls = reader.text(reader.u8());
    return { urls, username: reader.text(reader.u16le()), credential: reader.text(reader.u16le()) };
  });
}

/**
 * @param {Uint8Array} payload of WAYS_ANSWER
 * @returns {string} SDP
 */
export function readSdp(payload) {
  if (payload.length > MAX_SDP) throw new PacketError(`The host's answer has ${payload.length} bytes.`);
  return new Reader(payload).text();
}

/**
 * @param {number} type
 * @param {Uint8Array} payload of ERROR_MESSAGE or ACIP_ERROR
 * @returns {{code: number, text: string}} the codes of the two mean different things
 */
export function readServiceError(type, payload) {
  if (type === DiscoveryType.ERROR_MESSAGE) return readError(payload);
  const reader = new Reader(payload);
  return { code: reader.u8(), text: reader.paddedText(ERROR_TEXT) };
}
