/** Decodes received Opus packets, in order. */

import { OPUS, SAMPLE_RATE } from "./media_support.js";

/** A packet of at most this many bytes says that the sender pauses. */
const SILENT_PACKET = 2;
/** Packets that may wait for the decoder: half a second of 10 ms. */
const MAX_QUEUE = 50;

export class SoundDecoder {
  counters = { decoded: 0, dropped: 0, errors: 0 };

  /**
   * @param {object} callbacks
   * @param {(samples: Float32Array) => void} callbacks.onSamples mono, 48 kHz
   * @param {() => void} callbacks.onPause called where the sender pauses
   */
  constructor({ onSamples, onPause }) {
    this._onSamples = onSamples;
    this._onPause = onPause;
    /** @type {AudioDecoder | null} */
    this._decoder = null;
    this._time = 0;
    /** Packets that wait for the decoder, and whether each is a pause. @type {boolean[]} */
    this._waiting = [];
  }

  /** @param {Uint8Array} packet */
  decode(packet) {
    if (packet.length <= SILENT_PACKET) {
      this._waiting.push(true);
      this._passPauses();
      return;
    }
    if (this._waiting.length >= MAX_QUEUE) {
      this.counters.dropped++;
      return;
    }
    try {
      this._decoder ??= this._open();
      this._decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this._time, data: packet }));
      this._waiting.push(false);
      this._time += 10_000;
    } catch {
      this._reset();
    }
  }

  /** Free the decoder. */
  close() {
    const decoder = this._decoder;
    this._decoder = null;
    this._waiting = [];
    if (decoder && decoder.state !== "closed") decoder.close();
  }

  _open() {
    const decoder = new AudioDecoder({
      output: (data) => this._receive(decoder, data),
      error: () => decoder === this._decoder && this._reset(),
    });
    decoder.configure(OPUS);
    return decoder;
  }

  /**
   * @param {AudioDecoder} decoder
   * @param {AudioData} data
   */
  _receive(decoder, data) {
    if (decoder === this._decoder) {
      const samples = new Float32Array(data.numberOfFrames);
      // Only the first channel: the stream is mono, even where a decoder duplicates it.
      data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      this.counters.decoded++;
      this._waiting.shift();
      if (data.sampleRate === SAMPLE_RATE) this._onSamples(samples);
      this._passPauses();
    }
    data.close();
  }

  _passPauses() {
    while (this._waiting[0]) {
      this._waiting.shift();
      this._onPause();
    }
  }

  /** The next packet opens a new decoder: one broken packet must not end the sound. */
  _reset() {
    this.counters.errors++;
    this.close();
  }
}
