/** Takes pictures from the camera's stream, for the encoder and for a preview in characters. */

import { resized } from "./canvas.js";
import { halfBlocks } from "./half_blocks.js";

/** Browsers without requestVideoFrameCallback are polled: milliseconds between two pictures. */
const POLL_INTERVAL = 33;
/** In the background, browsers report no new pictures. Then one is taken this often, in milliseconds. */
const BACKGROUND_INTERVAL = 1000;

export class PictureSource {
  /** @param {(image: HTMLVideoElement, width: number, height: number) => void} onPicture called for every picture */
  constructor(onPicture) {
    this._onPicture = onPicture;
    this._last = 0;
    this._handle = 0;
    /** @type {Worker | null} */
    this._ticker = null;
    /** @type {OffscreenCanvas | HTMLCanvasElement | null} */
    this._canvas = null;
    /** The camera's picture, muted. It is almost invisible, because Safari plays only what is in the page. */
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.ariaHidden = "true";
    Object.assign(this.video.style, {
      position: "fixed",
      width: "1px",
      height: "1px",
      opacity: "0.01",
      pointerEvents: "none",
    });
  }

  /**
   * Take pictures from a stream; null stops.
   *
   * @param {MediaStream | null} stream
   */
  attach(stream) {
    const { video } = this;
    if (this._handle) video.cancelVideoFrameCallback(this._handle);
    this._handle = 0;
    this._ticker?.terminate();
    this._ticker = null;
    video.srcObject = stream;
    if (!stream) {
      video.remove();
      return;
    }
    document.body.append(video);
    // Rejected if another stream was attached before this one could play.
    video.play().catch(() => {});
    const canWait = "requestVideoFrameCallback" in video;
    if (canWait) this._waitForPicture();
    // A worker's timer also runs in the background, where the page's own timers are slowed down.
    this._ticker = new Worker(new URL("ticker_worker.js", import.meta.url));
    this._ticker.postMessage(canWait ? BACKGROUND_INTERVAL : POLL_INTERVAL);
    this._ticker.onmessage = () => {
      if (!canWait || performance.now() - this._last > 0.9 * BACKGROUND_INTERVAL) this._take();
    };
  }

  _waitForPicture() {
    this._handle = this.video.requestVideoFrameCallback(() => {
      this._waitForPicture();
      this._take();
    });
  }

  _take() {
    const { videoWidth, videoHeight, readyState } = this.video;
    if (readyState < HTMLMediaElement.HAVE_CURRENT_DATA || videoWidth === 0) return;
    this._last = performance.now();
    this._onPicture(this.video, videoWidth, videoHeight);
  }

  /**
   * The current picture in characters, filling columns x rows; null if there is none.
   *
   * @param {number} columns
   * @param {number} rows
   * @param {{ mirrored?: boolean }} [options] people expect to see themselves as in a mirror
   * @returns {import("./half_blocks.js").HalfBlocks | null}
   */
  preview(columns, rows, { mirrored = true } = {}) {
    const { videoWidth, videoHeight, readyState } = this.video;
    if (readyState < HTMLMediaElement.HAVE_CURRENT_DATA || videoWidth === 0 || columns < 1 || rows < 1) return null;
    const width = columns;
    const height = 2 * rows;
    const { canvas, context } = resized(this._canvas, width, height);
    this._canvas = canvas;
    const scale = Math.max(width / videoWidth, height / videoHeight);
    const [sourceWidth, sourceHeight] = [width / scale, height / scale];
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? width : 0, 0);
    context.drawImage(
      this.video,
      (videoWidth - sourceWidth) / 2,
      (videoHeight - sourceHeight) / 2,
      sourceWidth,
      sourceHeight,
      0,
      0,
      width,
      height,
    );
    return halfBlocks(context.getImageData(0, 0, width, height).data, columns, rows);
  }
}
