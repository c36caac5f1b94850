/** Takes the microphone's samples in the audio thread. Sends Float32Array blocks, "pause" and levels. */

import { VoiceBlocks } from "./voice_blocks.js";

class CaptureProcessor extends AudioWorkletProcessor {
  /** @param {AudioWorkletNodeOptions} options */
  constructor({ processorOptions }) {
    super();
    this._blocks = new VoiceBlocks(
      processorOptions.blockSize,
      {
        onBlock: (block) => this.port.postMessage(block, [block.buffer]),
        onPause: () => this.port.postMessage("pause"),
        onLevel: (level) => this.port.postMessage(level),
      },
      sampleRate,
    );
    this._isOpen = true;
    this.port.onmessage = ({ data }) => {
      if (data === "close") this._isOpen = false;
      else Object.assign(this._blocks, data);
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([[input]]) {
    if (input && this._isOpen) this._blocks.add(input);
    return this._isOpen;
  }
}

registerProcessor("teleglyph-capture", CaptureProcessor);
