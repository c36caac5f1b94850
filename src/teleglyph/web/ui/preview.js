/** The camera's picture in characters, before anybody else sees it. */

import { Grid, directColor } from "../screen/grid.js";
import { Painter } from "../screen/painter.js";
import { h } from "./elements.js";

const CELL_PIXELS = 10;
const INTERVAL_MS = 50;
const UPPER_HALF = 0x2580;

export class Preview {
  /** @param {(columns: number, rows: number) => import("../media/half_blocks.js").HalfBlocks | null} take */
  constructor(take) {
    this._take = take;
    this._canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
    this.element = h("div", {}, this._canvas);
    /** @type {Painter | null} */
    this._painter = null;
    /** @type {Grid | null} */
    this._grid = null;
    this._cellHeight = 0;
    this._timer = setInterval(() => this._draw(), INTERVAL_MS);
  }

  dispose() {
    clearInterval(this._timer);
    this._painter?.dispose();
  }

  _draw() {
    const box = this.element.parentElement;
    if (box === null || document.visibilityState === "hidden") return;
    const ratio = devicePixelRatio || 1;
    const cellHeight = Math.max(4, Math.round(CELL_PIXELS * ratio));
    const cellWidth = Math.round(cellHeight / 2);
    const columns = Math.max(1, Math.floor((box.clientWidth * ratio) / cellWidth));
    const rows = Math.max(1, Math.floor((box.clientHeight * ratio) / cellHeight));
    const picture = this._take(columns, rows);
    this.element.hidden = picture === null;
    if (picture === null) return;
    this._painter ??= new Painter(this._canvas);
    if (this._grid?.columns !== columns || this._grid?.rows !== rows) {
      this._grid = new Grid(columns, rows);
    }
    if (cellHeight !== this._cellHeight) this._painter.resize(columns, rows, cellWidth, cellHeight);
    this._cellHeight = cellHeight;
    const grid = this._grid;
    const { foreground, background } = picture;
    grid.revision += 1;
    grid.rowRevisions.fill(grid.revision);
    grid.glyphs.fill(UPPER_HALF);
    for (let i = 0; i < grid.size; i++) {
      grid.foregrounds[i] = directColor(foreground[3 * i], foreground[3 * i + 1], foreground[3 * i + 2]);
      grid.backgrounds[i] = directColor(background[3 * i], background[3 * i + 1], background[3 * i + 2]);
    }
    this._painter.paint(grid);
  }
}
