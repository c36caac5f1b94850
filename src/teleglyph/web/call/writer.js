/** Writes the fields of a payload, big-endian. */

const encoder = new TextEncoder();

export class Writer {
  /** @param {number} size in bytes; texts and bytes at the end make it grow */
  constructor(size) {
    this._bytes = new Uint8Array(size);
    this._view = new DataView(this._bytes.buffer);
    this._at = 0;
  }

  /** @param {number} value */
  u8(value) {
    this._view.setUint8(this._at, value);
    this._at += 1;
    return this;
  }

  /** @param {number} value */
  u16(value) {
    this._view.setUint16(this._at, value);
    this._at += 2;
    return this;
  }

  /** @param {number} value */
  u32(value) {
    this._view.setUint32(this._at, value);
    this._at += 4;
    return this;
  }

  /**
   * @param {Uint8Array} data
   * @param {number} [size] of the field; the rest stays zero
   */
  bytes(data, size = data.length) {
    this._bytes.set(data.subarray(0, size), this._at);
    this._at += size;
    return this;
  }

  /**
   * @param {string} text is cut to the size of the field
   * @param {number} size in bytes
   */
  text(text, size) {
    return this.bytes(utf8(text, size), size);
  }

  /** @returns {Uint8Array} the payload */
  end() {
    return this._bytes;
  }
}

/**
 * UTF-8 without NUL, cut between characters.
 *
 * @param {string} text
 * @param {number} limit in bytes
 * @returns {Uint8Array}
 */
export function utf8(text, limit) {
  let data = encoder.encode(text.replaceAll("\0", ""));
  if (data.length <= limit) return data;
  let end = limit;
  while (end > 0 && (data[end] & 0xc0) === 0x80) end--;
  return data.subarray(0, end);
}
