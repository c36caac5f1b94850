/** Bodies of SCREEN_UPDATE: docs/protocol/screens.md#the-body. */

import { BLANK, CONTINUATION, DEFAULT_COLOR, INDEXED, OPAQUE } from "./grid.js";
import { glyphWidth } from "./glyph_width.js";
import { DamagedUpdateError } from "./update.js";

/** @import { Grid } from "./grid.js" */

const MAX_GLYPHS = 1 << 16;
const MAX_ONE_BYTE_GLYPHS = 256;
const LAST_CODE_POINT = 0x10ffff;
const QUESTION_MARK = 0x3f;
const INDEXED_KIND = 1;
const DIRECT_KIND = 2;

/**
 * Apply the body of an update to a grid.
 *
 * Characters that are not printable, or whose width is unknown, become question marks. Half of a wide glyph becomes a
 * blank.
 *
 * @param {Grid} grid
 * @param {Uint8Array} body not compressed
 * @param {boolean} isWhole it was made without knowledge of the grid's colors
 * @throws {DamagedUpdateError} it is malformed or does not fit the grid, which stays unchanged
 */
export function applyBody(grid, body, isWhole) {
  // Everything is checked before the first write, so that the grid changes completely or not at all.
  const reader = new Reader(body);
  const table = readGlyphs(reader);
  const places = readPlaces(reader, grid.size);
  const indices = readIndices(reader, table.glyphs.length, places.length);
  const foregrounds = readPlanes(reader, table.foregroundKinds, indices);
  const backgrounds = readPlanes(reader, table.backgroundKinds, indices);
  if (reader.at !== body.length) throw new DamagedUpdateError("The update is longer than it says.");
  if (places.length === 0) return;
  for (let n = 0; n < places.length; n++) {
    grid.glyphs[places[n]] = table.glyphs[indices[n]];
    grid.wide[places[n]] = table.wide[indices[n]];
  }
  writeColors(grid.foregrounds, places, table.foregroundKinds, indices, foregrounds, isWhole);
  writeColors(grid.backgrounds, places, table.backgroundKinds, indices, backgrounds, isWhole);
  grid.revision++;
  let mended = -1;
  for (const place of places) {
    const row = (place / grid.columns) | 0;
    if (row === mended) continue;
    mended = row;
    grid.rowRevisions[row] = grid.revision;
    mendWideGlyphs(grid, row);
  }
}

class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  byte() {
    if (this.at >= this.bytes.length) throw new DamagedUpdateError("The update is cut short.");
    return this.bytes[this.at++];
  }

  number() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const next = this.byte();
      if (shift === 28 && next > 0x0f) break;
      value |= (next & 0x7f) << shift;
      if (next < 0x80) return value >>> 0;
    }
    throw new DamagedUpdateError("A number of the update is too large.");
  }

  /** @param {number} count */
  take(count) {
    if (count > this.bytes.length - this.at) throw new DamagedUpdateError("The update is cut short.");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

/** @param {Reader} reader */
function readGlyphs(reader) {
  const count = reader.number();
  // Each takes at least one byte.
  if (count > MAX_GLYPHS || count > reader.bytes.length)
    throw new DamagedUpdateError(`The update has ${count} glyphs.`);
  const glyphs = new Uint32Array(count);
  const wide = new Uint8Array(count);
  const foregroundKinds = new Uint8Array(count);
  const backgroundKinds = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const entry = reader.number();
    const glyph = entry >>> 4;
    foregroundKinds[i] = (entry >> 2) & 3;
    backgroundKinds[i] = entry & 3;
    if (glyph > LAST_CODE_POINT || foregroundKinds[i] > DIRECT_KIND || backgroundKinds[i] > DIRECT_KIND)
      throw new DamagedUpdateError(`The update has an invalid glyph, ${entry}.`);
    const columns = glyphWidth(glyph);
    wide[i] = columns === 2 ? 1 : 0;
    glyphs[i] = columns > 0 || glyph === CONTINUATION ? glyph : QUESTION_MARK;
  }
  return { glyphs, wide, foregroundKinds, backgroundKinds };
}

/**
 * @param {Reader} reader
 * @param {number} cells
 * @returns {Uint32Array} the changed cells, in order
 */
function readPlaces(reader, cells) {
  const places = new Uint32Array(cells + 7);
  let count = 0;
  for (let at = 0; ;) {
    const bits = reader.byte();
    if (bits === 0) {
      const zeros = reader.byte();
      if (zeros === 0) return places.subarray(0, count);
      at += 8 * zeros;
      continue;
    }
    if (at + 31 - Math.clz32(bits) >= cells)
      throw new DamagedUpdateError("The update changes a place outside the screen.");
    for (let bit = 0; bit < 8; bit++) if ((bits >> bit) & 1) places[count++] = at + bit;
    at += 8;
  }
}

/**
 * @param {Reader} reader
 * @param {number} glyphs how many there are
 * @param {number} count
 * @returns {Uint16Array} for each changed cell, its glyph
 */
function readIndices(reader, glyphs, count) {
  if (glyphs === 0 && count > 0) throw new DamagedUpdateError("The update has no glyphs.");
  const indices = new Uint16Array(count);
  if (glyphs <= 1) return indices;
  if (glyphs <= MAX_ONE_BYTE_GLYPHS) {
    indices.set(reader.take(count));
  } else {
    const bytes = reader.take(2 * count);
    for (let n = 0; n < count; n++) indices[n] = bytes[2 * n] | (bytes[2 * n + 1] << 8);
  }
  for (const index of indices) {
    if (index >= glyphs) throw new DamagedUpdateError(`The update uses glyph ${index} of ${glyphs}.`);
  }
  return indices;
}

/**
 * The components of the changed cells' foregrounds or backgrounds.
 *
 * @param {Reader} reader
 * @param {Uint8Array} kinds of each glyph's color
 * @param {Uint16Array} indices of the changed cells' glyphs
 */
function readPlanes(reader, kinds, indices) {
  let direct = 0;
  let indexed = 0;
  for (const index of indices) {
    if (kinds[index] === DIRECT_KIND) direct++;
    else if (kinds[index] === INDEXED_KIND) indexed++;
  }
  return {
    red: reader.take(direct),
    green: reader.take(direct),
    blue: reader.take(direct),
    palette: reader.take(indexed),
  };
}

/**
 * @param {Uint32Array} colors of the grid
 * @param {Uint32Array} places
 * @param {Uint8Array} kinds of each glyph's color
 * @param {Uint16Array} indices
 * @param {ReturnType<typeof readPlanes>} planes
 * @param {boolean} isWhole
 */
function writeColors(colors, places, kinds, indices, { red, green, blue, palette }, isWhole) {
  let direct = 0;
  let indexed = 0;
  let last = 0;
  for (let n = 0; n < places.length; n++) {
    const kind = kinds[indices[n]];
    let color = DEFAULT_COLOR;
    if (kind === DIRECT_KIND) {
      const there = colors[places[n]] | 0;
      // A color that is not direct counts as 0.
      const before = isWhole ? last : there >>> 24 === 0xff ? there : 0;
      color =
        OPAQUE |
        ((before + red[direct]) & 0xff) |
        (((((before >> 8) & 0xff) + green[direct]) & 0xff) << 8) |
        (((((before >> 16) & 0xff) + blue[direct]) & 0xff) << 16);
      last = color;
      direct++;
    } else if (kind === INDEXED_KIND) {
      color = INDEXED | palette[indexed++];
    }
    colors[places[n]] = color;
  }
}

/**
 * Replace halves of wide glyphs, which would shift the rest of the row.
 *
 * @param {Grid} grid
 * @param {number} row
 */
function mendWideGlyphs({ glyphs, wide, columns }, row) {
  let isCovered = false;
  const end = (row + 1) * columns;
  for (let at = row * columns; at < end; at++) {
    const isHalf = glyphs[at] === CONTINUATION;
    const isComplete = at + 1 < end && glyphs[at + 1] === CONTINUATION;
    if (isHalf ? !isCovered : wide[at] && !isComplete) {
      glyphs[at] = BLANK;
      wide[at] = 0;
    }
    isCovered = !isHalf && wide[at] === 1;
  }
}
