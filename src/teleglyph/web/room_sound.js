/** What the others say: from the packets of a call to the speaker. */

import { decodeOpusBatch } from "./call/opus_batch.js";
import { Type } from "./call/packet.js";
import { decodeAudioBatch } from "./media/audio_batch.js";
import { Playback } from "./media/playback.js";

export class RoomSound {
  /** @param {(needsGesture: boolean) => void} onNeedsGesture the browser waits for a click; see `resume` */
  constructor(onNeedsGesture) {
    this._onNeedsGesture = onNeedsGesture;
    this._volume = 1;
    /** @type {Playback | null} */
    this.playback = null;
  }

  /** Whether a speaker can be chosen. */
  static get canChooseOutput() {
    return Playback.canChooseOutput;
  }

  /** @param {number} volume from 0 to 1 */
  set volume(volume) {
    this._volume = volume;
    if (this.playback) this.playback.volume = volume;
  }

  /** @param {() => string} speaker the id of the chosen one, which may change until sound is played; empty for the default */
  async start(speaker) {
    this.playback ??= new Playback({ onNeedsGesture: this._onNeedsGesture });
    this.playback.volume = this._volume;
    try {
      await this.playback.start();
      await this.playback?.setOutput(speaker());
    } catch (error) {
      if (this.playback !== null) console.warn("Cannot play sound.", error);
    }
  }

  /** Play at last, after a click. */
  async resume() {
    await this.playback?.resume();
  }

  /** @param {string} speaker its id; rejects if it cannot be used */
  async setOutput(speaker) {
    await this.playback?.setOutput(speaker);
  }

  /**
   * @param {number} type of a packet with sound
   * @param {Uint8Array} payload
   */
  hear(type, payload) {
    if (type === Type.AUDIO_OPUS_BATCH) this.playback?.pushOpus(decodeOpusBatch(payload));
    else {
      try {
        this.playback?.pushSamples(decodeAudioBatch(payload));
      } catch (error) {
        console.warn(error);
      }
    }
  }

  close() {
    this.playback?.close();
    this.playback = null;
  }
}
