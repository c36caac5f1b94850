/** Paints grids with WebGL 2: one draw call, in which each pixel looks up its cell. */

import { Atlas } from "./atlas.js";
import { FRAGMENT_SHADER, VERTEX_SHADER } from "./shaders.js";
import { XTERM_PALETTE, changedRows } from "./grid.js";

/** @import { Grid } from "./grid.js" */
/** @import { Colors } from "./painter.js" */

const TEXTURES = ["slots", "foregrounds", "backgrounds", "palette", "atlas"];

/** Milliseconds after which a lost context counts as lost for good. */
const RESTORE_TIMEOUT = 5000;

/** See Painter, which has the same methods. */
export class WebglPainter {
  /** @type {Grid | null} */
  #grid = null;
  #seenRevision = -1;
  #slots = new Uint32Array();
  #columns = 0;
  #rows = 0;
  #slotsPerLine = 1;
  #selection = [0, 0];
  /** @type {Record<string, WebGLTexture>} */
  #textures = {};
  /** @type {Record<string, WebGLUniformLocation | null>} */
  #uniforms = {};
  /** @type {Atlas | null} */
  #atlas = null;
  #isLost = false;
  #timer = 0;
  #canvas;
  #gl;
  #font;
  #colors;
  #onFailure;
  #listeners = new AbortController();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {string} font CSS font families
   * @param {Colors} colors
   * @param {() => void} onFailure called when the context is lost for good
   * @throws {Error} there is no WebGL 2
   */
  constructor(canvas, font, colors, onFailure) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("This browser has no WebGL 2.");
    this.#canvas = canvas;
    this.#gl = gl;
    this.#font = font;
    this.#colors = colors;
    this.#onFailure = onFailure;
    this.#prepare();
    const signal = this.#listeners.signal;
    canvas.addEventListener("webglcontextlost", (event) => this.#lose(event), { signal });
    canvas.addEventListener("webglcontextrestored", () => this.#restore(), { signal });
  }

  /**
   * @param {number} columns
   * @param {number} rows
   * @param {number} cellWidth in device pixels
   * @param {number} cellHeight in device pixels
   */
  resize(columns, rows, cellWidth, cellHeight) {
    this.#columns = columns;
    this.#rows = rows;
    this.#canvas.width = columns * cellWidth;
    this.#canvas.height = rows * cellHeight;
    if (this.#atlas?.cellWidth !== cellWidth || this.#atlas.cellHeight !== cellHeight)
      this.#atlas = new Atlas(cellWidth, cellHeight, this.#font);
    this.#slots = new Uint32Array(columns * rows);
    if (!this.#isLost) this.#allocate(this.#atlas);
  }

  /** @param {Grid} grid of the size that was set */
  paint(grid) {
    const gl = this.#gl;
    const atlas = this.#atlas;
    if (grid !== this.#grid) this.#seenRevision = -1;
    this.#grid = grid;
    if (this.#isLost || !atlas) return;
    if (grid.revision !== this.#seenRevision) {
      let [first, end] = changedRows(grid, this.#seenRevision);
      atlas.locate(grid, this.#slots, first * grid.columns, end * grid.columns);
      if (atlas.isFull) {
        atlas.clear();
        [first, end] = [0, grid.rows];
        atlas.locate(grid, this.#slots, 0, grid.size);
      }
      this.#uploadRows("slots", this.#slots, first, end);
      this.#uploadRows("foregrounds", grid.foregrounds, first, end);
      this.#uploadRows("backgrounds", grid.backgrounds, first, end);
      this.#uploadAtlas(atlas);
      this.#seenRevision = grid.revision;
    }
    gl.uniform2i(this.#uniforms.selection, this.#selection[0], this.#selection[1]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * Invert the colors of some cells. The next paint() shows it.
   *
   * @param {number} from first cell
   * @param {number} to cell after the last
   */
  select(from, to) {
    this.#selection = [from, to];
  }

  /** Release everything but the canvas. */
  dispose() {
    clearTimeout(this.#timer);
    this.#listeners.abort();
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #prepare() {
    const gl = this.#gl;
    const program = gl.createProgram();
    for (const [type, source] of /** @type {[number, string][]} */ ([
      [gl.VERTEX_SHADER, VERTEX_SHADER],
      [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
    ])) {
      const shader = gl.createShader(type);
      if (!shader) throw new Error("The graphics context is lost.");
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS))
      throw new Error(`The shaders do not work here: ${gl.getProgramInfoLog(program)}`);
    gl.useProgram(program);
    for (const name of ["grid", "cell", "selection", "slotsPerLine", "standard", ...TEXTURES])
      this.#uniforms[name] = gl.getUniformLocation(program, name);
    TEXTURES.forEach((name, unit) => gl.uniform1i(this.#uniforms[name], unit));
    gl.uniform2ui(this.#uniforms.standard, this.#colors.foreground, this.#colors.background);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.#replaceTexture("palette", gl.R32UI, 256, 1);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 1, gl.RED_INTEGER, gl.UNSIGNED_INT, XTERM_PALETTE);
  }

  /** @param {Atlas} atlas */
  #allocate(atlas) {
    const gl = this.#gl;
    const [columns, rows] = [this.#columns, this.#rows];
    const largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.#slotsPerLine = Math.min(atlas.capacity, Math.floor(largest / atlas.cellWidth));
    const lines = Math.ceil(atlas.capacity / this.#slotsPerLine);
    if (Math.max(columns, rows, lines * atlas.cellHeight) > largest)
      throw new Error(`A screen of ${columns}x${rows} cells is too large for this graphics processor.`);
    for (const name of ["slots", "foregrounds", "backgrounds"]) this.#replaceTexture(name, gl.R32UI, columns, rows);
    this.#replaceTexture("atlas", gl.R8, this.#slotsPerLine * atlas.cellWidth, lines * atlas.cellHeight);
    gl.uniform2i(this.#uniforms.grid, columns, rows);
    gl.uniform2i(this.#uniforms.cell, atlas.cellWidth, atlas.cellHeight);
    gl.uniform1i(this.#uniforms.slotsPerLine, this.#slotsPerLine);
    gl.viewport(0, 0, columns * atlas.cellWidth, rows * atlas.cellHeight);
    atlas.firstFresh = 0;
    this.#seenRevision = -1;
  }

  /**
   * @param {string} name
   * @param {number} format
   * @param {number} width
   * @param {number} height
   */
  #replaceTexture(name, format, width, height) {
    const gl = this.#gl;
    gl.deleteTexture(this.#textures[name] ?? null);
    this.#textures[name] = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + TEXTURES.indexOf(name));
    gl.bindTexture(gl.TEXTURE_2D, this.#textures[name]);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  }

  /**
   * @param {string} name
   * @param {Uint32Array} values of all cells
   * @param {number} first row
   * @param {number} end row after the last
   */
  #uploadRows(name, values, first, end) {
    const gl = this.#gl;
    const [columns, offset] = [this.#columns, first * this.#columns];
    gl.activeTexture(gl.TEXTURE0 + TEXTURES.indexOf(name));
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, first, columns, end - first, gl.RED_INTEGER, gl.UNSIGNED_INT, values, offset);
  }

  /** @param {Atlas} atlas */
  #uploadAtlas(atlas) {
    const gl = this.#gl;
    const [width, height] = [atlas.cellWidth, atlas.cellHeight];
    gl.activeTexture(gl.TEXTURE0 + TEXTURES.indexOf("atlas"));
    for (let [slot, end] = atlas.takeFresh(); slot < end; slot++) {
      const [x, y] = [(slot % this.#slotsPerLine) * width, Math.floor(slot / this.#slotsPerLine) * height];
      const offset = slot * width * height;
      gl.texSubImage2D(gl.TEXTURE_2D, 0, x, y, width, height, gl.RED, gl.UNSIGNED_BYTE, atlas.coverage, offset);
    }
  }

  /** @param {Event} event */
  #lose(event) {
    // Without this, the browser would not restore the context.
    event.preventDefault();
    this.#isLost = true;
    this.#timer = setTimeout(this.#onFailure, RESTORE_TIMEOUT);
  }

  #restore() {
    clearTimeout(this.#timer);
    try {
      this.#textures = {};
      this.#prepare();
      this.#isLost = false;
      if (this.#atlas) this.#allocate(this.#atlas);
    } catch {
      this.#onFailure();
      return;
    }
    if (this.#grid) this.paint(this.#grid);
  }
}
