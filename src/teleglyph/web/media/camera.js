/** The camera. */

import { CaptureDevice } from "./capture_device.js";

export { explain } from "./explain.js";

/** The camera. `stream` has its pictures, for a `PictureSource`. */
export class Camera extends CaptureDevice {
  /** @param {import("./capture_device.js").CaptureCallbacks} [callbacks] */
  constructor(callbacks) {
    super("video", callbacks);
  }

  /**
   * Turn the camera on, or change to another. Returns null if it was turned off in the meantime.
   *
   * @param {object} [options]
   * @param {string} [options.deviceId] the wanted camera; any other is used if it is gone
   * @param {number} [options.width] pixels that the camera should deliver
   * @param {number} [options.height]
   * @param {number} [options.rate] pictures per second
   * @returns {Promise<MediaStream | null>}
   * @throws {Error} which `explain` explains
   */
  open({ deviceId, width = 640, height = 360, rate = 30 } = {}) {
    return this.openWith(
      { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate }, facingMode: "user" },
      deviceId,
    );
  }
}
