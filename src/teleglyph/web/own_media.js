/** What this page sends: the camera's pictures and the microphone's sound, as far as the user wants them. */

import { Camera, explain } from "./media/camera.js";
import { Devices } from "./media/devices.js";
import { Microphone } from "./media/microphone.js";
import { PictureEncoder } from "./media/picture_encoder.js";
import { PictureSource } from "./media/picture_source.js";

/** @type {import("./media/picture_encoder.js").PictureRequest} */
const UNSEEN = { width: 0, height: 0, interval: 1000, keyframe: false };
/** Of pictures that nobody sees, in pixels. The server gives a place in the grid only to people who send some. */
const [UNSEEN_WIDTH, UNSEEN_HEIGHT] = [64, 36];

/**
 * @typedef {object} Callbacks
 * @property {() => void} onChange the camera or the microphone was turned on or off, or devices changed
 * @property {(text: string) => void} onProblem sentences for the user
 * @property {(rms: number) => void} onLevel of the microphone, 0 to 1
 */

/** @typedef {import("./media/picture_encoder.js").EncodedPicture} EncodedPicture */

export class OwnMedia {
  /**
   * @param {Callbacks} callbacks
   */
  constructor(callbacks) {
    this._callbacks = callbacks;
    /** @type {(picture: EncodedPicture) => boolean} false if it was dropped */
    this.onPicture = () => true;
    /** @type {(packet: Uint8Array, milliseconds: number) => void} */
    this.onOpus = () => {};
    /** @type {(samples: Float32Array) => void} */
    this.onSamples = () => {};
    /** @type {PictureEncoder | null} */
    this._encoder = null;
    this._request = UNSEEN;
    this.devices = new Devices(() => callbacks.onChange());
    this._source = new PictureSource((image, width, height) => this._encoder?.encode(image, width, height));
    this._camera = new Camera({
      onChange: (stream) => {
        this._source.attach(stream);
        callbacks.onChange();
      },
      onLost: (error) => callbacks.onProblem(explain(error, "camera")),
    });
    this._microphone = new Microphone({
      onOpus: (packet, milliseconds) => this.onOpus(packet, milliseconds),
      onSamples: (samples) => this.onSamples(samples),
      onLevel: ({ rms }) => callbacks.onLevel(rms),
      onSending: () => callbacks.onChange(),
      onChange: () => callbacks.onChange(),
      onLost: (error) => callbacks.onProblem(explain(error, "microphone")),
    });
  }

  get hasCamera() {
    return this._camera.isOn;
  }

  get hasMicrophone() {
    return this._microphone.isOn && !this._microphone.isMuted;
  }

  /** Whether sound leaves this page at the moment: with push to talk only while the key is held. */
  get isTalking() {
    return this._microphone.isSending;
  }

  /** @param {boolean} isOn */
  async setCamera(isOn) {
    if (!isOn) this._camera.close();
    else await this._tried("camera", () => this._camera.open({ deviceId: this.devices.chosen("camera") }));
  }

  /** @param {boolean} isOn the device itself stays open while it is muted, so that it is back at once */
  async setMicrophone(isOn) {
    this._microphone.setMuted(!isOn);
    if (isOn && !this._microphone.isOn)
      await this._tried("microphone", () => this._microphone.open({ deviceId: this.devices.chosen("microphone") }));
    this._callbacks.onChange();
  }

  /** @param {boolean} isPushToTalk */
  setPushToTalk(isPushToTalk) {
    this._microphone.setPushToTalk(isPushToTalk);
  }

  /** @param {boolean} isTalking the key is held */
  setTalking(isTalking) {
    this._microphone.setTalking(isTalking);
  }

  /**
   * Use another device, now if it is on.
   *
   * @param {"camera" | "microphone"} kind
   * @param {string} id "" for the default
   */
  async choose(kind, id) {
    this.devices.choose(kind, id);
    const device = kind === "camera" ? this._camera : this._microphone;
    if (device.isOn) await this._tried(kind, () => device.open({ deviceId: id }));
  }

  /** @param {number} codecs bits of the codecs that the server decodes */
  startEncoding(codecs) {
    this._encoder?.close();
    this._request = UNSEEN;
    this._encoder = null;
    if (!codecs) return;
    const accepted = Array.from({ length: 32 }, (_, codec) => codec).filter((codec) => codecs & (1 << codec));
    const encoder = new PictureEncoder({
      accepted,
      onPicture: (picture) => {
        // Later pictures depend on a dropped one.
        if (!this.onPicture(picture)) encoder.request({ ...this._request, keyframe: true });
      },
    });
    this._encoder = encoder;
  }

  /** Encode nothing until the next startEncoding. */
  stopEncoding() {
    this._encoder?.close();
    this._encoder = null;
  }

  /** @param {import("./media/picture_encoder.js").PictureRequest} request of the server */
  request(request) {
    const { width, height, keyframe } = request;
    this._request = {
      ...request,
      width: width || UNSEEN_WIDTH,
      height: height || UNSEEN_HEIGHT,
      keyframe: false,
    };
    this._encoder?.request({ ...this._request, keyframe });
  }

  /**
   * The camera's picture in half blocks; null without one.
   *
   * @param {number} columns
   * @param {number} rows
   */
  preview(columns, rows) {
    return this._source.preview(columns, rows);
  }

  /** Turn everything off. */
  close() {
    this.stopEncoding();
    this._camera.close();
    this._microphone.close();
    this.devices.close();
  }

  /**
   * @param {"camera" | "microphone"} kind
   * @param {() => Promise<unknown>} open
   */
  async _tried(kind, open) {
    try {
      await open();
    } catch (error) {
      this._callbacks.onProblem(explain(error, kind));
      this._callbacks.onChange();
    }
  }
}
