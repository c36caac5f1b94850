/** The microphone: records, encodes, mutes. */

import { CaptureDevice } from "./capture_device.js";
import { SAMPLE_RATE } from "./media_support.js";
import { newContext } from "./playback.js";
import { SoundEncoder } from "./sound_encoder.js";

/**
 * @typedef {object} MicrophoneOptions
 * @property {(packet: Uint8Array, duration: number) => void} onOpus called with an Opus packet and its milliseconds
 * @property {(samples: Float32Array) => void} onSamples called instead, with mono samples at 48 kHz, where the browser
 *   has no Opus encoder; see `encodeAudioBatch`
 * @property {(level: { peak: number, rms: number }) => void} [onLevel] called 20 times per second, 0 to 1
 * @property {(isSending: boolean) => void} [onSending] called when sound starts or stops to be sent
 * @property {(stream: MediaStream | null) => void} [onChange] called when the microphone was opened or closed
 * @property {(error: unknown) => void} [onLost] called when the microphone stopped by itself; see `explain`
 * @property {number} [duration] of a packet, 10 or 20 ms
 * @property {boolean} [useOpus] false if the server takes samples only
 */

/** The microphone. Nothing leaves it while it is muted, or while nobody talks in push-to-talk. */
export class Microphone {
  /** @param {MicrophoneOptions} options */
  constructor({ onOpus, onSamples, onLevel, onSending, onChange, onLost, duration = 20, useOpus }) {
    this._onLevel = onLevel ?? (() => {});
    this._onSending = onSending ?? (() => {});
    this._duration = duration;
    this._device = new CaptureDevice("audio", {
      onChange: (stream) => {
        if (!stream) this._freeContext();
        onChange?.(stream);
      },
      onLost,
    });
    this._encoder = new SoundEncoder({ onOpus, onSamples, duration, useOpus });
    this._isMuted = false;
    this._isPushToTalk = false;
    this._isTalking = false;
    this._hasGate = false;
    this._wasSending = false;
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {AudioWorkletNode | null} */
    this._node = null;
    this._onGesture = () => void this._context?.resume().catch(() => {});
  }

  /** The microphone's stream; null while it is off. */
  get stream() {
    return this._device.stream;
  }

  get isOn() {
    return this._device.isOn;
  }

  get deviceId() {
    return this._device.deviceId;
  }

  /** Whether sound is sent as Opus. Known after `open`. */
  get sendsOpus() {
    return this._encoder.sendsOpus;
  }

  /**
   * Turn the microphone on, or change to another.
   *
   * @param {object} [options]
   * @param {string} [options.deviceId] the wanted microphone; any other is used if it is gone
   * @param {boolean} [options.echoCancellation]
   * @param {boolean} [options.noiseSuppression]
   * @param {boolean} [options.autoGainControl]
   * @returns {Promise<MediaStream | null>} null if it was turned off in the meantime
   * @throws {Error} which `explain` explains, with "microphone"
   */
  async open({ deviceId, echoCancellation = true, noiseSuppression = true, autoGainControl = true } = {}) {
    const processing = { echoCancellation, noiseSuppression, autoGainControl };
    const constraints = { ...processing, channelCount: { ideal: 1 }, sampleRate: { ideal: SAMPLE_RATE } };
    const stream = await this._device.openWith(constraints, deviceId);
    if (!stream) return null;
    try {
      await this._encoder.prepare();
      if (this.stream !== stream) return null;
      await this._record(stream);
    } catch (error) {
      if (this.stream === stream) this.close();
      throw error;
    }
    return this.stream === stream ? stream : null;
  }

  /** Turn the microphone off. */
  close() {
    this._device.close();
  }

  /** @param {boolean} isMuted nothing is recorded or sent */
  setMuted(isMuted) {
    this._isMuted = isMuted;
    this._apply();
  }

  /** @param {boolean} isPushToTalk sound is sent only between `setTalking(true)` and `setTalking(false)` */
  setPushToTalk(isPushToTalk) {
    this._isPushToTalk = isPushToTalk;
    this._isTalking = false;
    this._apply();
  }

  /** @param {boolean} isTalking whether the key for push-to-talk is held */
  setTalking(isTalking) {
    this._isTalking = isTalking;
    this._apply();
  }

  /** @param {boolean} hasGate send only while there is a voice */
  setGate(hasGate) {
    this._hasGate = hasGate;
    this._apply();
  }

  get isMuted() {
    return this._isMuted;
  }

  /** Whether sound may be sent now: on, not muted, and talking if push-to-talk is set. */
  get isSending() {
    return this._node !== null && !this._isMuted && (!this._isPushToTalk || this._isTalking);
  }

  /** @param {MediaStream} stream */
  async _record(stream) {
    const { context, source } = sourceOf(stream);
    this._context = context;
    await context.audioWorklet.addModule(new URL("capture_worklet.js", import.meta.url));
    if (this._context !== context) return;
    const blockSize = (SAMPLE_RATE * this._duration) / 1000;
    const node = new AudioWorkletNode(context, "teleglyph-capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { blockSize },
    });
    node.port.onmessage = ({ data }) => this._receive(node, data);
    source.connect(node);
    this._node = node;
    // Most browsers start the context because the microphone is in use; others wait for a gesture.
    for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, this._onGesture, true);
    this._onGesture();
    this._apply();
  }

  /**
   * @param {AudioWorkletNode} node
   * @param {Float32Array | "pause" | { peak: number, rms: number }} data
   */
  _receive(node, data) {
    if (node !== this._node) return;
    if (data === "pause") this._encoder.pause();
    else if (!(data instanceof Float32Array)) this._onLevel(data);
    // A block may be on its way while the microphone is muted.
    else if (this.isSending) this._encoder.encode(data);
  }

  _apply() {
    const isSending = this.isSending;
    for (const track of this.stream?.getTracks() ?? []) track.enabled = !this._isMuted;
    this._node?.port.postMessage({ isSending, hasGate: this._hasGate });
    if (isSending === this._wasSending) return;
    this._wasSending = isSending;
    this._onSending(isSending);
  }

  _freeContext() {
    for (const gesture of ["pointerdown", "keydown"]) removeEventListener(gesture, this._onGesture, true);
    this._node?.port.postMessage("close");
    this._node = null;
    this._encoder.pause();
    this._encoder.close();
    this._context?.close().catch(() => {});
    this._context = null;
    this._apply();
  }
}

/**
 * A context that can record the stream. Firefox refuses streams whose rate differs from the context's.
 *
 * @param {MediaStream} stream
 */
function sourceOf(stream) {
  const context = newContext();
  try {
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    context.close().catch(() => {});
    const other = new AudioContext();
    return { context: other, source: other.createMediaStreamSource(stream) };
  }
}
