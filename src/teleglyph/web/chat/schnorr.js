/**
 * Signatures of BIP-340: Schnorr, over the curve secp256k1.
 *
 * BigInt does not take the same time for all values. The key signs only what its owner writes, so nobody can collect the
 * many exact timings that an attack would need.
 *
 * There is no verification: the relay has verified every event, and a server that wanted to cheat could also serve
 * another page.
 */

import { sha256 } from "./sha256.js";
import { fromHex, toHex } from "./hex.js";

/** @typedef {readonly [bigint, bigint, bigint]} Point Jacobian coordinates: x / z², y / z³; z is 0 at infinity */

const FIELD = 2n ** 256n - 2n ** 32n - 977n;
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** @type {Point} */
const GENERATOR = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  1n,
];
/** @type {Point} */
const INFINITY = [1n, 1n, 0n];

/**
 * @param {Uint8Array} secret
 * @returns {boolean} whether it can be a secret key
 */
export function isSecretKey(secret) {
  return secret.length === 32 && inRange(toNumber(secret));
}

/**
 * The public key of a secret key.
 *
 * @param {Uint8Array} secret 32 bytes
 * @returns {Uint8Array} 32 bytes, the x coordinate
 */
export function publicKey(secret) {
  return toBytes(keyPair(secret).x);
}

/**
 * Sign a message.
 *
 * @param {Uint8Array} secret 32 bytes
 * @param {Uint8Array} message of any length; Nostr signs the 32 bytes of an id
 * @param {Uint8Array} [randomness] 32 bytes; only tests pass them
 * @returns {Uint8Array} 64 bytes
 */
export function sign(secret, message, randomness = crypto.getRandomValues(new Uint8Array(32))) {
  const { number, x } = keyPair(secret);
  const [key, mask] = [toBytes(number), taggedHash("BIP0340/aux", randomness)];
  const masked = key.map((byte, place) => byte ^ mask[place]);
  const once = toNumber(taggedHash("BIP0340/nonce", masked, toBytes(x), message)) % ORDER;
  if (once === 0n) throw new RangeError("The nonce is zero.");
  const point = affine(multiply(once));
  const nonce = point.y & 1n ? ORDER - once : once;
  const challenge = toNumber(taggedHash("BIP0340/challenge", toBytes(point.x), toBytes(x), message)) % ORDER;
  return concat(toBytes(point.x), toBytes((nonce + challenge * number) % ORDER));
}

/**
 * The number whose point has an even y, and that point's x.
 *
 * @param {Uint8Array} secret
 */
function keyPair(secret) {
  const number = toNumber(secret);
  if (secret.length !== 32 || !inRange(number)) throw new RangeError("This is not a secret key of 32 bytes.");
  const { x, y } = affine(multiply(number));
  return { number: y & 1n ? ORDER - number : number, x };
}

/** @param {bigint} number */
function inRange(number) {
  return 0n < number && number < ORDER;
}

/**
 * The generator, times a number.
 *
 * @param {bigint} number
 */
function multiply(number) {
  let sum = INFINITY;
  for (let bit = 255n; bit >= 0n; bit--) {
    sum = double(sum);
    const added = add(sum, GENERATOR); // Always computed, so that the time tells less about the number.
    if ((number >> bit) & 1n) sum = added;
  }
  return sum;
}

/**
 * @param {Point} point
 * @returns {Point}
 */
function double([x, y, z]) {
  const square = (y * y) % FIELD;
  const product = (4n * x * square) % FIELD;
  const slope = (3n * x * x) % FIELD;
  const newX = reduce(slope * slope - 2n * product);
  return [newX, reduce(slope * (product - newX) - 8n * square * square), (2n * y * z) % FIELD];
}

/**
 * @param {Point} point
 * @param {Point} other its z is 1
 * @returns {Point}
 */
function add([x, y, z], other) {
  if (z === 0n) return other;
  const square = (z * z) % FIELD;
  const width = reduce(other[0] * square - x);
  const height = reduce(other[1] * square * z - y);
  if (width === 0n) return height === 0n ? double(other) : INFINITY;
  const area = (width * width) % FIELD;
  const [cube, start] = [(area * width) % FIELD, (x * area) % FIELD];
  const newX = reduce(height * height - cube - 2n * start);
  return [newX, reduce(height * (start - newX) - y * cube), (z * width) % FIELD];
}

/** @param {Point} point not at infinity */
function affine([x, y, z]) {
  const inverse = power(z, FIELD - 2n);
  const square = (inverse * inverse) % FIELD;
  return { x: (x * square) % FIELD, y: (((y * square) % FIELD) * inverse) % FIELD };
}

/**
 * @param {bigint} base
 * @param {bigint} exponent
 */
function power(base, exponent) {
  let result = 1n;
  for (let rest = exponent, factor = base; rest > 0n; rest >>= 1n, factor = (factor * factor) % FIELD) {
    if (rest & 1n) result = (result * factor) % FIELD;
  }
  return result;
}

/** @param {bigint} number which may be negative */
function reduce(number) {
  const rest = number % FIELD;
  return rest < 0n ? rest + FIELD : rest;
}

/**
 * @param {string} tag
 * @param {...Uint8Array} parts
 */
function taggedHash(tag, ...parts) {
  const hash = sha256(new TextEncoder().encode(tag));
  return sha256(concat(hash, hash, ...parts));
}

/** @param {...Uint8Array} parts */
function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** @param {Uint8Array} bytes */
function toNumber(bytes) {
  return BigInt("0x" + (toHex(bytes) || "0"));
}

/** @param {bigint} number below 2**256 */
function toBytes(number) {
  return fromHex(number.toString(16).padStart(64, "0"));
}
