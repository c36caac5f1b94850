/** The payload of AUDIO_BATCH: samples without compression. */

import { SAMPLE_RATE } from "./media_support.js";

const HEADER = 16;
const FULL_SCALE = 2147483647;

/**
 * @param {Float32Array} samples mono, 48 kHz, -1 to 1
 * @returns {Uint8Array} a payload
 */
export function encodeAudioBatch(samples) {
  const view = new DataView(new ArrayBuffer(HEADER + 4 * samples.length));
  [1, samples.length, SAMPLE_RATE, 1].forEach((value, i) => view.setUint32(4 * i, value));
  for (let i = 0; i < samples.length; i++) {
    const value = Math.max(-1, Math.min(1, samples[i]));
    view.setInt32(HEADER + 4 * i, Math.round(value * FULL_SCALE));
  }
  return new Uint8Array(view.buffer);
}

/**
 * @param {Uint8Array} payload
 * @returns {Float32Array} samples, mono, 48 kHz
 * @throws {RangeError} if the payload is not valid or not mono at 48 kHz
 */
export function decodeAudioBatch(payload) {
  if (payload.length < HEADER) throw new RangeError(`AUDIO_BATCH has ${payload.length} bytes, not at least ${HEADER}.`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const [count, rate, channels] = [4, 8, 12].map((offset) => view.getUint32(offset));
  if (payload.length !== HEADER + 4 * count) {
    throw new RangeError(`AUDIO_BATCH has ${payload.length} bytes, which does not fit ${count} samples.`);
  }
  if (rate !== SAMPLE_RATE || channels !== 1) {
    throw new RangeError(`AUDIO_BATCH has ${channels} channels at ${rate} Hz, not 1 at ${SAMPLE_RATE} Hz.`);
  }
  return Float32Array.from({ length: count }, (_, i) => view.getInt32(HEADER + 4 * i) / FULL_SCALE);
}
