// What bench/painter.py does in the page. It measures the processor time of each function.
import { inflate } from "/screen/inflate.js";
import { Grid } from "/screen/grid.js";
import { Painter } from "/screen/painter.js";
import { ReceivedScreen } from "/screen/received_screen.js";
import { parseUpdate } from "/screen/update.js";
import { applyBody } from "/screen/update_body.js";

/** Plays recorded updates, the first of which is whole. */
export class Player {
  /**
   * @param {string[]} encoded payloads in base64
   * @param {string} kind of painter
   * @param {number} cellWidth
   * @param {number} cellHeight
   */
  constructor(encoded, kind, cellWidth, cellHeight) {
    this.payloads = encoded.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    const canvas = document.createElement("canvas");
    document.body.replaceChildren(canvas);
    this.painter = new Painter(canvas, /** @type {any} */ ({ kind, cellWidth, cellHeight }));
    const { columns, rows } = parseUpdate(this.payloads[0]);
    this.grid = new Grid(columns, rows);
    /** @type {Uint8Array[]} */
    this.bodies = [];
  }

  /** Inflate all bodies. */
  async inflate() {
    this.bodies = [];
    for (const payload of this.payloads) {
      const { packedBody, bodySize } = parseUpdate(payload);
      this.bodies.push((await inflate(packedBody, bodySize)) ?? new Uint8Array());
    }
  }

  /** Apply all bodies. */
  apply() {
    this.bodies.forEach((body, i) => applyBody(this.grid, body, i === 0));
  }

  /** Apply all bodies, and paint after each. */
  paint() {
    this.bodies.forEach((body, i) => {
      applyBody(this.grid, body, i === 0);
      this.painter.paint(this.grid);
    });
    if (this.painter.kind !== "webgl") return;
    // WebGL draws later: wait, so that the next measurement does not.
    const gl = /** @type {WebGL2RenderingContext} */ (this.painter.canvas.getContext("webgl2"));
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /**
   * Receive and paint one update after another, each time the browser asks for a frame.
   *
   * @param {number} milliseconds
   * @returns {Promise<number>} frames per second
   */
  async play(milliseconds) {
    const screen = new ReceivedScreen(() => {});
    const started = performance.now();
    let frames = 0;
    for (; performance.now() - started < milliseconds; frames++) {
      if (frames % this.payloads.length === 0) screen.reset();
      await screen.receive(this.payloads[frames % this.payloads.length]);
      if (screen.grid) this.painter.paint(screen.grid);
      screen.painted();
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    return (1000 * frames) / (performance.now() - started);
  }
}
