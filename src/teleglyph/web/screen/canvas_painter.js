/** Paints grids with a 2D canvas: the pixels of changed cells are computed here, and written row by row. */

import { Atlas } from "./atlas.js";
import { changedRows, resolveColor } from "./grid.js";

/** @import { Grid } from "./grid.js" */
/** @import { Colors } from "./painter.js" */

/** Bits of a direct color that differ from those of the inverted color. */
const INVERTED = 0xffffff;

/** See Painter, which has the same methods. */
export class CanvasPainter {
  /** @type {Grid | null} */
  #grid = null;
  #seenRevision = -1;
  #columns = 0;
  #selection = [0, 0];
  /** @type {Atlas | null} */
  #atlas = null;
  #slots = new Uint32Array();
  // What is on the canvas, with resolved colors; slot 0xffffffff is none.
  #paintedSlots = new Uint32Array();
  #paintedForegrounds = new Uint32Array();
  #paintedBackgrounds = new Uint32Array();
  /** @type {ImageData | null} one row of cells */
  #strip = null;
  #pixels = new Int32Array();
  #canvas;
  #context;
  #font;
  #colors;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {string} font CSS font families
   * @param {Colors} colors
   * @throws {Error} the canvas has another kind of context
   */
  constructor(canvas, font, colors) {
    // The pixels are written by the processor, so the canvas should be in its memory.
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (!context) throw new Error("This browser cannot draw on this canvas.");
    this.#canvas = canvas;
    this.#context = context;
    this.#font = font;
    this.#colors = colors;
  }

  /**
   * @param {number} columns
   * @param {number} rows
   * @param {number} cellWidth in device pixels
   * @param {number} cellHeight in device pixels
   */
  resize(columns, rows, cellWidth, cellHeight) {
    this.#columns = columns;
    this.#canvas.width = columns * cellWidth;
    this.#canvas.height = rows * cellHeight;
    if (this.#atlas?.cellWidth !== cellWidth || this.#atlas.cellHeight !== cellHeight)
      this.#atlas = new Atlas(cellWidth, cellHeight, this.#font);
    this.#slots = new Uint32Array(columns * rows);
    this.#paintedSlots = new Uint32Array(columns * rows).fill(0xffffffff);
    this.#paintedForegrounds = new Uint32Array(columns * rows);
    this.#paintedBackgrounds = new Uint32Array(columns * rows);
    this.#strip = new ImageData(columns * cellWidth, cellHeight);
    // A pixel has the bytes of a direct color in the order of a little-endian processor, as all browsers' are.
    this.#pixels = new Int32Array(this.#strip.data.buffer);
    this.#seenRevision = -1;
  }

  /** @param {Grid} grid of the size that was set */
  paint(grid) {
    const atlas = this.#atlas;
    if (!atlas) return;
    if (grid !== this.#grid) this.#seenRevision = -1;
    this.#grid = grid;
    let [first, end] = changedRows(grid, this.#seenRevision);
    atlas.locate(grid, this.#slots, first * grid.columns, end * grid.columns);
    if (atlas.isFull) {
      atlas.clear();
      [first, end] = [0, grid.rows];
      atlas.locate(grid, this.#slots, 0, grid.size);
      this.#paintedSlots.fill(0xffffffff);
    }
    this.#seenRevision = grid.revision;
    for (let row = first; row < end; row++) this.#paintRow(grid, atlas, row);
  }

  /**
   * Invert the colors of some cells. The next paint() shows it.
   *
   * @param {number} from first cell
   * @param {number} to cell after the last
   */
  select(from, to) {
    this.#selection = [from, to];
    this.#seenRevision = -1;
  }

  /** Release everything but the canvas. */
  dispose() {
    this.#atlas = this.#strip = this.#grid = null;
    this.#pixels = new Int32Array();
  }

  /**
   * Write the cells of a row from the first to the last that has changed.
   *
   * @param {Grid} grid
   * @param {Atlas} atlas
   * @param {number} row
   */
  #paintRow(grid, atlas, row) {
    const { foreground, background } = this.#colors;
    const [from, to] = this.#selection;
    const start = row * this.#columns;
    let first = this.#columns;
    let last = -1;
    for (let column = 0; column < this.#columns; column++) {
      const cell = start + column;
      const mask = cell >= from && cell < to ? INVERTED : 0;
      const front = (resolveColor(grid.foregrounds[cell], foreground) ^ mask) >>> 0;
      const back = (resolveColor(grid.backgrounds[cell], background) ^ mask) >>> 0;
      if (
        this.#paintedSlots[cell] === this.#slots[cell] &&
        this.#paintedForegrounds[cell] === front &&
        this.#paintedBackgrounds[cell] === back
      )
        continue;
      this.#paintedSlots[cell] = this.#slots[cell];
      this.#paintedForegrounds[cell] = front;
      this.#paintedBackgrounds[cell] = back;
      first = Math.min(first, column);
      last = column;
    }
    if (last < 0 || !this.#strip) return;
    for (let column = first; column <= last; column++) this.#fillCell(atlas, start + column, column);
    const { cellWidth, cellHeight } = atlas;
    const [x, width] = [first * cellWidth, (last + 1 - first) * cellWidth];
    this.#context.putImageData(this.#strip, 0, row * cellHeight, x, 0, width, cellHeight);
  }

  /**
   * @param {Atlas} atlas
   * @param {number} cell
   * @param {number} column
   */
  #fillCell({ cellWidth, cellHeight, coverage, rowCoverage }, cell, column) {
    const pixels = this.#pixels;
    const stride = this.#columns * cellWidth;
    // Signed numbers are faster: the colors would exceed the range that engines keep in 32 bits.
    const front = this.#paintedForegrounds[cell] | 0;
    const back = this.#paintedBackgrounds[cell] | 0;
    const slot = this.#paintedSlots[cell];
    let source = slot * cellWidth * cellHeight;
    for (let y = 0; y < cellHeight; y++, source += cellWidth) {
      const start = y * stride + column * cellWidth;
      const covered = rowCoverage[slot * cellHeight + y];
      if (covered >= 0) {
        const color = blend(front, back, covered);
        for (let x = 0; x < cellWidth; x++) pixels[start + x] = color;
      } else {
        for (let x = 0; x < cellWidth; x++) pixels[start + x] = blend(front, back, coverage[source + x]);
      }
    }
  }
}

/**
 * @param {number} front a direct color, signed
 * @param {number} back a direct color, signed
 * @param {number} covered how much of the pixel is the front, of 255
 */
function blend(front, back, covered) {
  if (covered === 0) return back;
  if (covered === 255) return front;
  const mix = (/** @type {number} */ shift) => {
    const [a, b] = [(front >>> shift) & 255, (back >>> shift) & 255];
    return ((a * covered + b * (255 - covered) + 127) / 255) << shift;
  };
  return 0xff000000 | mix(0) | mix(8) | mix(16);
}
