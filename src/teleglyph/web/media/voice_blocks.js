/** Cuts the microphone's samples into blocks, decides which of them are sent, and measures the level. */

const RATE = 48000;
/** Samples of the fade at the beginning of every talk: 5 ms. */
const FADE = 240;
const LEVEL_SAMPLES = RATE / 20;
/** The gate opens at this level (RMS; -46 dB) and closes after this many seconds below half of it. */
const GATE_LEVEL = 0.005;
const GATE_HOLD = 0.4;

/**
 * @typedef {object} BlockCallbacks
 * @property {(block: Float32Array) => void} onBlock called with a block to send, which is given away
 * @property {() => void} onPause called once where a talk ends
 * @property {(level: { peak: number, rms: number }) => void} onLevel called 20 times per second, 0 to 1
 */

export class VoiceBlocks {
  /** Whether blocks are sent. */
  isSending = false;
  /** Whether only blocks with a voice are sent. */
  hasGate = false;

  /**
   * @param {number} blockSize samples
   * @param {BlockCallbacks} callbacks
   * @param {number} [inputRate] samples per second that are added; blocks have 48000
   */
  constructor(blockSize, { onBlock, onPause, onLevel }, inputRate = RATE) {
    this._onBlock = onBlock;
    this._onPause = onPause;
    this._onLevel = onLevel;
    this._size = blockSize;
    this._block = new Float32Array(blockSize);
    this._filled = 0;
    /** The block before the current one, which is sent as well when the gate opens: words begin quietly. */
    this._previous = new Float32Array(blockSize);
    this._isTalking = false;
    this._quiet = Infinity;
    this._step = inputRate / RATE;
    this._position = 0;
    this._before = 0;
    this._peak = this._sum = this._measured = 0;
  }

  /** @param {Float32Array} samples mono */
  add(samples) {
    if (this._step === 1) for (const sample of samples) this._put(sample);
    else this._resample(samples);
  }

  /** @param {Float32Array} samples */
  _resample(samples) {
    // Straight lines between samples: sound cards' rates are close to ours, or the voice is narrow.
    for (const sample of samples) {
      for (; this._position < 1; this._position += this._step) {
        this._put(this._before + (sample - this._before) * this._position);
      }
      this._position -= 1;
      this._before = sample;
    }
  }

  /** @param {number} sample */
  _put(sample) {
    this._block[this._filled++] = sample;
    this._peak = Math.max(this._peak, Math.abs(sample));
    this._sum += sample * sample;
    if (++this._measured === LEVEL_SAMPLES) {
      this._onLevel({ peak: this._peak, rms: Math.sqrt(this._sum / LEVEL_SAMPLES) });
      this._peak = this._sum = this._measured = 0;
    }
    if (this._filled === this._size) this._finish();
  }

  _finish() {
    const block = this._block;
    const isTalking = this.isSending && (!this.hasGate || this._isVoice(block));
    if (isTalking && !this._isTalking) {
      const first = this.hasGate ? this._previous : block;
      for (let i = 0; i < FADE; i++) first[i] *= i / FADE;
      if (first !== block) this._onBlock(first);
    }
    if (isTalking) this._onBlock(block);
    else if (this._isTalking) this._onPause();
    this._isTalking = isTalking;
    // What was sent belongs to others, and its length may be 0 now.
    this._block = new Float32Array(this._size);
    this._previous = isTalking ? new Float32Array(this._size) : block;
    this._filled = 0;
  }

  /** @param {Float32Array} block */
  _isVoice(block) {
    let sum = 0;
    for (const sample of block) sum += sample * sample;
    const level = Math.sqrt(sum / block.length);
    if (level > (this._isTalking ? GATE_LEVEL / 2 : GATE_LEVEL)) this._quiet = 0;
    else this._quiet += block.length / RATE;
    return this._quiet < GATE_HOLD;
  }
}
