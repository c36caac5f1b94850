/** Sizes, rates and codecs of the pictures that are sent. */

/** The codecs' numbers on the wire. */
export const CODEC = Object.freeze({ VP8: 1, VP9: 2, AV1: 3, H264: 4, JPEG: 5 });

/** @type {Record<number, string>} */
const CODEC_STRINGS = {
  [CODEC.VP8]: "vp8",
  [CODEC.VP9]: "vp09.00.31.08",
  [CODEC.AV1]: "av01.0.05M.08",
  [CODEC.H264]: "avc1.42E01F",
};
const MIN_SIDE = 32;
const MAX_SIDE = 1280;
const BITS_PER_PIXEL = 0.1;
const MIN_BITRATE = 40_000;
const MAX_BITRATE = 2_000_000;
const MAX_RATE = 30;
/** A picture that is late by up to the time between two of the camera's, in milliseconds, does not delay the next. */
const MAX_LAG = 35;

/**
 * The size to send: covers the wanted size in the source's own shape, even, never larger than needed or than the source.
 *
 * @param {number} sourceWidth pixels
 * @param {number} sourceHeight
 * @param {number} width of the largest place that shows the picture, in pixels
 * @param {number} height
 * @returns {{ width: number, height: number }}
 */
export function sizeToSend(sourceWidth, sourceHeight, width, height) {
  const smallest = MIN_SIDE / Math.min(sourceWidth, sourceHeight);
  const largest = Math.min(1, MAX_SIDE / Math.max(sourceWidth, sourceHeight));
  const scale = Math.max(smallest, Math.min(largest, Math.max(width / sourceWidth, height / sourceHeight)));
  /** @param {number} side */
  const even = (side) => Math.max(MIN_SIDE, 2 * Math.ceil((side * scale) / 2 - 0.01));
  return { width: even(sourceWidth), height: even(sourceHeight) };
}

/**
 * Pictures per second for an interval from PICTURE_REQUEST.
 *
 * @param {number} interval milliseconds
 */
export function rateOf(interval) {
  return Math.min(MAX_RATE, 1000 / Math.max(1, interval));
}

/**
 * @param {number} width pixels
 * @param {number} height
 * @param {number} rate pictures per second
 * @returns {number} bits per second
 */
export function bitrateOf(width, height, rate) {
  return Math.round(Math.max(MIN_BITRATE, Math.min(MAX_BITRATE, BITS_PER_PIXEL * width * height * rate)));
}

/**
 * @param {number} codec
 * @param {number} width
 * @param {number} height
 * @param {number} rate pictures per second
 * @returns {VideoEncoderConfig}
 */
export function encoderConfig(codec, width, height, rate) {
  return {
    codec: CODEC_STRINGS[codec],
    width,
    height,
    bitrate: bitrateOf(width, height, rate),
    framerate: rate,
    latencyMode: "realtime",
    // Annex B repeats the parameter sets in every keyframe.
    ...(codec === CODEC.H264 && { avc: { format: "annexb" } }),
  };
}

/** Decides when a picture is due, so that the average interval is kept although pictures come at other times. */
export class Pace {
  _next = -Infinity;

  /**
   * @param {number} now milliseconds
   * @param {number} interval
   * @returns {boolean} whether a picture should be sent now
   */
  isDue(now, interval) {
    // Clocks of cameras are not exact: what comes up to 2 ms early is on time.
    if (now < this._next - 2) return false;
    this._next = (now - this._next > MAX_LAG ? now : this._next) + interval;
    return true;
  }

  /** The next picture is due at once. */
  reset() {
    this._next = -Infinity;
  }
}
