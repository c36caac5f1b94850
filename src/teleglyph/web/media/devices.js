/** The cameras, microphones and speakers of this computer, and which of them were chosen. */

import { recall, remember } from "../storage.js";

/** @typedef {"camera" | "microphone" | "speaker"} DeviceKind */
/** @typedef {{ id: string, label: string }} Device */

/** @type {Record<MediaDeviceKind, DeviceKind>} */
const KINDS = { videoinput: "camera", audioinput: "microphone", audiooutput: "speaker" };
const PREFIX = "teleglyph.device.";

/** Lists devices and remembers choices. Without the browser's support the lists are empty; nothing throws. */
export class Devices {
  /** @param {() => void} [onChange] called when a device was connected or disconnected */
  constructor(onChange = () => {}) {
    this._onChange = () => onChange();
    globalThis.navigator?.mediaDevices?.addEventListener?.("devicechange", this._onChange);
  }

  /**
   * All devices. Browsers hide labels until a permission was given; devices without a label are numbered.
   *
   * @returns {Promise<Record<DeviceKind, Device[]>>}
   */
  async list() {
    /** @type {Record<DeviceKind, Device[]>} */
    const lists = { camera: [], microphone: [], speaker: [] };
    const infos = await globalThis.navigator?.mediaDevices?.enumerateDevices?.().catch(() => []);
    for (const { kind, deviceId, label } of infos ?? []) {
      const name = KINDS[kind];
      const list = lists[name];
      const number = list.length + 1;
      list.push({ id: deviceId, label: label || `${name[0].toUpperCase()}${name.slice(1)} ${number}` });
    }
    return lists;
  }

  /**
   * The remembered choice, or "" for the default device.
   *
   * @param {DeviceKind} kind
   */
  chosen(kind) {
    return recall(PREFIX + kind) ?? "";
  }

  /**
   * Remember a choice for the next visit.
   *
   * @param {DeviceKind} kind
   * @param {string} id of the device; "" for the default device
   */
  choose(kind, id) {
    remember(PREFIX + kind, id);
  }

  /** Stop watching for changes. */
  close() {
    globalThis.navigator?.mediaDevices?.removeEventListener?.("devicechange", this._onChange);
  }
}
