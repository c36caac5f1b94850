/** A call that survives lost connections: joins, keeps the page's wishes, and joins again with the same. */

import { CallConnection } from "./connection.js";
import {
  Feature,
  Stream,
  capabilities,
  clientJoin,
  codedPicture,
  readPictureRequest,
  readRoster,
  readViewState,
  screenAck,
  stream,
  viewSettings,
} from "./messages.js";
import { Type } from "./packet.js";

const FEATURES = Feature.SCREENS | Feature.CODED_PICTURES | Feature.DEFLATE | Feature.ROSTER;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
/** A connection that lasts this long is a good one; the next failure begins with a short delay again. */
const STEADY_MS = 10_000;
/** More than this waits in the browser only if the network carries less than the camera sends. */
const MAX_WAITING_PICTURES = 200_000;
const MAX_WAITING_SOUND = 400_000;

/** @typedef {import("./messages.js").View} View */
/** @typedef {import("./handshake.js").Ending} Ending */

/**
 * @typedef {object} Entry what the page shows to be let in
 * @property {string} room
 * @property {string} invitation
 * @property {string} password
 * @property {string} name
 */

/**
 * @typedef {object} CallHandlers
 * @property {(welcome: {room: string, group: string, isViewOnly: boolean, codecs: number}) => void} onJoined codecs are
 *   bits of those that the server decodes; 0 if it takes no compressed pictures
 * @property {(payload: Uint8Array) => void} onScreen a SCREEN_UPDATE
 * @property {(type: number, payload: Uint8Array) => void} onSound
 * @property {(request: ReturnType<typeof readPictureRequest>) => void} onPictureRequest
 * @property {(roster: import("./messages.js").RosterEntry[]) => void} onRoster
 * @property {(state: ReturnType<typeof readViewState>) => void} onViewState
 * @property {(ending: Ending, secondsToRetry: number) => void} onLost the connection is lost; it is tried again
 * @property {(ending: Ending) => void} onRefused
 */

export class Call {
  /**
   * @param {import("./transport.js").Connect} connect
   * @param {Entry} entry
   * @param {View} view
   * @param {boolean} hasOpus
   * @param {CallHandlers} handlers
   */
  constructor(connect, entry, view, hasOpus, handlers) {
    this._open = connect;
    this._entry = entry;
    this._view = view;
    this._hasOpus = hasOpus;
    this._handlers = handlers;
    this._streams = 0;
    this._failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._retry = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._steady = undefined;
    this._isIn = false;
    this._hadJoined = false;
    this._hasLeft = false;
    this._stop = new AbortController();
    const options = { signal: this._stop.signal };
    addEventListener("online", () => this._networkChanged(), options);
    addEventListener("pageshow", () => this._networkChanged(), options);
    document.addEventListener("visibilitychange", () => this._networkChanged(), options);
    /** @type {{addEventListener?: Function} | undefined} */ (
      /** @type {any} */ (navigator).connection
    )?.addEventListener?.("change", () => this._networkChanged(), options);
    this._connection = this._connect();
  }

  /** Whether the page is in the call at this moment. */
  get isIn() {
    return this._isIn;
  }

  /** @param {View} view what the page wants to see from now on */
  setView(view) {
    this._view = view;
    if (!this._isIn) return;
    this._connection.send(Type.VIEW_SETTINGS, viewSettings(view));
    this._connection.send(Type.CLIENT_CAPABILITIES, capabilities(view, this._hasOpus));
  }

  /**
   * @param {number} kinds bits of Stream: what the page sends or hears from now on
   */
  setStreams(kinds) {
    const [started, stopped] = [kinds & ~this._streams, this._streams & ~kinds];
    this._streams = kinds;
    if (!this._isIn) return;
    if (stopped) this._connection.send(Type.STREAM_STOP, stream(stopped));
    if (started) this._connection.send(Type.STREAM_START, stream(started));
  }

  /** @param {string} name */
  setName(name) {
    this._entry = { ...this._entry, name };
    if (this._isIn) this._join();
  }

  /**
   * @param {number} number of the screen that is shown
   * @param {boolean} wantsWhole
   */
  acknowledge(number, wantsWhole) {
    this._connection.send(Type.SCREEN_ACK, screenAck(number, wantsWhole));
  }

  /**
   * @param {{codec: number, keyframe: boolean, width: number, height: number, data: Uint8Array}} picture
   * @returns {boolean} false if it was dropped, so that the next one has to be a keyframe
   */
  sendPicture(picture) {
    if (!this._isIn || !(this._streams & Stream.VIDEO) || this._connection.waitingBytes > MAX_WAITING_PICTURES)
      return false;
    this._connection.send(Type.CODED_PICTURE, codedPicture(picture));
    return true;
  }

  /**
   * @param {number} type AUDIO_OPUS_BATCH or AUDIO_BATCH
   * @param {Uint8Array} payload
   */
  sendSound(type, payload) {
    if (this._isIn && this._streams & Stream.AUDIO && this._connection.waitingBytes < MAX_WAITING_SOUND)
      this._connection.send(type, payload);
  }

  /** Leave for good. */
  leave() {
    this._hasLeft = true;
    this._isIn = false;
    this._stop.abort();
    clearTimeout(this._retry);
    clearTimeout(this._steady);
    this._connection.leave();
  }

  _connect() {
    const { room, password, invitation } = this._entry;
    return new CallConnection(
      this._open,
      { features: FEATURES, room, password, invitation },
      {
        onWelcome: (welcome) => this._welcomed(welcome),
        onPacket: (type, payload) => this._receive(type, payload),
        onEnd: (ending) => this._ended(ending),
      },
    );
  }

  /** @param {Parameters<import("./connection.js").Handlers["onWelcome"]>[0]} welcome */
  _welcomed(welcome) {
    this._isIn = this._hadJoined = true;
    this._steady = setTimeout(() => (this._failures = 0), STEADY_MS);
    this._connection.send(Type.VIEW_SETTINGS, viewSettings(this._view));
    this._connection.send(Type.CLIENT_CAPABILITIES, capabilities(this._view, this._hasOpus));
    this._join();
    if (this._streams) this._connection.send(Type.STREAM_START, stream(this._streams));
    const takesPictures = (welcome.features & Feature.CODED_PICTURES) !== 0;
    this._handlers.onJoined({ ...welcome, codecs: takesPictures ? welcome.codecs : 0 });
  }

  _join() {
    // Without it the server invents a name.
    if (!this._entry.name) return;
    this._connection.send(Type.CLIENT_JOIN, clientJoin(this._entry.name, (this._streams & Stream.VIDEO) !== 0));
  }

  /**
   * @param {number} type
   * @param {Uint8Array} payload
   */
  _receive(type, payload) {
    const handlers = this._handlers;
    if (type === Type.SCREEN_UPDATE) handlers.onScreen(payload);
    else if (type === Type.AUDIO_OPUS_BATCH || type === Type.AUDIO_BATCH) handlers.onSound(type, payload);
    else if (type === Type.PICTURE_REQUEST) handlers.onPictureRequest(readPictureRequest(payload));
    else if (type === Type.ROSTER) handlers.onRoster(readRoster(payload));
    else if (type === Type.VIEW_STATE) {
      const state = readViewState(payload);
      this._view = { ...this._view, spotlight: state.place };
      handlers.onViewState(state);
    }
  }

  /** @param {Ending} ending */
  _ended(ending) {
    this._isIn = false;
    clearTimeout(this._steady);
    if (this._hasLeft) return;
    if (ending.kind === "refused" || !this._hadJoined) {
      this._stop.abort();
      this._handlers.onRefused(ending);
      return;
    }
    const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this._failures) * (0.75 + 0.5 * Math.random());
    this._failures += 1;
    this._retry = setTimeout(() => this._reconnect(), delay);
    this._handlers.onLost(ending, delay / 1000);
  }

  _reconnect() {
    clearTimeout(this._retry);
    this._retry = undefined;
    this._connection = this._connect();
  }

  /** The network or the page is back: do not wait for a timer. */
  _networkChanged() {
    if (document.visibilityState === "hidden") return;
    if (this._retry !== undefined) this._reconnect();
    else if (this._isIn) this._connection.check();
  }
}
