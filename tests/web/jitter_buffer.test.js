import assert from "node:assert/strict";
import { test } from "node:test";
import { JitterBuffer } from "../../src/teleglyph/web/media/jitter_buffer.js";

const RATE = 48000;
const FRAME = 480;
const BLOCK = 128;
const AMPLITUDE = 0.5;
/** The steepest step between two samples of the tone at the highest speed, and of a fade. */
const STEEPEST = (AMPLITUDE * 2 * Math.PI * 440 * 1.03) / RATE + AMPLITUDE / 240 + 0.001;

/** Random numbers from 0 to 1 that are the same in every run. */
function randomNumbers(seed = 1) {
  return () => (seed = (seed * 16807) % 2147483647) / 2147483647;
}

/** Delays of 0 to 120 ms that change all the time, but by less than the time between two frames of 10 ms. */
function wanderingDelays(count) {
  const random = randomNumbers();
  const points = Array.from({ length: count / 16 + 2 }, () => 0.12 * random());
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = points.slice(i >> 4);
    return from + ((to - from) * (i & 15)) / 16;
  });
}

/** Eleven cycles of 440 Hz. */
const CYCLES = Float32Array.from({ length: 1200 }, (_, i) => AMPLITUDE * Math.sin((2 * Math.PI * 11 * i) / 1200));

/** @param {number} number of the frame of 10 ms, of a tone of 440 Hz */
function frame(number) {
  return Float32Array.from({ length: FRAME }, (_, i) => CYCLES[(number * FRAME + i) % 1200]);
}

/**
 * Play what arrives at the given times, in seconds, one frame each, in order.
 *
 * @param {number[]} arrivals
 * @param {object} [options] of the buffer
 */
function play(arrivals, options) {
  const buffer = new JitterBuffer(options);
  const rate = options?.outputRate ?? RATE;
  const blocks = Math.ceil(((arrivals.at(-1) ?? 0) * rate) / BLOCK);
  const sound = new Float32Array(blocks * BLOCK);
  const levels = [];
  const speeds = [];
  const targets = [];
  let next = 0;
  for (let i = 0; i < blocks; i++) {
    const now = (i * BLOCK) / rate;
    while (next < arrivals.length && arrivals[next] <= now) buffer.push(frame(next++), now);
    buffer.pull(sound.subarray(i * BLOCK, (i + 1) * BLOCK), now);
    levels.push(buffer.level);
    speeds.push(buffer.speed);
    targets.push(buffer.target);
  }
  return { buffer, sound, levels, speeds, targets, at: (seconds) => Math.floor((seconds * rate) / BLOCK) };
}

/** Frames of 10 ms sent for some seconds, by a clock that runs faster than ours by `skew`. */
function sendTimes(seconds, skew = 0) {
  return Array.from({ length: seconds * 100 }, (_, i) => i / 100 / (1 + skew));
}

function steepestStep(sound) {
  let steepest = 0;
  for (let i = 1; i < sound.length; i++) steepest = Math.max(steepest, Math.abs(sound[i] - sound[i - 1]));
  return steepest;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The longest silence after the sound began, in samples. */
function longestSilence(sound) {
  let longest = 0;
  let length = 0;
  for (let i = sound.findIndex((sample) => sample !== 0); i < sound.length; i++) {
    length = Math.abs(sound[i]) < 1e-3 ? length + 1 : 0;
    longest = Math.max(longest, length);
  }
  return longest;
}

test("a steady stream is played without gaps, at its own speed, with the shortest delay", () => {
  const { buffer, sound, levels, speeds, at } = play(sendTimes(10));
  assert.equal(buffer.counters.underruns, 0);
  assert.equal(buffer.counters.dropped, 0);
  assert.equal(buffer.target, 0.02);
  assert.ok(longestSilence(sound) < 5);
  assert.ok(steepestStep(sound) < STEEPEST);
  assert.ok(Math.max(...levels.slice(at(2))) < 0.035);
  assert.ok(Math.abs(mean(speeds.slice(at(2))) - 1) < 0.0005);
});

test("jitter of 60 ms raises the target, so that gaps become rare", () => {
  const delays = wanderingDelays(6000);
  const { buffer, sound, levels, targets, at } = play(sendTimes(60).map((time, i) => time + delays[i]));
  assert.ok(Math.max(...targets) > 0.1 && Math.max(...targets) < 0.15, `target ${Math.max(...targets)}`);
  assert.ok(steepestStep(sound) < STEEPEST);
  assert.ok(buffer.counters.underruns <= 6, `${buffer.counters.underruns} underruns`);
  assert.ok(longestSilence(sound.subarray(at(2) * BLOCK)) < 0.03 * RATE);
  assert.ok(longestSilence(sound.subarray(at(10) * BLOCK, at(50) * BLOCK)) < 5);
  assert.ok(Math.max(...levels) < 0.2);
});

test("bursts of 100 ms are played evenly", () => {
  const { buffer, sound, at } = play(sendTimes(20).map((time) => Math.ceil(time * 10 + 0.001) / 10));
  assert.ok(buffer.counters.underruns <= 2);
  assert.ok(longestSilence(sound.subarray(at(2) * BLOCK)) < 5);
  assert.ok(steepestStep(sound) < STEEPEST);
});

for (const skew of [0.001, -0.001]) {
  test(`a clock that is off by ${100 * skew} % is followed for three minutes`, () => {
    const { buffer, sound, levels, at } = play(sendTimes(180, skew));
    assert.equal(buffer.counters.underruns, 0);
    assert.equal(buffer.counters.dropped, 0);
    assert.ok(longestSilence(sound) < 5);
    assert.ok(steepestStep(sound) < STEEPEST);
    const late = levels.slice(at(30));
    assert.ok(Math.min(...late) > 0.004 && Math.max(...late) < 0.04);
  });
}

test("after a stall the delay returns to the target", () => {
  const times = sendTimes(90).map((time) => (time >= 5 && time < 5.2 ? 5.2 : time));
  const { buffer, sound, levels, at } = play(times);
  assert.equal(buffer.counters.underruns, 1);
  assert.equal(buffer.counters.dropped, 0);
  assert.ok(steepestStep(sound) < STEEPEST);
  assert.ok(mean(levels.slice(at(5.3), at(6))) > 0.1);
  assert.ok(mean(levels.slice(at(80))) < 0.03);
});

test("much sound at once is dropped, not played late", () => {
  const times = sendTimes(20).map((time) => (time >= 5 && time < 9 ? 9 : time));
  const { buffer, sound, levels, at } = play(times);
  assert.ok(buffer.counters.dropped > 3 * RATE);
  assert.ok(Math.max(...levels) < 0.5);
  assert.ok(mean(levels.slice(at(18))) < 0.1);
  assert.ok(steepestStep(sound) < STEEPEST);
});

test("a long batch keeps only its end", () => {
  const buffer = new JitterBuffer();
  buffer.push(new Float32Array(10 * RATE), 0);
  assert.ok(buffer.level < 0.5);
});

test("a pause is silent, not a gap, and does not count as jitter", () => {
  const buffer = new JitterBuffer();
  const block = new Float32Array(BLOCK);
  const sound = [];
  let next = 0;
  for (let i = 0; i < (4 * RATE) / BLOCK; i++) {
    const now = (i * BLOCK) / RATE;
    if (now >= 1 && now < 1.01) buffer.pause();
    while ((now < 1 || now > 1.2) && next * 0.01 <= now - (now > 1.2 ? 0.2 : 0)) buffer.push(frame(next++), now);
    buffer.pull(block, now);
    sound.push(...block);
  }
  assert.equal(buffer.counters.underruns, 0);
  assert.equal(buffer.target, 0.02);
  assert.ok(steepestStep(sound) < STEEPEST);
  assert.ok(longestSilence(sound) > 0.15 * RATE);
});

test("a sound card of 44.1 kHz hears the same pitch", () => {
  const { buffer, sound } = play(sendTimes(10), { outputRate: 44100 });
  const second = sound.subarray(5 * 44100, 6 * 44100);
  let cycles = 0;
  for (let i = 1; i < second.length; i++) if (second[i - 1] < 0 && second[i] >= 0) cycles++;
  assert.ok(Math.abs(cycles - 440) <= 1, `${cycles} Hz`);
  assert.equal(buffer.counters.underruns, 0);
});
