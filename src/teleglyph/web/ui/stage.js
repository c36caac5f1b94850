/** The part of the page with the picture: follows its own size, paints screens, and shows whose picture is where. */

import { RosterFlag } from "../call/messages.js";
import { directColor } from "../screen/grid.js";
import { Painter } from "../screen/painter.js";
import { ReceivedScreen } from "../screen/received_screen.js";
import { Selection } from "../screen/selection.js";
import { h } from "./elements.js";

const FONT = '"DejaVu Sans Mono", "Cascadia Mono", "SF Mono", Menlo, Consolas, monospace';
const FOREGROUND = directColor(232, 236, 239);
const BACKGROUND = directColor(0, 0, 0);
const MAX_SIDE = 4096;
const MAX_CELLS = 120_000;
const SIZE_DELAY_MS = 120;

/** @typedef {import("../call/messages.js").RosterEntry} RosterEntry */

export class Stage {
  /**
   * @param {object} handlers
   * @param {(columns: number, rows: number) => void} handlers.onSize the number of characters has changed
   * @param {(number: number, flags: number) => void} handlers.onAcknowledge
   * @param {(place: number) => void} handlers.onPlace the user chose a place of the grid
   */
  constructor(handlers) {
    this._handlers = handlers;
    this._cell = 12;
    /** @type {RosterEntry[]} */
    this._roster = [];
    this._columns = this._rows = 0;
    this._cellWidth = this._cellHeight = 1;
    this._frame = 0;
    const canvas = /** @type {HTMLCanvasElement} */ (h("canvas"));
    this._tiles = h("div.tiles");
    this._surface = h("div.surface", { "aria-hidden": "true" }, canvas, this._tiles);
    this.element = h("section.stage", { "aria-label": "Pictures" }, this._surface);
    /** Frames painted. */
    this.frames = 0;
    this._painter = new Painter(canvas, { font: FONT, foreground: FOREGROUND, background: BACKGROUND });
    this.screen = new ReceivedScreen((number, flags) => handlers.onAcknowledge(number, flags));
    this._selection = new Selection(
      this._surface,
      this._painter,
      () => this.screen.grid,
      (cell) => this._choose(cell),
    );
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._sizing = undefined;
    this._observer = new ResizeObserver(() => this._measureSoon());
    this._observer.observe(this.element);
    this.element.addEventListener("pointermove", (event) => this._markTile(event));
    this.element.addEventListener("pointerleave", () => this._markTile(null));
    this._stopWatching = new AbortController();
    const { signal } = this._stopWatching;
    document.addEventListener("visibilitychange", () => this._schedule(), { signal });
    this._watchPixelRatio();
  }

  /** The number of characters that fit, as told to onSize. */
  get size() {
    return { columns: this._columns, rows: this._rows };
  }

  /** The grid that is shown; null before the first screen. */
  get grid() {
    return this.screen.grid;
  }

  /** @param {number} cell height of a character in CSS pixels */
  setCell(cell) {
    this._cell = cell;
    this._measure();
  }

  /** @param {Uint8Array} payload of a SCREEN_UPDATE */
  async receive(payload) {
    if (await this.screen.receive(payload)) this._schedule();
  }

  /** Forget the screen: another connection begins with a whole one. */
  restart() {
    this.screen.reset();
  }

  /** @param {RosterEntry[]} roster */
  showRoster(roster) {
    this._roster = roster;
    this._layTiles();
  }

  /** Stop painting and give the memory back. */
  dispose() {
    this._observer.disconnect();
    this._stopWatching.abort();
    clearTimeout(this._sizing);
    cancelAnimationFrame(this._frame);
    this._selection.dispose();
    this._painter.dispose();
  }

  _watchPixelRatio() {
    const { signal } = this._stopWatching;
    const changed = () => {
      this._measureSoon();
      this._watchPixelRatio();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener("change", changed, { once: true, signal });
  }

  _measureSoon() {
    clearTimeout(this._sizing);
    this._sizing = setTimeout(() => this._measure(), this._columns ? SIZE_DELAY_MS : 0);
  }

  _measure() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth || !clientHeight) return;
    this._cellHeight = Math.max(2, Math.round(this._cell * ratio));
    this._cellWidth = Math.max(1, Math.round(this._cellHeight / 2));
    const shrink = (/** @type {number} */ value) => Math.max(1, Math.min(MAX_SIDE, value));
    const columns = shrink(Math.floor((clientWidth * ratio) / this._cellWidth));
    let rows = shrink(Math.floor((clientHeight * ratio) / this._cellHeight));
    rows = Math.min(rows, Math.max(1, Math.floor(MAX_CELLS / columns)));
    const hasChanged = columns !== this._columns || rows !== this._rows;
    this._columns = columns;
    this._rows = rows;
    this._fitPainter();
    if (hasChanged) this._handlers.onSize(columns, rows);
  }

  /** Give the painter the size of the screen that has arrived, which may still be the one from before. */
  _fitPainter() {
    const grid = this.screen.grid;
    const [columns, rows] = grid ? [grid.columns, grid.rows] : [this._columns, this._rows];
    if (!columns) return;
    this._painter.resize(columns, rows, this._cellWidth, this._cellHeight);
    this._layTiles();
    this._schedule();
  }

  _schedule() {
    if (document.visibilityState === "hidden") {
      // Nobody looks, and there are no animation frames; the server still needs to know what has arrived.
      this.screen.painted();
      return;
    }
    this._frame ||= requestAnimationFrame(() => this._paint());
  }

  _paint() {
    this._frame = 0;
    const grid = this.screen.grid;
    if (grid === null) return;
    this._painter.paint(grid);
    this.screen.painted();
    this.frames += 1;
  }

  // --- places ---------------------------------------------------------------------------------------

  _layTiles() {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this._cellWidth / ratio, this._cellHeight / ratio];
    const shown = this._roster.filter((one) => one.columns > 0);
    while (this._tiles.children.length > shown.length) this._tiles.lastElementChild?.remove();
    while (this._tiles.children.length < shown.length) this._tiles.append(h("div.tile"));
    shown.forEach((one, index) => {
      const tile = /** @type {HTMLElement} */ (this._tiles.children[index]);
      tile.dataset.number = String(one.number);
      tile.classList.toggle("speaking", (one.flags & RosterFlag.SPEAKING) !== 0);
      tile.style.left = `${one.x * width}px`;
      tile.style.top = `${one.y * height}px`;
      tile.style.width = `${one.columns * width}px`;
      tile.style.height = `${one.rows * height}px`;
    });
  }

  /** @param {number} cell of the screen, row by row; -1 for none */
  _entryAt(cell) {
    const width = this.screen.grid?.columns ?? 0;
    if (cell < 0 || !width) return undefined;
    const [column, row] = [cell % width, Math.floor(cell / width)];
    return this._roster.find(
      ({ x, y, columns, rows }) => column >= x && column < x + columns && row >= y && row < y + rows,
    );
  }

  /** @param {number} cell of the screen */
  _choose(cell) {
    const entry = this._entryAt(cell);
    if (entry?.place) this._handlers.onPlace(entry.place);
  }

  /** @param {PointerEvent | null} event */
  _markTile(event) {
    const isMouse = event !== null && event.pointerType === "mouse";
    const entry = isMouse ? this._entryAt(this._painter.cellAt(event.clientX, event.clientY)) : undefined;
    for (const tile of this._tiles.children)
      tile.classList.toggle("under-pointer", /** @type {HTMLElement} */ (tile).dataset.number === `${entry?.number}`);
    this._surface.style.cursor = entry?.place ? "pointer" : "default";
  }
}
