/** Plays the call's sound. */

import { SAMPLE_RATE } from "./media_support.js";
import { SoundDecoder } from "./sound_decoder.js";

const GESTURES = ["pointerdown", "keydown", "touchend"];

/**
 * @typedef {object} PlaybackStatistics
 * @property {number} bufferedMs sound that waits
 * @property {number} targetMs how long sound is delayed on purpose
 * @property {number} jitterMs measured jitter of the arrivals
 * @property {number} latencyMs of buffer and output together
 * @property {number} speed at which sound is played; 1 is its own
 * @property {number} underruns gaps in audible sound
 * @property {number} droppedMs sound that was dropped because too much waited
 * @property {number} errors of the decoder
 */

/** The only player of a page. Feed it with `pushOpus` or `pushSamples`. */
export class Playback {
  /** @type {AudioContext | null} null until `start` */
  context = null;

  /**
   * @param {object} [callbacks]
   * @param {(needsGesture: boolean) => void} [callbacks.onNeedsGesture] called when the browser waits for a click or a
   *   key before it plays sound, and when it no longer does
   * @param {(statistics: PlaybackStatistics) => void} [callbacks.onStatistics] called four times per second
   */
  constructor({ onNeedsGesture = () => {}, onStatistics = () => {} } = {}) {
    this._onNeedsGesture = onNeedsGesture;
    this._onStatistics = onStatistics;
    this._volume = 1;
    this._outputId = "";
    /** @type {AudioWorkletNode | null} */
    this._node = null;
    /** @type {GainNode | null} */
    this._gain = null;
    this._decoder = new SoundDecoder({
      onSamples: (samples) => this.pushSamples(samples),
      onPause: () => this._node?.port.postMessage("pause"),
    });
    this._onGesture = () => void this.resume();
    this._neededGesture = false;
    /** @type {PlaybackStatistics | null} the latest, null before the first */
    this.statistics = null;
  }

  /**
   * Start to play. Without a gesture of the person the browser may wait for one; see `needsGesture`.
   *
   * @throws {Error} if the browser cannot play sound
   */
  async start() {
    if (this.context) return;
    const context = (this.context = newContext());
    for (const gesture of GESTURES) addEventListener(gesture, this._onGesture, true);
    context.onstatechange = () => this._checkState();
    try {
      await context.audioWorklet.addModule(new URL("playback_worklet.js", import.meta.url));
      if (this.context !== context) return;
      const node = new AudioWorkletNode(context, "teleglyph-playback", { numberOfInputs: 0, outputChannelCount: [1] });
      const gain = new GainNode(context, { gain: this._volume });
      node.connect(gain).connect(context.destination);
      node.port.onmessage = ({ data }) => this._report(data);
      this._node = node;
      this._gain = gain;
    } catch (error) {
      if (this.context === context) this.close();
      throw error;
    }
    await this.setOutput(this._outputId).catch(() => {});
    void this.resume();
    this._checkState();
  }

  /** Whether the browser waits for a click or a key. Any gesture on the page is enough. */
  get needsGesture() {
    return this.context !== null && this.context.state !== "running";
  }

  /** Try to play. Call it in the handler of a click. */
  async resume() {
    // The promise waits for a gesture, so nothing here may wait for it.
    if (this.needsGesture) await this.context?.resume().catch(() => {});
  }

  /** @param {Uint8Array[]} packets of AUDIO_OPUS_BATCH, oldest first */
  pushOpus(packets) {
    if (!this._node) return;
    for (const packet of packets) this._decoder.decode(packet);
  }

  /** @param {Float32Array} samples mono, 48 kHz; the array is given away */
  pushSamples(samples) {
    // A suspended context does not read its messages, so they would pile up.
    if (!this._node || this.needsGesture) return;
    this._node.port.postMessage(samples, [samples.buffer]);
  }

  /** From 0 to 1, or more to amplify. */
  get volume() {
    return this._volume;
  }

  set volume(volume) {
    this._volume = volume;
    // Changed over some milliseconds, because steps can be heard.
    if (this.context) this._gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.02);
  }

  /** Whether this browser lets the page choose the speaker. */
  static get canChooseOutput() {
    return typeof AudioContext === "function" && "setSinkId" in AudioContext.prototype;
  }

  /**
   * Play on another speaker.
   *
   * @param {string} deviceId "" for the default
   * @throws {Error} if there is no such speaker
   */
  async setOutput(deviceId) {
    const context = /** @type {any} */ (this.context);
    if (context && "setSinkId" in context && context.sinkId !== deviceId) await context.setSinkId(deviceId);
    this._outputId = deviceId;
  }

  /** Stop, and free everything. `start` begins again. */
  close() {
    for (const gesture of GESTURES) removeEventListener(gesture, this._onGesture, true);
    this._decoder.close();
    this._node?.port.postMessage("close");
    this._node?.disconnect();
    this._node = this._gain = null;
    const context = this.context;
    this.context = null;
    if (context) context.onstatechange = null;
    context?.close().catch(() => {});
    this._checkState();
  }

  _checkState() {
    if (this.needsGesture === this._neededGesture) return;
    this._neededGesture = this.needsGesture;
    this._onNeedsGesture(this._neededGesture);
  }

  /** @param {{ level: number, target: number, jitter: number, speed: number, underruns: number, dropped: number }} data */
  _report({ level, target, jitter, speed, underruns, dropped }) {
    if (!this.context) return;
    const { baseLatency = 0, outputLatency = 0 } = this.context;
    this.statistics = {
      bufferedMs: 1000 * level,
      targetMs: 1000 * target,
      jitterMs: 1000 * jitter,
      latencyMs: 1000 * (level + baseLatency + outputLatency),
      speed,
      underruns,
      droppedMs: (1000 * dropped) / SAMPLE_RATE,
      errors: this._decoder.counters.errors,
    };
    this._onStatistics(this.statistics);
  }
}

/**
 * A context of 48 kHz, or of the sound card's own rate where the browser insists on it.
 *
 * @returns {AudioContext}
 */
export function newContext() {
  try {
    return new AudioContext({ latencyHint: "interactive", sampleRate: SAMPLE_RATE });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}
