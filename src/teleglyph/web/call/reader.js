/** Reads the fields of a payload, big-endian unless a name says otherwise. */

import { PacketError } from "./packet.js";

const decoder = new TextDecoder();

export class Reader {
  /** @param {Uint8Array} payload */
  constructor(payload) {
    this._payload = payload;
    this._view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this._at = 0;
  }

  /** @param {number} size */
  _take(size) {
    const at = this._at;
    if (at + size > this._payload.length) throw new PacketError("A payload is too short.");
    this._at += size;
    return at;
  }

  u8() {
    return this._view.getUint8(this._take(1));
  }

  u16() {
    return this._view.getUint16(this._take(2));
  }

  /** A little-endian number of two bytes. */
  u16le() {
    return this._view.getUint16(this._take(2), true);
  }

  u32() {
    return this._view.getUint32(this._take(4));
  }

  /**
   * @param {number} [size] without it, to the end
   * @returns {Uint8Array<ArrayBuffer>} a copy
   */
  bytes(size = this._payload.length - this._at) {
    const at = this._take(size);
    return new Uint8Array(this._payload.subarray(at, at + size));
  }

  /** @param {number} [size] in bytes; without it, to the end */
  text(size = this._payload.length - this._at) {
    const at = this._take(size);
    return decoder.decode(this._payload.subarray(at, at + size));
  }

  /** @param {number} size of a field in bytes; zeros fill what the text leaves free */
  paddedText(size) {
    return this.text(size).split("\0", 1)[0];
  }
}
