/** Selects cells with a mouse, pen or finger, and copies them as text. */

import { textOf } from "./grid.js";

/** @import { Grid } from "./grid.js" */
/** @import { Painter } from "./painter.js" */

/** CSS pixels that a pointer may move during a click. */
const CLICK_SLACK = 4;

/** A range of cells in reading order, from where the pointer went down to where it is. */
export class Selection {
  #from = 0;
  #to = 0;
  #anchor = -1;
  #start = { x: 0, y: 0 };
  #isDragging = false;
  #listeners = new AbortController();
  #painter;
  #grid;
  #onClick;

  /**
   * @param {HTMLElement} element that contains the painter's canvas
   * @param {Painter} painter shows the selection
   * @param {() => Grid | null} grid what is painted
   * @param {(cell: number, event: PointerEvent) => void} onClick called for a click without a selection
   */
  constructor(element, painter, grid, onClick) {
    this.#painter = painter;
    this.#grid = grid;
    this.#onClick = onClick;
    const { signal } = this.#listeners;
    // A finger selects instead of scrolling.
    element.style.touchAction = "pinch-zoom";
    element.addEventListener("pointerdown", (event) => this.#press(event, element), { signal });
    element.addEventListener("pointermove", (event) => this.#move(event), { signal });
    element.addEventListener("pointerup", (event) => this.#release(event), { signal });
    element.addEventListener("pointercancel", () => this.#cancel(), { signal });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.clear(), { signal });
    document.addEventListener("copy", (event) => this.#copy(event), { signal });
    // Safari offers to copy only if this event is handled.
    document.addEventListener("beforecopy", (event) => this.#isCopied() && event.preventDefault(), { signal });
  }

  /** Whether nothing is selected. */
  get isEmpty() {
    return this.#from === this.#to;
  }

  /** What is selected, as it looks now. */
  get text() {
    const grid = this.#grid();
    return grid ? textOf(grid, this.#from, this.#to) : "";
  }

  /** Select nothing. */
  clear() {
    this.#anchor = -1;
    this.#select(0, 0);
  }

  /** Stop listening, and select nothing. */
  dispose() {
    this.clear();
    this.#listeners.abort();
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  #select(from, to) {
    if (from === this.#from && to === this.#to) return;
    this.#from = from;
    this.#to = to;
    this.#painter.select(from, to);
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} element
   */
  #press(event, element) {
    if (event.button !== 0 || !event.isPrimary) return;
    this.clear();
    this.#anchor = this.#painter.cellAt(event.clientX, event.clientY);
    this.#start = { x: event.clientX, y: event.clientY };
    this.#isDragging = false;
    if (this.#anchor >= 0) element.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (this.#anchor < 0 || !event.isPrimary) return;
    const distance = Math.hypot(event.clientX - this.#start.x, event.clientY - this.#start.y);
    if (!this.#isDragging && distance <= CLICK_SLACK) return;
    this.#isDragging = true;
    const cell = this.#painter.cellAt(event.clientX, event.clientY, true);
    this.#select(Math.min(this.#anchor, cell), Math.max(this.#anchor, cell) + 1);
  }

  /** @param {PointerEvent} event */
  #release(event) {
    if (this.#anchor < 0 || !event.isPrimary) return;
    const cell = this.#anchor;
    this.#anchor = -1;
    if (!this.#isDragging) this.#onClick(cell, event);
  }

  #cancel() {
    this.#anchor = -1;
  }

  /** Whether Ctrl+C means the selected cells, and not text elsewhere on the page. */
  #isCopied() {
    const focus = document.activeElement;
    const isTyping = focus instanceof HTMLInputElement || focus instanceof HTMLTextAreaElement;
    return !this.isEmpty && !isTyping && (document.getSelection()?.isCollapsed ?? true);
  }

  /** @param {ClipboardEvent} event */
  #copy(event) {
    if (!this.#isCopied()) return;
    event.clipboardData?.setData("text/plain", this.text);
    event.preventDefault();
  }
}
