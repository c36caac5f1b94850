/**
 * Turns sound with uneven arrival times into a steady stream of samples.
 *
 * The packets have no numbers and none is lost; only their arrival times and the speed of the sender's clock vary. The
 * buffer delays sound as much as the recent jitter requires, and plays slightly faster or slower to hold that delay.
 * Time is an argument.
 */

import { SampleRing } from "./sample_ring.js";

const RATE = 48000;
/** Samples of a fade: 5 ms. */
const FADE = 240;
/** Seconds that are added to the measured jitter. Sound is pulled every 3 ms. */
const MARGIN = 0.005;
/** Sound that exceeds the target by more than this many seconds is dropped instead of played faster. */
const MAX_SURPLUS = 0.25;
/** Seconds that are added to the measured jitter after a gap: one longer gap is better than several short ones. */
const GAP_MARGIN = 0.015;
/** A gap between arrivals of this many seconds is a pause of the sender, not jitter. */
const PAUSE = 0.3;
/** The longest recent delay is kept for this many seconds. */
const HOLD = 5;
/** Seconds per second at which older shortest and longest delays are forgotten: more than the error of any clock. */
const LEAK = 0.01;
const SETTLING = 0.05;
const MAX_SPEED_CHANGE = 0.03;
/** Change of speed for each second of surplus: a surplus of 20 ms is played 1 % faster. */
const SPEED_PER_SURPLUS = 0.5;
const DEAD_BAND = 0.003;
/** Speed grows only while this many seconds of sound are waiting. */
const MIN_LEVEL = 0.02;
export class JitterBuffer {
  /** Gaps in audible sound, and samples that were dropped because too much sound waited. */
  counters = { underruns: 0, dropped: 0 };

  /**
   * @param {object} [options]
   * @param {number} [options.shortest] the smallest target, in seconds
   * @param {number} [options.longest] the largest target
   * @param {number} [options.outputRate] samples per second that are pulled; 48000 per second are pushed
   */
  constructor({ shortest = 0.02, longest = 0.2, outputRate = RATE } = {}) {
    this._shortest = shortest;
    this._longest = longest;
    this._outputRate = outputRate;
    this._ring = new SampleRing();
    /** The position of the next sample that is played; may be between two samples. */
    this._read = 0;
    this._isPlaying = false;
    /** Gain of the sound at `_read`, which rises to 1 in a fade. */
    this._gain = 0;
    /** The sound that fades out: its position, its step (backwards after the last sample), and its gain. */
    this._tail = { position: 0, step: 0, gain: 0, fall: 0 };
    this._isPaused = true;
    this._last = -Infinity;
    /** Where the current talk began, in samples. Delays are arrival times minus positions after it, in seconds. */
    this._origin = 0;
    this._shortestDelay = 0;
    this._longestDelay = 0;
    this._longestSince = 0;
    this._settled = 0;
    this._speed = 1;
  }

  /** Seconds of sound in the buffer. */
  get level() {
    return (this._ring.end - this._read) / RATE;
  }

  /** Seconds by which sound should be delayed after its fastest packets. */
  get target() {
    return Math.min(this._longest, Math.max(this._shortest, this.jitter + MARGIN));
  }

  /** Delay of the slowest recent packets relative to the fastest, in seconds. */
  get jitter() {
    return this._longestDelay - this._shortestDelay;
  }

  /** How fast sound is played; 1 is its own speed. */
  get speed() {
    return this._speed;
  }

  /**
   * Add samples.
   *
   * @param {Float32Array} samples mono, 48 kHz
   * @param {number} now when they arrived, in seconds
   */
  push(samples, now) {
    // Long batches in parts: the ring must keep what is still fading out.
    for (let start = 0; start < samples.length; start += 4800) this._add(samples.subarray(start, start + 4800), now);
  }

  /** The sender pauses: the end of the sound so far is not a gap. */
  pause() {
    this._isPaused = true;
  }

  /**
   * Fill an array with the next samples; with silence where there are none.
   *
   * @param {Float32Array} output
   * @param {number} now seconds
   */
  pull(output, now) {
    if (!this._isPlaying) this._start(now);
    this._speed = this._isPlaying ? this._speedFor(now) : 1;
    const step = (this._speed * RATE) / this._outputRate;
    for (let i = 0; i < output.length; i++) {
      if (this._isPlaying && this._read + 2 >= this._ring.end) this._stop(step, now);
      output[i] = this._next(step);
    }
  }

  /**
   * @param {Float32Array} samples
   * @param {number} now
   */
  _add(samples, now) {
    this._measure(now);
    this._isPaused = false;
    this._ring.write(samples);
    const surplus = this.level - this.target;
    if (surplus > MAX_SURPLUS) this._drop(Math.floor(surplus * RATE));
  }

  /** @param {number} now */
  _measure(now) {
    const passed = now - this._last;
    this._last = now;
    if (this._isPaused || passed > PAUSE) {
      // The same jitter is expected after a pause.
      this._longestDelay = now + this.jitter;
      this._shortestDelay = now;
      this._origin = this._ring.end;
      this._settled = now + SETTLING;
      return;
    }
    const delay = now - (this._ring.end - this._origin) / RATE;
    if (now < this._settled) {
      // A stall often ends with a burst. Its packets were late because of the stall, not of jitter.
      this._longestDelay -= Math.max(0, this._shortestDelay - delay);
    }
    this._shortestDelay = Math.min(this._shortestDelay + LEAK * passed, delay);
    if (now - this._longestSince > HOLD) this._longestDelay -= LEAK * passed;
    if (delay >= this._longestDelay) {
      this._longestDelay = delay;
      this._longestSince = now;
    }
    this._longestDelay = Math.min(this._longestDelay, this._shortestDelay + this._longest);
  }

  /**
   * How long after its fastest packets the sound is played, in seconds.
   *
   * @param {number} now
   */
  _delay(now) {
    return now - this._shortestDelay - (this._read - this._origin) / RATE;
  }

  /** @param {number} now begin or continue to play, if enough sound waits */
  _start(now) {
    // Less than two fades would end before it has begun.
    if (this.level < (2 * FADE) / RATE || this._delay(now) < this.target) return;
    this._isPlaying = true;
    this._gain = 0;
  }

  /**
   * The sound has ended, or is late: fade out what was played last, backwards.
   *
   * @param {number} step
   * @param {number} now
   */
  _stop(step, now) {
    if (!this._isPaused && this._ring.isAudible(this._read, 2 * FADE)) {
      this.counters.underruns++;
      this._longestDelay += GAP_MARGIN;
      this._longestSince = now;
    }
    this._fadeOut(this._read - step, -step);
    this._isPlaying = false;
  }

  /** @param {number} samples of the oldest to leave out */
  _drop(samples) {
    this.counters.dropped += samples;
    if (this._isPlaying) this._fadeOut(this._read, 1);
    this._read += samples;
    this._gain = 0;
  }

  /**
   * @param {number} position
   * @param {number} step
   */
  _fadeOut(position, step) {
    this._tail = { position, step, gain: this._gain, fall: this._gain / FADE };
  }

  /** @param {number} now */
  _speedFor(now) {
    const surplus = Math.min(this._delay(now) - this.target, Math.max(0, this.level - MIN_LEVEL));
    const beyond = Math.sign(surplus) * Math.max(0, Math.abs(surplus) - DEAD_BAND);
    return 1 + Math.max(-MAX_SPEED_CHANGE, Math.min(MAX_SPEED_CHANGE, SPEED_PER_SURPLUS * beyond));
  }

  /** @param {number} step */
  _next(step) {
    let sample = 0;
    const tail = this._tail;
    if (tail.gain > 0) {
      sample = tail.gain * this._ring.at(tail.position);
      tail.position += tail.step;
      tail.gain -= tail.fall;
    }
    if (this._isPlaying) {
      sample += this._gain * this._ring.at(this._read);
      this._gain = Math.min(1, this._gain + 1 / FADE);
      this._read += step;
    }
    return sample;
  }
}
