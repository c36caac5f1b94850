// What bench/painter.py does in the page.
import { inflate } from "/screen/inflate.js";
import { Grid } from "/screen/grid.js";
import { Painter } from "/screen/painter.js";
import { ReceivedScreen } from "/screen/received_screen.js";
import { parseUpdate } from "/screen/update.js";
import { applyBody } from "/screen/update_body.js";

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** @param {() => unknown} work @returns {Promise<number>} milliseconds */
async function timed(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/**
 * Play updates.
 *
 * @param {string[]} encoded payloads in base64; the first is whole
 * @param {string} kind of painter
 * @param {number} cellWidth
 * @param {number} cellHeight
 */
export async function play(encoded, kind, cellWidth, cellHeight) {
  const payloads = encoded.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  const canvas = document.createElement("canvas");
  document.body.replaceChildren(canvas);
  const painter = new Painter(canvas, /** @type {any} */ ({ kind, cellWidth, cellHeight }));
  /** @type {Record<string, number[]>} */
  const times = { inflate: [], apply: [], paint: [], finish: [] };
  const { columns, rows } = parseUpdate(payloads[0]);
  const grid = new Grid(columns, rows);
  // Twice, so that the second time measures compiled code.
  for (const isMeasured of [false, true]) {
    for (const payload of payloads) {
      const { base, packedBody, bodySize } = parseUpdate(payload);
      let body = new Uint8Array();
      const inflating = await timed(async () => (body = (await inflate(packedBody, bodySize)) ?? body));
      const started = performance.now();
      applyBody(grid, body, base === 0);
      const applied = performance.now();
      painter.paint(grid);
      const painted = performance.now();
      // WebGL draws when its result is needed.
      if (isMeasured && painter.kind === "webgl") {
        const gl = /** @type {WebGL2RenderingContext} */ (canvas.getContext("webgl2"));
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
      }
      const finished = performance.now();
      if (isMeasured) {
        times.inflate.push(inflating);
        times.apply.push(applied - started);
        times.paint.push(painted - applied);
        times.finish.push(finished - applied);
      }
      if (isMeasured) await nextFrame();
    }
  }
  // As many frames as the browser shows.
  const screen = new ReceivedScreen(() => {});
  const started = performance.now();
  let frames = 0;
  for (; performance.now() - started < 2000; frames++) {
    if (frames % payloads.length === 0) screen.reset();
    await screen.receive(payloads[frames % payloads.length]);
    if (screen.grid) painter.paint(screen.grid);
    screen.painted();
    await nextFrame();
  }
  const rate = (1000 * frames) / (performance.now() - started);
  const result = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
  const actual = painter.kind;
  painter.dispose();
  return { ...result, rate, kind: actual };
}
