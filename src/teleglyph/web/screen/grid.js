/**
 * Grids of characters with their colours.
 *
 * A color is a number: 0 is the default one, INDEXED | i is an entry of the palette, and OPAQUE | b << 16 | g << 8 | r
 * is direct.
 */

export const DEFAULT_COLOR = 0;
export const INDEXED = 0x01000000;
export const OPAQUE = 0xff000000;

/** Code point of an empty cell. */
export const BLANK = 0x20;
/** Stands for a code point in the right half of a glyph that is two columns wide. */
export const CONTINUATION = 0;

/** Columns or rows of a screen. */
export const MAX_SIDE = 4096;
/** Columns times rows of a screen. */
export const MAX_CELLS = 120_000;

/** A screenful of characters. */
export class Grid {
  /**
   * Blank.
   *
   * @param {number} columns
   * @param {number} rows
   * @throws {RangeError} the size is outside MAX_SIDE or MAX_CELLS
   */
  constructor(columns, rows) {
    if (!isScreenSize(columns, rows)) throw new RangeError(`A screen cannot have ${columns}x${rows} cells.`);
    this.columns = columns;
    this.rows = rows;
    /** Code points; CONTINUATION in the right half of a wide glyph. */
    this.glyphs = new Uint32Array(columns * rows).fill(BLANK);
    this.foregrounds = new Uint32Array(columns * rows);
    this.backgrounds = new Uint32Array(columns * rows);
    /** 1 where the left half of a wide glyph is. */
    this.wide = new Uint8Array(columns * rows);
    /** Grows with every change. */
    this.revision = 0;
    /** For each row, the revision that changed it last. */
    this.rowRevisions = new Float64Array(rows);
  }

  /** How many cells there are. */
  get size() {
    return this.glyphs.length;
  }
}

/**
 * @param {Grid} grid
 * @param {number} revision
 * @returns {[number, number]} the rows that have changed since this revision: the first, and the one after the last
 */
export function changedRows({ rows, rowRevisions }, revision) {
  let first = 0;
  let end = rows;
  while (first < end && rowRevisions[first] <= revision) first++;
  while (end > first && rowRevisions[end - 1] <= revision) end--;
  return [first, end];
}

/**
 * @param {number} columns
 * @param {number} rows
 */
export function isScreenSize(columns, rows) {
  const isSide = (/** @type {number} */ side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE;
  return isSide(columns) && isSide(rows) && columns * rows <= MAX_CELLS;
}

const LOW_COLORS =
  "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff";
const CUBE_LEVELS = [0, 95, 135, 175, 215, 255];

/** @returns {Uint32Array} */
function xtermPalette() {
  const palette = new Uint32Array(256);
  LOW_COLORS.split(" ").forEach((digits, i) => {
    const rgb = parseInt(digits, 16);
    palette[i] = directColor(rgb >> 16, (rgb >> 8) & 255, rgb & 255);
  });
  for (let i = 0; i < 216; i++)
    palette[16 + i] = directColor(CUBE_LEVELS[(i / 36) | 0], CUBE_LEVELS[((i / 6) | 0) % 6], CUBE_LEVELS[i % 6]);
  for (let i = 0; i < 24; i++) palette[232 + i] = directColor(8 + 10 * i, 8 + 10 * i, 8 + 10 * i);
  return palette;
}

/**
 * @param {number} red 0 to 255
 * @param {number} green
 * @param {number} blue
 */
export function directColor(red, green, blue) {
  return (OPAQUE | (blue << 16) | (green << 8) | red) >>> 0;
}

/** xterm's 256 colors, each direct. */
export const XTERM_PALETTE = xtermPalette();

/**
 * @param {number} color
 * @param {number} standard the direct color that stands for the default one
 * @returns {number} a direct color
 */
export function resolveColor(color, standard) {
  if (color === DEFAULT_COLOR) return standard;
  return color >>> 24 === 0xff ? color : XTERM_PALETTE[color & 255];
}

/**
 * The text of some cells in reading order, for copying. Blanks at the end of a line are left out, and a wide glyph
 * counts if either half is included.
 *
 * @param {Grid} grid
 * @param {number} from first cell, row by row
 * @param {number} to cell after the last
 */
export function textOf(grid, from, to) {
  const lines = [];
  for (let at = Math.max(0, from); at < Math.min(to, grid.size);) {
    const end = Math.min(to, grid.size, at - (at % grid.columns) + grid.columns);
    let line = "";
    for (let cell = at; cell < end; cell++) {
      let glyph = grid.glyphs[cell];
      if (glyph === CONTINUATION && cell === at && at % grid.columns > 0) glyph = grid.glyphs[cell - 1];
      if (glyph !== CONTINUATION) line += String.fromCodePoint(glyph);
    }
    lines.push(line.replace(/ +$/, ""));
    at = end;
  }
  return lines.join("\n");
}
