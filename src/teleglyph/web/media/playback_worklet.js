/** Plays samples in the audio thread. Receives Float32Array or "pause"; sends statistics. */

import { JitterBuffer } from "./jitter_buffer.js";

const STATISTICS_INTERVAL = 0.25;

class PlaybackProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this._buffer = new JitterBuffer({ outputRate: sampleRate });
    this._reported = 0;
    this._isOpen = true;
    this.port.onmessage = ({ data }) => {
      if (data === "pause") this._buffer.pause();
      else if (data === "close") this._isOpen = false;
      else this._buffer.push(data, currentTime);
    };
  }

  /**
   * @param {Float32Array[][]} _
   * @param {Float32Array[][]} outputs
   */
  process(_, [[output]]) {
    this._buffer.pull(output, currentTime);
    if (currentTime - this._reported >= STATISTICS_INTERVAL) {
      this._reported = currentTime;
      const { level, target, jitter, speed, counters } = this._buffer;
      this.port.postMessage({ level, target, jitter, speed, ...counters });
    }
    return this._isOpen;
  }
}

registerProcessor("teleglyph-playback", PlaybackProcessor);
