/** AUDIO_OPUS_BATCH (docs/protocol/messages.md#audio_opus_batch). */

const SAMPLE_RATE = 48_000;
const HEADER_SIZE = 16;
const MAX_FRAMES = 1000;

/**
 * @param {Uint8Array} packet one Opus packet
 * @param {number} milliseconds of sound in it, 10 or 20
 * @returns {Uint8Array}
 */
export function encodeOpusBatch(packet, milliseconds) {
  const payload = new Uint8Array(HEADER_SIZE + 2 + packet.length);
  const view = new DataView(payload.buffer);
  view.setUint32(0, SAMPLE_RATE);
  view.setUint32(4, milliseconds);
  view.setUint32(8, 1);
  view.setUint16(HEADER_SIZE, packet.length);
  payload.set(packet, HEADER_SIZE + 2);
  return payload;
}

/**
 * @param {Uint8Array} payload
 * @returns {Uint8Array[]} the Opus packets, oldest first; those that are cut off are left out
 */
export function decodeOpusBatch(payload) {
  if (payload.length < HEADER_SIZE) return [];
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const count = Math.min(view.getUint32(8), MAX_FRAMES);
  const packets = [];
  let offset = HEADER_SIZE + 2 * count;
  for (let index = 0; index < count && offset <= payload.length; index++) {
    const end = offset + view.getUint16(HEADER_SIZE + 2 * index);
    if (end > payload.length) break;
    packets.push(payload.subarray(offset, end));
    offset = end;
  }
  return packets;
}
