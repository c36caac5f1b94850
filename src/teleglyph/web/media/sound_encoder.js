/** Encodes the microphone's blocks as Opus packets, or passes them on as samples where the browser cannot. */

import { OPUS, SAMPLE_RATE, isSupported } from "./media_support.js";

const BITRATE = 32_000;
const MAX_ERRORS = 3;
const MAX_QUEUE = 25;
/** Milliseconds of one frame, by the configuration in an Opus packet's first byte (RFC 6716, section 3.1). */
const DURATIONS = [10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 10, 20];

/**
 * The duration of a packet with one frame, in milliseconds.
 *
 * @param {Uint8Array} packet
 */
export function packetDuration(packet) {
  const configuration = packet[0] >> 3;
  return configuration < 16 ? DURATIONS[configuration] : 2.5 * 2 ** (configuration & 3);
}

export class SoundEncoder {
  counters = { encoded: 0, dropped: 0, errors: 0 };

  /**
   * @param {object} options
   * @param {(packet: Uint8Array, duration: number) => void} options.onOpus called with a packet and its milliseconds
   * @param {(samples: Float32Array) => void} options.onSamples called instead where there is no Opus encoder
   * @param {number} [options.duration] of a packet, 10 or 20 ms
   * @param {boolean} [options.useOpus] false if the server takes samples only
   */
  constructor({ onOpus, onSamples, duration = 20, useOpus = true }) {
    this._onOpus = onOpus;
    this._onSamples = onSamples;
    this._duration = duration;
    this._useOpus = useOpus;
    /** @type {AudioEncoderConfig | null} null where samples are sent */
    this._config = null;
    /** @type {AudioEncoder | null} */
    this._encoder = null;
    this._time = 0;
    this._first = -1;
  }

  /** Find out how to encode. Blocks that are added before are sent as samples. */
  async prepare() {
    if (!this._useOpus) return;
    const plain = { ...OPUS, bitrate: BITRATE };
    const application = { application: "voip", signal: "voice" };
    // TCP loses nothing, so no bits are spent on forward error correction.
    const opus = { frameDuration: 1000 * this._duration, useinbandfec: false, ...application };
    for (const config of [{ ...plain, opus }, plain]) {
      if (await isSupported(globalThis.AudioEncoder, config)) {
        this._config = /** @type {AudioEncoderConfig} */ (config);
        return;
      }
    }
  }

  /** Whether Opus is sent, not samples. */
  get sendsOpus() {
    return this._config !== null;
  }

  /** @param {Float32Array} samples mono, 48 kHz */
  encode(samples) {
    if (!this._config) {
      this._onSamples(samples);
      return;
    }
    try {
      this._encoder ??= this._open(this._config);
      if (this._encoder.encodeQueueSize > MAX_QUEUE) {
        this.counters.dropped++;
        return;
      }
      const data = new AudioData({
        format: "f32-planar",
        sampleRate: SAMPLE_RATE,
        numberOfFrames: samples.length,
        numberOfChannels: 1,
        timestamp: this._time,
        data: /** @type {Float32Array<ArrayBuffer>} */ (samples),
      });
      this._time += Math.round((samples.length * 1e6) / SAMPLE_RATE);
      this._encoder.encode(data);
      data.close();
    } catch {
      this._fail();
    }
  }

  /** The talk has ended. Sends an empty packet, so that the listeners can distinguish the pause from a late packet. */
  pause() {
    const encoder = this._encoder;
    if (encoder?.encodeQueueSize)
      encoder.flush().then(
        () => this._sendPause(),
        () => {},
      );
    else this._sendPause();
  }

  _sendPause() {
    if (this._first < 0) return;
    const packet = Uint8Array.of(this._first);
    this._first = -1;
    this._onOpus(packet, packetDuration(packet));
  }

  /** Free the encoder. */
  close() {
    const encoder = this._encoder;
    this._encoder = null;
    this._first = -1;
    if (encoder && encoder.state !== "closed") encoder.close();
  }

  /** @param {AudioEncoderConfig} config */
  _open(config) {
    const encoder = new AudioEncoder({
      output: (chunk) => {
        if (encoder !== this._encoder) return;
        const packet = new Uint8Array(chunk.byteLength);
        chunk.copyTo(packet);
        // The same kind of packet with one frame of no bytes.
        this._first = packet[0] & 0xfc;
        this.counters.encoded++;
        this._onOpus(packet, packetDuration(packet));
      },
      error: () => encoder === this._encoder && this._fail(),
    });
    encoder.configure(config);
    return encoder;
  }

  _fail() {
    this.close();
    if (++this.counters.errors >= MAX_ERRORS) this._config = null;
  }
}
