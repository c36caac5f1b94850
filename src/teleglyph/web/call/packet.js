/** ACIP packets (docs/protocol/framing.md): a header of 22 bytes and a payload, one packet in each message. */

import { crc32c } from "../crc32c.js";

export const Type = Object.freeze({
  AUTH_FAILED: 1106,
  PAGE_HELLO: 1310,
  PAGE_WELCOME: 1311,
  ERROR_MESSAGE: 2003,
  REMOTE_LOG: 2004,
  CODED_PICTURE: 3003,
  SCREEN_UPDATE: 3100,
  SCREEN_ACK: 3101,
  AUDIO_BATCH: 4000,
  AUDIO_OPUS_BATCH: 4001,
  CLIENT_CAPABILITIES: 5000,
  PING: 5001,
  PONG: 5002,
  CLIENT_JOIN: 5003,
  CLIENT_LEAVE: 5004,
  STREAM_START: 5005,
  STREAM_STOP: 5006,
  SERVER_STATE: 5008,
  VIEW_SETTINGS: 5100,
  PICTURE_REQUEST: 5101,
  VIEW_STATE: 5102,
  ROSTER: 5103,
});

export const HEADER_SIZE = 22;
const MAGIC_HIGH = 0x0000000a;
const MAGIC_LOW = 0x5c11c4a1;

/** What the server sent is not a packet. */
export class PacketError extends Error {}

/**
 * @param {number} type
 * @param {Uint8Array} payload
 * @returns {Uint8Array<ArrayBuffer>} the whole packet
 */
export function encodePacket(type, payload) {
  const packet = new Uint8Array(HEADER_SIZE + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint32(0, MAGIC_HIGH);
  view.setUint32(4, MAGIC_LOW);
  view.setUint16(8, type);
  view.setUint32(10, payload.length);
  view.setUint32(14, payload.length ? crc32c(payload) : 0);
  packet.set(payload, HEADER_SIZE);
  return packet;
}

/**
 * Split a message into its packets.  Checksums are not verified: the WebSocket delivers what was sent.
 *
 * @param {ArrayBuffer} message
 * @returns {{type: number, payload: Uint8Array}[]}
 */
export function decodePackets(message) {
  const view = new DataView(message);
  const packets = [];
  let offset = 0;
  while (offset < message.byteLength) {
    if (message.byteLength - offset < HEADER_SIZE) throw new PacketError("A message ends inside a header.");
    if (view.getUint32(offset) !== MAGIC_HIGH || view.getUint32(offset + 4) !== MAGIC_LOW)
      throw new PacketError("A message does not begin with a packet.");
    const type = view.getUint16(offset + 8);
    const size = view.getUint32(offset + 10);
    offset += HEADER_SIZE;
    if (size > message.byteLength - offset)
      throw new PacketError(`A packet announces ${size} bytes, and ends earlier.`);
    packets.push({ type, payload: new Uint8Array(message, offset, size) });
    offset += size;
  }
  return packets;
}
