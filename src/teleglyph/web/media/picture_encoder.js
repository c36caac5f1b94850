/** Encodes pictures as large and as often as somebody sees them. */

import { jpegOf, resized } from "./canvas.js";
import { isSupported } from "./media_support.js";
import { CODEC, Pace, encoderConfig, rateOf, sizeToSend } from "./picture_rules.js";

export { CODEC } from "./picture_rules.js";

/** VP8 and H.264 take the least processor time and work in most browsers; VP9 takes twice as much. */
export const PREFERRED_CODECS = [CODEC.VP8, CODEC.H264, CODEC.AV1, CODEC.VP9];

const KEYFRAME_INTERVAL = 10_000;
const MAX_QUEUE = 2;
/** An encoder whose queue stays full for this long has failed, in milliseconds. */
const STUCK = 3000;
/** JPEG pictures are several times larger than others, so there are fewer of them: milliseconds between two. */
const JPEG_INTERVAL = 66;
const JPEG_ONLY = { codec: CODEC.JPEG, encoder: null };

/** @typedef {{ codec: number, keyframe: boolean, width: number, height: number, data: Uint8Array }} EncodedPicture */
/** @typedef {{ width: number, height: number, interval: number, keyframe?: boolean }} PictureRequest */
/** @typedef {{ codec: number, encoder: VideoEncoder | null }} Chosen */

export class PictureEncoder {
  /** Pictures that were encoded, dropped because the encoder was busy, and encoders that failed. */
  counters = { encoded: 0, dropped: 0, errors: 0 };

  /**
   * @param {object} options
   * @param {(picture: EncodedPicture) => void} options.onPicture
   * @param {number[]} [options.accepted] the server's codecs
   * @param {number[]} [options.preferred] codecs in the order in which they are tried; JPEG is always last
   * @param {(codec: number) => void} [options.onCodec] called when a codec was chosen; 0 if none works
   */
  constructor({ onPicture, accepted = Object.values(CODEC), preferred = PREFERRED_CODECS, onCodec = () => {} }) {
    this._onPicture = onPicture;
    this._onCodec = onCodec;
    this._usable = preferred.filter((codec) => codec !== CODEC.JPEG && accepted.includes(codec));
    this._acceptsJpeg = accepted.includes(CODEC.JPEG);
    /** @type {PictureRequest} */
    this._request = { width: 0, height: 0, interval: 1000 };
    this._pace = new Pace();
    /** @type {Chosen | null} */
    this._chosen = null;
    this._choosing = false;
    this._size = { width: 0, height: 0, rate: 0 };
    this._generation = 0;
    this._needsKeyframe = true;
    this._lastKeyframe = 0;
    this._lastTime = 0;
    this._fullSince = 0;
    this._jpegs = 0;
    this._reportedCodec = -1;
    /** @type {OffscreenCanvas | HTMLCanvasElement | null} */
    this._canvas = null;
  }

  /** The codec in use; 0 before the first picture and while nobody sees pictures. */
  get codec() {
    return this._chosen?.codec ?? 0;
  }

  /**
   * Obey a PICTURE_REQUEST. Before the first one nothing is encoded.
   *
   * @param {PictureRequest} request
   */
  request(request) {
    this._request = request;
    if (request.keyframe) {
      this._needsKeyframe = true;
      this._pace.reset();
    }
    if (request.width === 0 || request.height === 0) this._stop();
  }

  /** Whether a picture would be encoded now or later. False if nobody sees it. */
  get isWanted() {
    return this._request.width > 0 && this._request.height > 0;
  }

  /**
   * Encode a picture, if one is due.
   *
   * @param {CanvasImageSource} image
   * @param {number} width of the image, in pixels
   * @param {number} height
   * @param {number} [now] milliseconds
   */
  encode(image, width, height, now = performance.now()) {
    if (!this.isWanted || this._choosing || width === 0 || height === 0) return;
    const { interval } = this._request;
    const isJpeg = this.codec === CODEC.JPEG;
    if (!this._pace.isDue(now, isJpeg ? Math.max(interval, JPEG_INTERVAL) : interval)) return;
    const size = { ...sizeToSend(width, height, this._request.width, this._request.height), rate: rateOf(interval) };
    if (!this._chosen || !isSame(size, this._size)) {
      this._size = size;
      void this._choose();
    } else if (!this._isBusy(now)) {
      this._draw(image);
      if (isJpeg) void this._encodeJpeg();
      else this._encodeFrame(now);
    }
  }

  /** Stop, and free the encoder. A later request starts it again. */
  close() {
    this.request({ width: 0, height: 0, interval: 1000 });
  }

  _stop() {
    this._generation++;
    this._choosing = false;
    if (this._chosen?.encoder && this._chosen.encoder.state !== "closed") this._chosen.encoder.close();
    this._chosen = null;
    this._needsKeyframe = true;
    this._fullSince = 0;
    this._pace.reset();
  }

  /** Open an encoder of the first codec that works for the current size and rate. */
  async _choose() {
    this._stop();
    const generation = this._generation;
    this._choosing = true;
    const { width, height, rate } = this._size;
    /** @type {Chosen | null} */
    let chosen = null;
    for (const codec of this._usable) {
      const config = encoderConfig(codec, width, height, rate);
      const works = await isSupported(globalThis.VideoEncoder, config);
      if (generation !== this._generation) return;
      if (works) {
        chosen = this._open(codec, config);
        break;
      }
    }
    this._choosing = false;
    this._chosen = chosen ?? (this._acceptsJpeg ? JPEG_ONLY : null);
    if (this.codec !== this._reportedCodec) this._onCodec((this._reportedCodec = this.codec));
  }

  /**
   * @param {number} codec
   * @param {VideoEncoderConfig} config
   */
  _open(codec, config) {
    const { width, height } = config;
    const generation = this._generation;
    const encoder = new VideoEncoder({
      output: (chunk) => {
        if (generation !== this._generation) return;
        const data = new Uint8Array(chunk.byteLength);
        chunk.copyTo(data);
        this.counters.encoded++;
        this._onPicture({ codec, keyframe: chunk.type === "key", width, height, data });
      },
      error: () => generation === this._generation && this._fail(codec),
    });
    encoder.configure(config);
    return { codec, encoder };
  }

  /** @param {number} codec an encoder that does not work; the next picture chooses another */
  _fail(codec) {
    this.counters.errors++;
    this._usable = this._usable.filter((other) => other !== codec);
    this._stop();
  }

  /** @param {number} now */
  _isBusy(now) {
    const waiting = this._chosen?.encoder ? this._chosen.encoder.encodeQueueSize : this._jpegs;
    if (waiting < (this._chosen?.encoder ? MAX_QUEUE : 1)) {
      this._fullSince = 0;
      return false;
    }
    this.counters.dropped++;
    this._fullSince ||= now;
    if (this._chosen?.encoder && now - this._fullSince > STUCK) this._fail(this._chosen.codec);
    return true;
  }

  /** @param {CanvasImageSource} image */
  _draw(image) {
    const { width, height } = this._size;
    const { canvas, context } = resized(this._canvas, width, height);
    this._canvas = canvas;
    context.drawImage(image, 0, 0, width, height);
  }

  /** @param {number} now */
  _encodeFrame(now) {
    const { encoder, codec } = /** @type {{ encoder: VideoEncoder, codec: number }} */ (this._chosen);
    const canvas = /** @type {OffscreenCanvas} */ (this._canvas);
    const keyFrame = this._needsKeyframe || now - this._lastKeyframe >= KEYFRAME_INTERVAL;
    this._lastTime = Math.max(this._lastTime + 1, Math.round(now * 1000));
    try {
      const frame = new VideoFrame(canvas, { timestamp: this._lastTime, alpha: "discard" });
      try {
        encoder.encode(frame, { keyFrame });
      } finally {
        frame.close();
      }
    } catch {
      this._fail(codec);
      return;
    }
    if (keyFrame) this._lastKeyframe = now;
    this._needsKeyframe = false;
  }

  async _encodeJpeg() {
    const generation = this._generation;
    const { width, height } = this._size;
    this._jpegs++;
    const blob = await jpegOf(/** @type {OffscreenCanvas} */ (this._canvas)).catch(() => null);
    const data = blob && new Uint8Array(await blob.arrayBuffer());
    this._jpegs--;
    if (!data || generation !== this._generation) return;
    this.counters.encoded++;
    this._onPicture({ codec: CODEC.JPEG, keyframe: true, width, height, data });
  }
}

/**
 * @param {{ width: number, height: number, rate: number }} one
 * @param {{ width: number, height: number, rate: number }} other
 */
function isSame(one, other) {
  return one.width === other.width && one.height === other.height && Math.abs(one.rate / other.rate - 1) < 0.2;
}
