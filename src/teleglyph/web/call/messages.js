/** Payloads of the packets that the page sends and receives (docs/protocol/messages.md, screens.md and page.md). */

import { Reader } from "./reader.js";
import { Writer, utf8 } from "./writer.js";

export const Feature = Object.freeze({ SCREENS: 0x02, CODED_PICTURES: 0x04, DEFLATE: 0x08, ROSTER: 0x10 });
export const Stream = Object.freeze({ VIDEO: 0x01, AUDIO: 0x02 });
export const AuthFailure = Object.freeze({ PASSWORD_REQUIRED: 0x01, PASSWORD_INCORRECT: 0x02, KEY_REQUIRED: 0x04 });
export const RosterFlag = Object.freeze({
  SELF: 0x01,
  PICTURE: 0x02,
  SPEAKING: 0x04,
  FROZEN: 0x08,
  SOUND: 0x10,
  VIEW_ONLY: 0x20,
});

const PAGE_VERSION = 1;
const VIEW_ONLY = 0x01;
const OPUS_SHORT_FRAMES = 0x102;
const RAW_SOUND = 0x01;
const NAME_SIZE = 32;
const MAX_PASSWORD = 256;

/**
 * @typedef {object} RosterEntry a participant
 * @property {number} number unique in the server
 * @property {number} flags bits of RosterFlag
 * @property {number} place in the grid; 0 for none
 * @property {number} x first column of its picture
 * @property {number} y first row
 * @property {number} columns 0 if it is not shown
 * @property {number} rows
 * @property {string} name
 */

/**
 * @typedef {object} View how the page wants to see the call
 * @property {number} columns
 * @property {number} rows
 * @property {number} rate frames per second
 * @property {number} colorLevel 0 none, 1 the 16 colours, 2 the 256 colours, 3 all
 * @property {number} renderMode as in VIEW_SETTINGS
 * @property {boolean} hidesSelf
 * @property {boolean} mirrorsSelf
 * @property {number} spotlight a place to show alone; 0 for all
 */

/**
 * @param {{features: number, room: string, password: string, invitation: string}} hello
 * @returns {Uint8Array}
 */
export function pageHello({ features, room, password, invitation }) {
  const texts = [utf8(room, 128), utf8(password, MAX_PASSWORD), utf8(invitation, 400)];
  const writer = new Writer(6 + texts.reduce((size, text) => size + 2 + text.length, 0));
  writer.u16(PAGE_VERSION).u32(features);
  for (const text of texts) writer.u16(text.length).bytes(text);
  return writer.end();
}

/**
 * @param {View} view
 * @param {boolean} hasOpus this browser decodes Opus
 * @returns {Uint8Array}
 */
export function capabilities(view, hasOpus) {
  return new Writer(168)
    .u32(0x1f)
    .u32(view.colorLevel)
    .u32([0, 16, 256, 1 << 24][view.colorLevel])
    .u32(Math.min(view.renderMode, 2))
    .u16(view.columns)
    .u16(view.rows)
    .text("teleglyph-page", 32)
    .text("truecolor", 32)
    .u8(1)
    .u32(1)
    .u32(1)
    .text("", 64)
    .u8(view.rate)
    .u8(0)
    .u8(1)
    .u32(0)
    .u32(hasOpus ? OPUS_SHORT_FRAMES : RAW_SOUND)
    .end();
}

/**
 * @param {View} view
 * @returns {Uint8Array}
 */
export function viewSettings(view) {
  const flags = 0x01 | (view.hidesSelf ? 0x02 : 0) | (view.mirrorsSelf ? 0x04 : 0) | 0x08 | 0x10;
  return new Writer(8).u8(view.renderMode).u8(flags).u8(view.spotlight).u8(0).u32(0).end();
}

/**
 * @param {string} name
 * @param {boolean} hasVideo
 * @returns {Uint8Array}
 */
export function clientJoin(name, hasVideo) {
  return new Writer(40)
    .u32(0)
    .text(name, NAME_SIZE)
    .u32((hasVideo ? 0x01 : 0) | 0x02 | 0x04)
    .end();
}

/**
 * @param {number} kinds bits of Stream
 * @returns {Uint8Array}
 */
export function stream(kinds) {
  return new Writer(4).u32(kinds).end();
}

/**
 * @param {number} number of the newest screen shown
 * @param {boolean} wantsWhole
 * @returns {Uint8Array}
 */
export function screenAck(number, wantsWhole) {
  return new Writer(5)
    .u32(number)
    .u8(wantsWhole ? 1 : 0)
    .end();
}

/**
 * @param {{codec: number, keyframe: boolean, width: number, height: number, data: Uint8Array}} picture
 * @returns {Uint8Array}
 */
export function codedPicture({ codec, keyframe, width, height, data }) {
  return new Writer(6 + data.length)
    .u8(codec)
    .u8(keyframe ? 1 : 0)
    .u16(width)
    .u16(height)
    .bytes(data)
    .end();
}

/** @param {Uint8Array} payload */
export function readWelcome(payload) {
  const reader = new Reader(payload);
  const [features, codecs, flags] = [reader.u32(), reader.u32(), reader.u8()];
  const [room, group] = [reader.text(reader.u16()), reader.text(reader.u16())];
  return { features, codecs, isViewOnly: (flags & VIEW_ONLY) !== 0, room, group };
}

/** @param {Uint8Array} payload */
export function readAuthFailed(payload) {
  return new Reader(payload).u8();
}

/** @param {Uint8Array} payload */
export function readError(payload) {
  const reader = new Reader(payload);
  const [code, size] = [reader.u32(), reader.u32()];
  return { code, text: reader.text(size) };
}

/** @param {Uint8Array} payload */
export function readPictureRequest(payload) {
  const reader = new Reader(payload);
  return { width: reader.u16(), height: reader.u16(), interval: reader.u16(), keyframe: (reader.u8() & 1) !== 0 };
}

/** @param {Uint8Array} payload */
export function readViewState(payload) {
  const reader = new Reader(payload);
  return { place: reader.u8(), places: reader.u8(), name: reader.text() };
}

/**
 * @param {Uint8Array} payload
 * @returns {RosterEntry[]}
 */
export function readRoster(payload) {
  const reader = new Reader(payload);
  return Array.from({ length: reader.u8() }, () => {
    const [number, flags, place] = [reader.u32(), reader.u8(), reader.u8()];
    const [x, y, columns, rows] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
    return { number, flags, place, x, y, columns, rows, name: reader.text(reader.u8()) };
  });
}
