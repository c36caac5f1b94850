/** Turns a camera or a microphone on and off. */

import { openDevice } from "./explain.js";

/**
 * @typedef {object} CaptureCallbacks
 * @property {(stream: MediaStream | null) => void} [onChange] called with a new stream, or with null when it is off
 * @property {(error: unknown) => void} [onLost] called when the device stopped by itself; see `explain`
 */

/** One camera or microphone. Its light is on only between `open` and `close`. */
export class CaptureDevice {
  /** @type {MediaStream | null} null while the device is off */
  stream = null;

  /**
   * @param {"video" | "audio"} kind
   * @param {CaptureCallbacks} [callbacks]
   */
  constructor(kind, { onChange = () => {}, onLost = () => {} } = {}) {
    this._kind = kind;
    this._onChange = onChange;
    this._onLost = onLost;
    this._attempt = 0;
    this._checkDevices = () => void this._closeIfGone();
  }

  /** Whether the device is on. */
  get isOn() {
    return this.stream !== null;
  }

  /** The identifier of the open device, or "". */
  get deviceId() {
    return this.stream?.getTracks()[0].getSettings().deviceId ?? "";
  }

  /**
   * Turn the device on, or change to another. Returns null if it was turned off in the meantime.
   *
   * @param {MediaTrackConstraints} constraints
   * @param {string} [deviceId] the wanted device; any other is used if it is gone
   * @returns {Promise<MediaStream | null>}
   * @throws {Error} which `explain` explains
   */
  async openWith(constraints, deviceId) {
    this.close();
    const attempt = this._attempt;
    const stream = await openDevice(this._kind, constraints, deviceId);
    if (attempt !== this._attempt) {
      stopTracks(stream);
      return null;
    }
    this.stream = stream;
    // Drivers are not required to end the track when a device is unplugged, so the list is checked as well.
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this._lose(stream));
    navigator.mediaDevices.addEventListener("devicechange", this._checkDevices);
    this._onChange(stream);
    return stream;
  }

  /** Turn the device off. */
  close() {
    this._attempt++;
    if (!this.stream) return;
    navigator.mediaDevices.removeEventListener("devicechange", this._checkDevices);
    stopTracks(this.stream);
    this.stream = null;
    this._onChange(null);
  }

  async _closeIfGone() {
    const { stream, deviceId } = this;
    if (!stream || !deviceId) return;
    const infos = await navigator.mediaDevices.enumerateDevices().catch(() => null);
    if (infos && !infos.some((info) => info.deviceId === deviceId)) this._lose(stream);
  }

  /** @param {MediaStream} stream */
  _lose(stream) {
    if (this.stream !== stream) return;
    this.close();
    this._onLost(Object.assign(new Error("The device stopped"), { name: "LostError" }));
  }
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}
