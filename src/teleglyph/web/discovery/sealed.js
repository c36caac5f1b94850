/** The joiner's end of the channel between page and host that the discovery service cannot read (docs/protocol/discovery.md). */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const HELLO = 1;
const ANSWER = 2;
const SEALED = 3;
const PAGE = 1;
const KEY_SIZE = 32;
const ANSWER_SIZE = 1 + KEY_SIZE + KEY_SIZE + 64;
const SIGNED_SIZE = ANSWER_SIZE - 64;
const TAG_SIZE = 16;
const encoder = new TextEncoder();

/** The host's end, or somebody between, broke a rule; the channel is over. */
export class SealError extends Error {}

/** Begin with `open`; then `receive` and `seal` one after the other, never two at the same time. */
export class SealedJoiner {
  /**
   * @param {Bytes} session id of the session
   * @returns {Promise<SealedJoiner>}
   */
  static async open(session) {
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("X25519", false, ["deriveBits"]));
    const key = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    return new SealedJoiner(session, pair.privateKey, joined(Uint8Array.of(HELLO, PAGE), key));
  }

  /**
   * @param {Bytes} session
   * @param {CryptoKey} secret
   * @param {Bytes} firstMessage
   */
  constructor(session, secret, firstMessage) {
    this._session = session;
    this._secret = secret;
    /** To be sent before anything else. */
    this.firstMessage = firstMessage;
    /** @type {Bytes | null} the host's Ed25519 key, which it has proven; null before its answer */
    this.identity = null;
    /** @type {CryptoKey | null} */
    this._sendingKey = null;
    /** @type {CryptoKey | null} */
    this._receivingKey = null;
    this._sent = 0;
    this._received = 0;
    this._isOver = false;
  }

  /**
   * @param {Bytes} message of the host
   * @returns {Promise<Bytes>} whole packets; empty for its first message
   * @throws {SealError}
   */
  async receive(message) {
    if (this._isOver) throw new SealError("The channel to the host has ended.");
    try {
      if (this._receivingKey !== null) return await this._unseal(this._receivingKey, message);
      await this._agree(message);
      return new Uint8Array();
    } catch (error) {
      this._isOver = true;
      if (error instanceof SealError) throw error;
      // Web Crypto does not say what is wrong, either.
      throw new SealError("A message of the host was damaged on its way.");
    }
  }

  /**
   * @param {Bytes} packets one or more whole packets
   * @returns {Promise<Bytes>} the message
   */
  async seal(packets) {
    if (this._sendingKey === null || this._isOver) throw new SealError("The channel to the host is not open.");
    const sealed = await crypto.subtle.encrypt(parameters(this._sent++), this._sendingKey, packets);
    return joined(Uint8Array.of(SEALED), new Uint8Array(sealed));
  }

  /** @param {Bytes} message */
  async _agree(message) {
    if (message.length !== ANSWER_SIZE || message[0] !== ANSWER)
      throw new SealError("The host's first message has the wrong form.");
    const hostKey = message.slice(1, 1 + KEY_SIZE);
    const identity = message.slice(1 + KEY_SIZE, SIGNED_SIZE);
    const signed = joined(
      encoder.encode("teleglyph rendezvous 1"),
      await sha256(this.firstMessage),
      hostKey,
      this._session,
    );
    const verifier = await crypto.subtle.importKey("raw", identity, "Ed25519", false, ["verify"]);
    if (!(await crypto.subtle.verify("Ed25519", verifier, message.slice(SIGNED_SIZE), signed)))
      throw new SealError("The host's signature is wrong.");
    const peer = await crypto.subtle.importKey("raw", hostKey, "X25519", false, []);
    const shared = new Uint8Array(
      await crypto.subtle.deriveBits({ name: "X25519", public: peer }, this._secret, 8 * KEY_SIZE),
    );
    if (shared.every((byte) => byte === 0)) throw new SealError("The host's key is weak.");
    const source = await crypto.subtle.importKey("raw", shared, "HKDF", false, ["deriveBits"]);
    const salt = await sha256(joined(this.firstMessage, message.slice(0, SIGNED_SIZE)));
    const info = encoder.encode("teleglyph rendezvous keys");
    const keys = await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, source, 16 * KEY_SIZE);
    this._sendingKey = await cipher(keys.slice(0, KEY_SIZE), "encrypt");
    this._receivingKey = await cipher(keys.slice(KEY_SIZE), "decrypt");
    this.identity = identity;
  }

  /**
   * @param {CryptoKey} key
   * @param {Bytes} message
   */
  async _unseal(key, message) {
    if (message[0] !== SEALED || message.length <= 1 + TAG_SIZE)
      throw new SealError("A message of the host has the wrong form.");
    return new Uint8Array(await crypto.subtle.decrypt(parameters(this._received++), key, message.slice(1)));
  }
}

/**
 * @param {number} counter of the message in its direction, from 0
 * @returns {AesGcmParams}
 */
function parameters(counter) {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setBigUint64(4, BigInt(counter));
  return { name: "AES-GCM", iv, additionalData: Uint8Array.of(SEALED) };
}

/**
 * @param {ArrayBuffer} key
 * @param {"encrypt" | "decrypt"} usage
 */
function cipher(key, usage) {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [usage]);
}

/** @param {Bytes} data */
async function sha256(data) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/**
 * @param {...Bytes} parts
 * @returns {Bytes}
 */
function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
