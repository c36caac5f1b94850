/** Packets over a data channel, which carries a stream of bytes in messages of limited size. */

import { HEADER_SIZE, PacketError } from "../call/packet.js";

/** What every browser takes in one message. */
export const MAX_CHUNK = 16_384;
/** A payload has at most 5 MiB (docs/protocol/README.md#limits). */
const MAX_PACKET = HEADER_SIZE + 5 * 1024 * 1024;
const LENGTH_AT = 10;
const MAGIC = [0x00, 0x00, 0x00, 0x0a, 0x5c, 0x11, 0xc4, 0xa1];

/**
 * @param {Uint8Array<ArrayBuffer>} packet
 * @returns {Uint8Array<ArrayBuffer>[]} the packet in messages of at most MAX_CHUNK bytes
 */
export function chunksOf(packet) {
  const chunks = [];
  for (let at = 0; at < packet.length; at += MAX_CHUNK) chunks.push(packet.subarray(at, at + MAX_CHUNK));
  return chunks;
}

/** Puts packets together again.  Memory grows with the bytes that arrived, not with announced lengths. */
export class PacketStream {
  constructor() {
    this._buffer = new Uint8Array(4 * MAX_CHUNK);
    this._size = 0;
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {ArrayBuffer[]} the packets that are complete now, each alone
   * @throws {PacketError}
   */
  push(chunk) {
    this._append(chunk);
    const packets = [];
    let at = 0;
    for (;;) {
      const size = packetSize(this._buffer.subarray(at, this._size));
      if (size === 0 || at + size > this._size) break;
      packets.push(this._buffer.slice(at, at + size).buffer);
      at += size;
    }
    this._buffer.copyWithin(0, at, this._size);
    this._size -= at;
    return packets;
  }

  /** @param {Uint8Array} chunk */
  _append(chunk) {
    const size = this._size + chunk.length;
    if (size > this._buffer.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this._buffer.length));
      larger.set(this._buffer.subarray(0, this._size));
      this._buffer = larger;
    }
    this._buffer.set(chunk, this._size);
    this._size = size;
  }
}

/**
 * @param {Uint8Array} bytes from the beginning of a packet
 * @returns {number} size of the packet; 0 if its header is not complete
 */
function packetSize(bytes) {
  if (bytes.length < HEADER_SIZE) return 0;
  if (MAGIC.some((byte, at) => bytes[at] !== byte)) throw new PacketError("The host's stream has lost its packets.");
  const size = HEADER_SIZE + new DataView(bytes.buffer, bytes.byteOffset).getUint32(LENGTH_AT);
  if (size > MAX_PACKET) throw new PacketError(`A packet announces ${size - HEADER_SIZE} bytes of payload.`);
  return size;
}
