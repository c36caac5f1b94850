import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeAudioBatch, encodeAudioBatch } from "../../src/teleglyph/web/media/audio_batch.js";
import { packetDuration } from "../../src/teleglyph/web/media/sound_encoder.js";
import { VoiceBlocks } from "../../src/teleglyph/web/media/voice_blocks.js";

test("samples become big-endian integers of full scale, and come back", () => {
  const payload = encodeAudioBatch(Float32Array.from([0, 1, -1, 0.5, 2]));
  const view = new DataView(payload.buffer);
  assert.deepEqual(
    [0, 4, 8, 12].map((offset) => view.getUint32(offset)),
    [1, 5, 48000, 1],
  );
  assert.deepEqual(
    [16, 20, 24, 32].map((offset) => view.getInt32(offset)),
    [0, 2147483647, -2147483647, 2147483647],
  );
  // The payload need not begin at the beginning of its buffer.
  const shifted = new Uint8Array([9, ...payload]).subarray(1);
  assert.deepEqual(
    [...decodeAudioBatch(shifted)].map((sample) => Math.round(1000 * sample)),
    [0, 1000, -1000, 500, 1000],
  );
});

test("payloads that are not valid are refused", () => {
  const payload = encodeAudioBatch(new Float32Array(4));
  assert.throws(() => decodeAudioBatch(payload.subarray(0, 10)), RangeError);
  assert.throws(() => decodeAudioBatch(payload.subarray(0, 30)), RangeError);
  new DataView(payload.buffer).setUint32(12, 2);
  assert.throws(() => decodeAudioBatch(payload), RangeError);
});

test("the first byte of an Opus packet tells its duration", () => {
  // CELT, full band, of 2.5, 5, 10 and 20 ms; SILK of 20 and 60 ms; hybrid of 10 ms.
  assert.deepEqual(
    [28, 29, 30, 31, 1, 3, 12].map((configuration) => packetDuration(Uint8Array.of(configuration << 3))),
    [2.5, 5, 10, 20, 20, 60, 10],
  );
});

/** @param {number} [inputRate] */
function recorder(inputRate) {
  /** @type {{ blocks: Float32Array[], pauses: number, levels: { peak: number, rms: number }[] }} */
  const result = { blocks: [], pauses: 0, levels: [] };
  const blocks = new VoiceBlocks(
    480,
    {
      // Given away, as to another thread.
      onBlock: (block) => result.blocks.push(structuredClone(block, { transfer: [block.buffer] })),
      onPause: () => result.pauses++,
      onLevel: (level) => result.levels.push(level),
    },
    inputRate,
  );
  return { blocks, result };
}

/**
 * @param {number} seconds
 * @param {number} amplitude
 */
function tone(seconds, amplitude, rate = 48000) {
  return Float32Array.from({ length: seconds * rate }, (_, i) => amplitude * Math.sin((2 * Math.PI * 440 * i) / rate));
}

test("nothing is sent while sending is off, but the level is measured", () => {
  const { blocks, result } = recorder();
  blocks.add(tone(1, 0.5));
  assert.equal(result.blocks.length, 0);
  assert.equal(result.levels.length, 20);
  assert.ok(Math.abs(result.levels[3].rms - 0.5 / Math.SQRT2) < 0.001);
  assert.ok(Math.abs(result.levels[3].peak - 0.5) < 0.001);
});

test("a talk begins with a fade and ends with one pause", () => {
  const { blocks, result } = recorder();
  blocks.isSending = true;
  blocks.add(new Float32Array(4800).fill(0.5));
  blocks.isSending = false;
  blocks.add(tone(0.1, 0.5));
  assert.equal(result.blocks.length, 10);
  assert.equal(result.pauses, 1);
  assert.equal(result.blocks[0][0], 0);
  assert.equal(result.blocks[0][240], 0.5);
  assert.equal(result.blocks[1][0], 0.5);
});

test("the gate opens for a voice, keeps what came before it, and closes after it", () => {
  const { blocks, result } = recorder();
  Object.assign(blocks, { isSending: true, hasGate: true });
  blocks.add(tone(1, 0.001));
  assert.equal(result.blocks.length, 0);
  blocks.add(tone(0.2, 0.3));
  assert.equal(result.blocks.length, 21);
  blocks.add(tone(1, 0.001));
  assert.equal(result.pauses, 1);
  assert.ok(result.blocks.length > 50 && result.blocks.length < 65, `${result.blocks.length}`);
});

test("a microphone of 44.1 kHz gives as many seconds and the same pitch", () => {
  const { blocks, result } = recorder(44100);
  blocks.isSending = true;
  for (let i = 0; i < 441; i++) blocks.add(tone(1, 0.5, 44100).subarray(i * 100, i * 100 + 100));
  assert.ok(Math.abs(result.blocks.length - 100) <= 1);
  const sound = result.blocks.flatMap((block) => [...block]);
  const cycles = sound.filter((sample, i) => i > 0 && sound[i - 1] < 0 && sample >= 0).length;
  assert.ok(Math.abs(cycles - 440) <= 2, `${cycles}`);
});
