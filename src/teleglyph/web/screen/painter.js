/** Paints grids on a canvas, with WebGL 2 if that is fast, and otherwise with the 2D context. */

import { CanvasPainter } from "./canvas_painter.js";
import { directColor } from "./grid.js";
import { WebglPainter } from "./webgl_painter.js";

/** @import { Grid } from "./grid.js" */

/**
 * What the default colors look like: direct colors.
 *
 * @typedef {object} Colors
 * @property {number} foreground
 * @property {number} background
 */

/**
 * @typedef {object} PainterOptions
 * @property {number} [cellWidth] in device pixels
 * @property {number} [cellHeight] in device pixels
 * @property {string} [font] CSS font families
 * @property {number} [foreground] what the default foreground looks like: a direct color
 * @property {number} [background] what the default background looks like: a direct color
 * @property {"auto" | "webgl" | "canvas"} [kind] "webgl" also without a graphics processor
 */

const SOFTWARE_RENDERER = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** @returns {boolean} whether there is WebGL 2 with a graphics processor; without one, it is slower than the 2D context */
function hasGraphicsProcessor() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return false;
  let renderer = gl.getParameter(gl.RENDERER);
  // Firefox says it there, and warns about the extension.
  if (renderer === "WebKit WebGL") {
    const info = gl.getExtension("WEBGL_debug_renderer_info");
    if (info) renderer = gl.getParameter(info.UNMASKED_RENDERER_WEBGL);
  }
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !SOFTWARE_RENDERER.test(renderer);
}

/** Puts grids on a canvas, with one device pixel for each of its pixels. */
export class Painter {
  /** @type {WebglPainter | CanvasPainter} */
  #painter;
  /** @type {Grid | null} */
  #grid = null;
  #columns = 0;
  #rows = 0;
  #pixelRatio = 0;
  #selection = [0, 0];
  #cellWidth;
  #cellHeight;
  #font;
  #colors;

  /**
   * @param {HTMLCanvasElement} canvas without a context. If WebGL fails later, another element takes its place.
   * @param {PainterOptions} [options]
   */
  constructor(canvas, options = {}) {
    /** The element that shows the grid. */
    this.canvas = canvas;
    this.#cellWidth = options.cellWidth ?? 8;
    this.#cellHeight = options.cellHeight ?? 16;
    this.#font = options.font ?? '"DejaVu Sans Mono", monospace';
    this.#colors = {
      foreground: options.foreground ?? directColor(229, 229, 229),
      background: options.background ?? directColor(0, 0, 0),
    };
    const kind = options.kind ?? "auto";
    const wantsWebgl = kind === "webgl" || (kind === "auto" && hasGraphicsProcessor());
    this.#painter = (wantsWebgl && this.#tryWebgl()) || this.#makeCanvasPainter();
  }

  /** Which context is in use. */
  get kind() {
    return this.#painter instanceof WebglPainter ? "webgl" : "canvas";
  }

  /**
   * Set the size. This clears the canvas. Call it also when devicePixelRatio changes.
   *
   * @param {number} columns
   * @param {number} rows
   * @param {number} [cellWidth] in device pixels; the last one if it is left out
   * @param {number} [cellHeight] in device pixels
   */
  resize(columns, rows, cellWidth = this.#cellWidth, cellHeight = this.#cellHeight) {
    this.#columns = columns;
    this.#rows = rows;
    this.#cellWidth = cellWidth;
    this.#cellHeight = cellHeight;
    try {
      this.#painter.resize(columns, rows, cellWidth, cellHeight);
    } catch (error) {
      if (!(this.#painter instanceof WebglPainter)) throw error;
      this.#fallBack();
    }
    this.#fitElement();
  }

  /**
   * Show a grid. Only what has changed since the last call is painted. A grid of another size resizes the canvas.
   *
   * @param {Grid} grid
   */
  paint(grid) {
    this.#grid = grid;
    if (grid.columns !== this.#columns || grid.rows !== this.#rows) this.resize(grid.columns, grid.rows);
    else if (this.#pixelRatio !== devicePixelRatio) this.#fitElement();
    this.#painter.paint(grid);
  }

  /**
   * Invert the colors of some cells, in reading order, and of no others. Swapping the two colors of a cell would not
   * show in a picture.
   *
   * @param {number} from first cell
   * @param {number} to cell after the last
   */
  select(from, to) {
    this.#selection = [from, to];
    this.#painter.select(from, to);
    if (this.#grid) this.#painter.paint(this.#grid);
  }

  /**
   * @param {number} x in CSS pixels of the viewport, as clientX of events
   * @param {number} y
   * @param {boolean} [isClamped] find the nearest cell for a place outside the canvas
   * @returns {number} a cell, counted row by row; -1 outside
   */
  cellAt(x, y, isClamped = false) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor(((x - box.left) / box.width) * this.#columns);
    const row = Math.floor(((y - box.top) / box.height) * this.#rows);
    const nearColumn = Math.max(0, Math.min(this.#columns - 1, column));
    const nearRow = Math.max(0, Math.min(this.#rows - 1, row));
    // Written so that it is also true for NaN, of a canvas without a size.
    if (!(isClamped || (column === nearColumn && row === nearRow)) || !this.#columns) return -1;
    return nearRow * this.#columns + nearColumn;
  }

  /** Release everything but the canvas. */
  dispose() {
    this.#painter.dispose();
    this.#grid = null;
  }

  #tryWebgl() {
    try {
      return new WebglPainter(this.canvas, this.#font, this.#colors, () => this.#fallBack());
    } catch {
      return null;
    }
  }

  #makeCanvasPainter() {
    try {
      return new CanvasPainter(this.canvas, this.#font, this.#colors);
    } catch {
      // A canvas that had a WebGL context cannot have another.
      const canvas = /** @type {HTMLCanvasElement} */ (this.canvas.cloneNode());
      this.canvas.replaceWith(canvas);
      this.canvas = canvas;
      return new CanvasPainter(canvas, this.#font, this.#colors);
    }
  }

  /** WebGL does not work any more. */
  #fallBack() {
    this.#painter.dispose();
    this.#painter = this.#makeCanvasPainter();
    this.#painter.resize(this.#columns, this.#rows, this.#cellWidth, this.#cellHeight);
    this.#fitElement();
    this.#painter.select(this.#selection[0], this.#selection[1]);
    if (this.#grid?.columns === this.#columns && this.#grid.rows === this.#rows) this.#painter.paint(this.#grid);
  }

  #fitElement() {
    this.#pixelRatio = devicePixelRatio;
    this.canvas.style.width = `${(this.#columns * this.#cellWidth) / devicePixelRatio}px`;
    this.canvas.style.height = `${(this.#rows * this.#cellHeight) / devicePixelRatio}px`;
  }
}
