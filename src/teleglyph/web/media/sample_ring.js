/** The last 1.4 seconds of a sound. Positions count the samples since its beginning. */

const CAPACITY = 65536;
const MASK = CAPACITY - 1;
/** Samples below this amplitude are silence. */
const AUDIBLE = 0.001;

export class SampleRing {
  /** The position after the last sample. */
  end = 0;
  _samples = new Float32Array(CAPACITY);

  /** @param {Float32Array} samples at most as many as the ring holds */
  write(samples) {
    const start = this.end & MASK;
    const room = CAPACITY - start;
    this._samples.set(samples.subarray(0, room), start);
    if (samples.length > room) this._samples.set(samples.subarray(room), 0);
    this.end += samples.length;
  }

  /**
   * The value at a position, which may be between two samples, by a cubic (Catmull-Rom) curve.
   *
   * @param {number} position
   */
  at(position) {
    const index = Math.floor(position);
    const part = position - index;
    const samples = this._samples;
    const here = samples[index & MASK];
    if (part === 0) return here;
    const before = samples[(index - 1) & MASK];
    const after = samples[(index + 1) & MASK];
    const later = samples[(index + 2) & MASK];
    const slope = after - before;
    const bend = 2 * before - 5 * here + 4 * after - later;
    const twist = 3 * (here - after) + later - before;
    return here + 0.5 * part * (slope + part * (bend + part * twist));
  }

  /**
   * Whether any of the samples before a position can be heard.
   *
   * @param {number} position
   * @param {number} count
   */
  isAudible(position, count) {
    const end = Math.floor(position);
    for (let i = end - count; i < end; i++) if (Math.abs(this._samples[i & MASK]) > AUDIBLE) return true;
    return false;
  }
}
