/** Payloads of SCREEN_UPDATE: docs/protocol/screens.md#screen_update. */

import { isScreenSize } from "./grid.js";

const HEADER_SIZE = 20;
const ZSTD = 0x01;
const DEFLATE = 0x02;
const MAX_BODY = 1 << 20;

/** An update is malformed or does not fit the screen. Nothing has changed; only a whole screen helps. */
export class DamagedUpdateError extends Error {}

/**
 * A SCREEN_UPDATE with its body as it came.
 *
 * @typedef {object} ScreenUpdate
 * @property {number} number of the screen after it
 * @property {number} base number of the screen that it changes; 0 for a whole one
 * @property {number} columns
 * @property {number} rows
 * @property {number} level low four bits: how coarse, 0 is the finest; 0x10: a cheaper mode than requested
 * @property {number} rate frames per second that the server aims at
 * @property {number} bodySize bytes of the body when it is not compressed
 * @property {boolean} isDeflated the body is a raw deflate stream (RFC 1951)
 * @property {Uint8Array} packedBody the body, perhaps compressed; shares the payload's memory
 */

/**
 * @param {Uint8Array} payload
 * @returns {ScreenUpdate}
 * @throws {DamagedUpdateError} a field is outside its range, or the body is too short or too long
 */
export function parseUpdate(payload) {
  if (payload.length < HEADER_SIZE) throw new DamagedUpdateError(`The update has only ${payload.length} bytes.`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const flags = view.getUint8(12);
  const update = {
    number: view.getUint32(0),
    base: view.getUint32(4),
    columns: view.getUint16(8),
    rows: view.getUint16(10),
    level: view.getUint8(13),
    rate: view.getUint16(14),
    bodySize: view.getUint32(16),
    isDeflated: (flags & DEFLATE) !== 0,
    packedBody: payload.subarray(HEADER_SIZE),
  };
  if (!isScreenSize(update.columns, update.rows))
    throw new DamagedUpdateError(`The update has ${update.columns}x${update.rows} cells.`);
  if (update.number === 0 || update.bodySize > MAX_BODY)
    throw new DamagedUpdateError(`Update ${update.number} has a body of ${update.bodySize} bytes.`);
  if (flags & ZSTD) throw new DamagedUpdateError("The update is compressed with zstd.");
  if (!update.isDeflated && update.packedBody.length !== update.bodySize)
    throw new DamagedUpdateError(`The body has ${update.packedBody.length} bytes, not ${update.bodySize}.`);
  return update;
}
