// What tests/browser/test_painter.py does in the page.
import { shapeOf } from "/screen/glyph_shapes.js";
import { DEFAULT_COLOR, Grid, INDEXED, directColor, resolveColor } from "/screen/grid.js";
import { Painter } from "/screen/painter.js";
import { Selection } from "/screen/selection.js";

const STANDARD = { foreground: directColor(200, 210, 220), background: directColor(10, 20, 30) };
const GEOMETRIC = [];
for (const [first, end] of [
  [0x2580, 0x25a0],
  [0x1fb00, 0x1fb3c],
  [0x2800, 0x2900],
])
  for (let glyph = first; glyph < end; glyph++) GEOMETRIC.push(glyph);

/** The same numbers in each run. */
function generator(state = 1) {
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const random = generator();
const randomColor = () =>
  [DEFAULT_COLOR, INDEXED | random(256), directColor(random(256), random(256), random(256))][random(3)] >>> 0;

/**
 * Write a row of a grid, as an update would.
 *
 * @param {Grid} grid
 * @param {number} row
 * @param {number[]} glyphs 0 after each that is two columns wide
 */
function write(grid, row, glyphs) {
  glyphs.slice(0, grid.columns).forEach((glyph, column) => {
    const cell = row * grid.columns + column;
    grid.glyphs[cell] = glyph;
    grid.wide[cell] = glyphs[column + 1] === 0 ? 1 : 0;
    grid.foregrounds[cell] = randomColor();
    grid.backgrounds[cell] = randomColor();
  });
  grid.rowRevisions[row] = ++grid.revision;
}

/** All glyphs that are geometry. */
export function geometricGrid() {
  const grid = new Grid(32, Math.ceil(GEOMETRIC.length / 32));
  for (let row = 0; row < grid.rows; row++) write(grid, row, GEOMETRIC.slice(row * 32, row * 32 + 32));
  return grid;
}

/** @param {string} text @returns {number[]} its code points, with 0 after wide ones */
const glyphsOf = (text) =>
  [...text].flatMap((glyph) => {
    const point = /** @type {number} */ (glyph.codePointAt(0));
    return point >= 0x2e80 && point < 0xa000 ? [point, 0] : [point];
  });

/** @param {string[]} lines */
export function textGrid(...lines) {
  const rows = lines.map(glyphsOf);
  const grid = new Grid(Math.max(...rows.map((row) => row.length)), rows.length);
  rows.forEach((row, y) => write(grid, y, row));
  return grid;
}

/** @param {Grid} grid with new content in some rows */
export function change(grid) {
  for (let count = random(4); count >= 0; count--)
    write(
      grid,
      random(grid.rows),
      Array.from({ length: grid.columns }, () => GEOMETRIC[random(GEOMETRIC.length)]),
    );
}

/**
 * @param {string} kind
 * @param {number} cellWidth
 * @param {number} cellHeight
 */
export function makePainter(kind, cellWidth, cellHeight) {
  const canvas = document.createElement("canvas");
  document.body.replaceChildren(canvas);
  return new Painter(canvas, /** @type {any} */ ({ kind, cellWidth, cellHeight, ...STANDARD }));
}

/** @param {CanvasImageSource & {width: number, height: number}} image @returns {Uint8ClampedArray} */
export function pixelsOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

/**
 * What the geometry says.
 *
 * @param {Grid} grid
 * @param {number} width
 * @param {number} height
 * @param {[number, number]} selection
 */
export function expectedPixels(grid, width, height, [from, to] = [0, 0]) {
  const pixels = new Uint8ClampedArray(4 * grid.size * width * height);
  for (let cell = 0; cell < grid.size; cell++) {
    const [column, row] = [cell % grid.columns, Math.floor(cell / grid.columns)];
    const shape = shapeOf(grid.glyphs[cell], width, height) ?? { rectangles: [], coverage: 0 };
    let front = resolveColor(grid.foregrounds[cell], STANDARD.foreground);
    let back = resolveColor(grid.backgrounds[cell], STANDARD.background);
    if (cell >= from && cell < to) [front, back] = [front ^ 0xffffff, back ^ 0xffffff];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = 4 * ((row * height + y) * grid.columns * width + column * width + x);
        let coverage = 0;
        for (let i = 0; i < shape.rectangles.length; i += 4) {
          const [left, top, right, bottom] = shape.rectangles.slice(i, i + 4);
          if (x >= left && x < right && y >= top && y < bottom) coverage = shape.coverage / 255;
        }
        for (let channel = 0; channel < 3; channel++) {
          const [a, b] = [(front >>> (8 * channel)) & 255, (back >>> (8 * channel)) & 255];
          pixels[at + channel] = a * coverage + b * (1 - coverage);
        }
        pixels[at + 3] = 255;
      }
    }
  }
  return pixels;
}

/** @param {ArrayLike<number>} one @param {ArrayLike<number>} other @returns {number} the largest difference of a channel */
export function difference(one, other) {
  if (one.length !== other.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < one.length; i++) largest = Math.max(largest, Math.abs(one[i] - other[i]));
  return largest;
}

/** Two screens that need more glyphs together than an atlas has. */
export function manyGlyphs() {
  return [0x4e00, 0x6000].map((first) => {
    const grid = new Grid(80, 30);
    for (let row = 0; row < 30; row++)
      write(
        grid,
        row,
        Array.from({ length: 80 }, (_, column) => (column % 2 ? 0 : first + row * 40 + column / 2)),
      );
    return grid;
  });
}

export { Selection };
