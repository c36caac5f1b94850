/** How much of each pixel of its cell a glyph covers, drawn when a glyph is first used. */

import { BLANK, CONTINUATION } from "./grid.js";
import { shapeOf } from "./glyph_shapes.js";

/** @import { Grid } from "./grid.js" */
/** @import { Shape } from "./glyph_shapes.js" */

const MAX_SLOTS = 2048;
const MAX_BYTES = 1 << 24;
/** Of the font while its proportions are measured, in pixels. */
const MEASURED_SIZE = 100;

/**
 * Glyphs in slots of the size of a cell; one that is two columns wide takes two slots, one after the other. Slot 0 is
 * empty. The number of slots is bounded: when all are taken, further glyphs get slot 0 until the atlas is cleared.
 */
export class Atlas {
  /** @type {Map<number, number>} */
  #slots = new Map();
  #used = 1;
  #context;
  #baseline = 0;

  /**
   * @param {number} cellWidth in device pixels
   * @param {number} cellHeight in device pixels
   * @param {string} font CSS font families
   */
  constructor(cellWidth, cellHeight, font) {
    this.cellWidth = cellWidth;
    this.cellHeight = cellHeight;
    const area = cellWidth * cellHeight;
    /** How many slots there are. */
    this.capacity = Math.max(16, Math.min(MAX_SLOTS, Math.floor(MAX_BYTES / area)));
    /** For each slot its pixels row by row, 0 to 255. */
    this.coverage = new Uint8Array(this.capacity * area);
    /** For each row of pixels of each slot, what covers all of it, 0 to 255; -1 if its pixels differ. */
    this.rowCoverage = new Int16Array(this.capacity * cellHeight);
    /** First of the slots drawn since takeFresh(). */
    this.firstFresh = 0;
    /** Glyphs were missing since the atlas was cleared. */
    this.isFull = false;
    const canvas = document.createElement("canvas");
    canvas.width = 2 * cellWidth;
    canvas.height = cellHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("This browser cannot draw on a canvas.");
    this.#context = context;
    this.#fitFont(font);
  }

  /** The largest font whose lines and columns fit the cell. @param {string} font */
  #fitFont(font) {
    const context = this.#context;
    context.font = `${MEASURED_SIZE}px ${font}`;
    const { width, fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = context.measureText("M");
    const scale = Math.min(this.cellWidth / width, this.cellHeight / (ascent + descent));
    context.font = `${MEASURED_SIZE * scale}px ${font}`;
    context.fillStyle = "white";
    this.#baseline = Math.round((this.cellHeight - (ascent + descent) * scale) / 2 + ascent * scale);
  }

  /**
   * Find the slots of some cells, and draw glyphs that are new.
   *
   * @param {Grid} grid
   * @param {Uint32Array} slots written, for each cell of the grid
   * @param {number} from first cell
   * @param {number} to cell after the last
   */
  locate({ glyphs, wide }, slots, from, to) {
    let last = BLANK;
    let slot = 0;
    for (let cell = from; cell < to; cell++) {
      const glyph = glyphs[cell];
      if (glyph === CONTINUATION) {
        slots[cell] = slot && slot + 1;
        continue;
      }
      if (glyph !== last) {
        last = glyph;
        slot = glyph === BLANK ? 0 : (this.#slots.get(glyph) ?? this.#add(glyph, wide[cell] ? 2 : 1));
      }
      slots[cell] = slot;
    }
  }

  /** @returns {[number, number]} the slots drawn since the last call: the first, and the one after the last */
  takeFresh() {
    const first = this.firstFresh;
    this.firstFresh = this.#used;
    return [first, this.#used];
  }

  /** Forget all glyphs. */
  clear() {
    this.#slots.clear();
    this.#used = 1;
    this.firstFresh = 0;
    this.isFull = false;
  }

  /**
   * @param {number} glyph
   * @param {number} columns
   * @returns {number} its slot
   */
  #add(glyph, columns) {
    if (this.#used + columns > this.capacity) {
      this.isFull = true;
      return 0;
    }
    const slot = this.#used;
    this.#used += columns;
    this.#slots.set(glyph, slot);
    const area = this.cellWidth * this.cellHeight;
    const pixels = this.coverage.subarray(slot * area, (slot + columns) * area);
    const shape = shapeOf(glyph, this.cellWidth, this.cellHeight);
    if (shape) this.#fill(shape, pixels);
    else this.#draw(glyph, columns, pixels);
    for (let row = 0; row < columns * this.cellHeight; row++) {
      const line = pixels.subarray(row * this.cellWidth, (row + 1) * this.cellWidth);
      this.rowCoverage[slot * this.cellHeight + row] = line.every((covered) => covered === line[0]) ? line[0] : -1;
    }
    return slot;
  }

  /**
   * @param {Shape} shape
   * @param {Uint8Array} pixels written
   */
  #fill(shape, pixels) {
    pixels.fill(0);
    for (let i = 0; i < shape.rectangles.length; i += 4) {
      const [left, top, right, bottom] = shape.rectangles.slice(i, i + 4);
      for (let y = top; y < bottom; y++)
        pixels.fill(shape.coverage, y * this.cellWidth + left, y * this.cellWidth + right);
    }
  }

  /**
   * Draw a glyph with the font.
   *
   * @param {number} glyph
   * @param {number} columns
   * @param {Uint8Array} pixels written
   */
  #draw(glyph, columns, pixels) {
    const [width, height] = [this.cellWidth, this.cellHeight];
    const text = String.fromCodePoint(glyph);
    const context = this.#context;
    context.clearRect(0, 0, 2 * width, height);
    context.save();
    context.beginPath();
    context.rect(0, 0, columns * width, height);
    context.clip();
    // Glyphs from other fonts may be narrower or wider than their cells.
    const advance = context.measureText(text).width || width;
    const scale = Math.min(1, (columns * width) / advance);
    context.translate((columns * width - advance * scale) / 2, this.#baseline);
    context.scale(scale, scale);
    context.fillText(text, 0, 0);
    context.restore();
    const { data } = context.getImageData(0, 0, columns * width, height);
    for (let column = 0, at = 0; column < columns; column++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++, at++) {
          const source = 4 * (y * columns * width + column * width + x);
          // White has this coverage already. Emoji keep their drawing, in shades of the foreground.
          const brightness = (54 * data[source] + 183 * data[source + 1] + 18 * data[source + 2] + 128) / 255;
          pixels[at] = Math.min(255, (data[source + 3] * brightness) / 255 + 0.5);
        }
      }
    }
  }
}
