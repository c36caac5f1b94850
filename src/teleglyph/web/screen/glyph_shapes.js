/**
 * The geometry of glyphs that pictures are made of.
 *
 * Fonts draw them with seams, in other sizes than their cell, or not at all. All edges here are whole pixels, and equal
 * fractions of a cell have the same edge in every glyph, so parts of cells meet without gaps at every cell size.
 */

/**
 * @typedef {object} Shape
 * @property {number[]} rectangles left, top, right and bottom of each, in pixels of the cell; they do not overlap
 * @property {number} coverage of the rectangles, 1 to 255
 */

// Bit 0 is the upper left part, then row by row.
const QUADRANTS = [4, 8, 1, 13, 9, 7, 11, 2, 6, 14];
const SHADES = [64, 128, 191];
const BRAILLE_COLUMNS = [0, 0, 0, 1, 1, 1, 0, 1];
const BRAILLE_ROWS = [0, 1, 2, 0, 1, 2, 3, 3];
/** Diameter of a braille dot relative to its part of the cell. */
const DOT = 0.7;
/** Pixels from which on a dot has round corners. */
const ROUND_DOT = 4;

/**
 * @param {number} glyph a code point
 * @param {number} width of the cell, in device pixels
 * @param {number} height of the cell
 * @returns {Shape | null} null if a font has to draw it
 */
export function shapeOf(glyph, width, height) {
  if (glyph >= 0x2580 && glyph < 0x2596) return block(glyph, width, height);
  if (glyph >= 0x2596 && glyph < 0x25a0) return solid(parts(QUADRANTS[glyph - 0x2596], 2, width, height));
  if (glyph >= 0x2800 && glyph < 0x2900) return solid(dots(glyph - 0x2800, width, height));
  if (glyph >= 0x1fb00 && glyph < 0x1fb3c) return solid(parts(sextantMask(glyph), 3, width, height));
  return null;
}

/**
 * @param {number} size of the cell, in pixels
 * @param {number} part
 * @param {number} count of equal parts
 * @returns {number} where a part begins
 */
function edge(size, part, count) {
  return Math.round((size * part) / count);
}

/** @param {number[]} rectangles */
function solid(rectangles) {
  return { rectangles, coverage: 255 };
}

/**
 * Halves, eighths and shades.
 *
 * @param {number} glyph
 * @param {number} width
 * @param {number} height
 */
function block(glyph, width, height) {
  if (glyph === 0x2580) return solid([0, 0, width, edge(height, 4, 8)]);
  if (glyph <= 0x2588) return solid([0, edge(height, 0x2588 - glyph, 8), width, height]);
  if (glyph <= 0x258f) return solid([0, 0, edge(width, 0x2590 - glyph, 8), height]);
  if (glyph === 0x2590) return solid([edge(width, 4, 8), 0, width, height]);
  if (glyph === 0x2594) return solid([0, 0, width, edge(height, 1, 8)]);
  if (glyph === 0x2595) return solid([edge(width, 7, 8), 0, width, height]);
  return { rectangles: [0, 0, width, height], coverage: SHADES[glyph - 0x2591] };
}

/**
 * Two columns of parts.
 *
 * @param {number} mask bit 0 is the upper left, then row by row
 * @param {number} rows
 * @param {number} width
 * @param {number} height
 */
function parts(mask, rows, width, height) {
  const rectangles = [];
  for (let i = 0; i < 2 * rows; i++) {
    if (!((mask >> i) & 1)) continue;
    const [x, y] = [i & 1, i >> 1];
    rectangles.push(edge(width, x, 2), edge(height, y, rows), edge(width, x + 1, 2), edge(height, y + 1, rows));
  }
  return rectangles;
}

/** @param {number} glyph */
function sextantMask(glyph) {
  // The code points leave out the masks of the space, both half blocks and the full block.
  let mask = glyph - 0x1fb00 + 1;
  if (mask >= 0x15) mask++;
  if (mask >= 0x2a) mask++;
  return mask;
}

/**
 * @param {number} mask as in the code points of braille
 * @param {number} width
 * @param {number} height
 */
function dots(mask, width, height) {
  const rectangles = [];
  const side = Math.max(1, Math.floor(Math.min(width / 2, height / 4) * DOT));
  for (let i = 0; i < 8; i++) {
    if (!((mask >> i) & 1)) continue;
    const left = middle(width, BRAILLE_COLUMNS[i], 2, side);
    const top = middle(height, BRAILLE_ROWS[i], 4, side);
    const [right, bottom] = [left + side, top + side];
    if (side < ROUND_DOT) {
      rectangles.push(left, top, right, bottom);
    } else {
      rectangles.push(left + 1, top, right - 1, top + 1);
      rectangles.push(left, top + 1, right, bottom - 1);
      rectangles.push(left + 1, bottom - 1, right - 1, bottom);
    }
  }
  return rectangles;
}

/**
 * @param {number} size of the cell
 * @param {number} part
 * @param {number} count
 * @param {number} side of the dot
 * @returns {number} where a dot in the middle of a part begins
 */
function middle(size, part, count, side) {
  const start = edge(size, part, count);
  return Math.min(size - side, start + Math.floor((edge(size, part + 1, count) - start - side) / 2));
}
