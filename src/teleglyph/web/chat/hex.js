/** Bytes as lower-case hexadecimal digits. */

/**
 * @param {Uint8Array} bytes
 * @returns {string} two digits for each byte
 */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} text pairs of hexadecimal digits
 * @returns {Uint8Array}
 */
export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new TypeError("The text does not consist of pairs of hexadecimal digits.");
  return Uint8Array.from({ length: text.length / 2 }, (_, place) => parseInt(text.slice(2 * place, 2 * place + 2), 16));
}

/**
 * @param {unknown} value
 * @returns {value is string} whether it is a text of 64 lower-case hexadecimal digits: a key or an id
 */
export function isHex32(value) {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
