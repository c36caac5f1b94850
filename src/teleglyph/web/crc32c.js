/** CRC-32C (Castagnoli), as in RFC 3720, appendix B.4. */

const TABLE = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  TABLE[byte] = value;
}

/**
 * @param {Uint8Array} data
 * @returns {number} the checksum, unsigned
 */
export function crc32c(data) {
  let crc = ~0;
  for (let i = 0; i < data.length; i++) crc = TABLE[(crc ^ data[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
