import assert from "node:assert/strict";
import { test } from "node:test";
import { shapeOf } from "../../src/teleglyph/web/screen/glyph_shapes.js";

const SIZES = [];
for (let width = 1; width <= 13; width++)
  for (const height of [1, 2, 3, 7, 8, 13, 16, 21, 32]) SIZES.push([width, height]);

/**
 * How often each pixel of a cell is covered.
 *
 * @param {string} glyph
 * @param {number} width
 * @param {number} height
 */
function pixels(glyph, width, height) {
  const counts = new Array(width * height).fill(0);
  const shape = shapeOf(/** @type {number} */ (glyph.codePointAt(0)), width, height);
  assert.ok(shape, glyph);
  for (let i = 0; i < shape.rectangles.length; i += 4) {
    const [left, top, right, bottom] = shape.rectangles.slice(i, i + 4);
    assert.ok(0 <= left && left <= right && right <= width && 0 <= top && top <= bottom && bottom <= height, glyph);
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) counts[y * width + x]++;
  }
  return counts;
}

/**
 * Assert that glyphs cover each pixel of a cell exactly once together.
 *
 * @param {string} glyphs
 */
function assertTile(glyphs) {
  for (const [width, height] of SIZES) {
    const sum = new Array(width * height).fill(0);
    for (const glyph of glyphs) pixels(glyph, width, height).forEach((count, i) => (sum[i] += count));
    assert.ok(
      sum.every((count) => count === 1),
      `${glyphs} at ${width}x${height}: ${sum}`,
    );
  }
}

/** @param {number} mask */
function sextant(mask) {
  const known = { 0: " ", 0x15: "▌", 0x2a: "▐", 0x3f: "█" }[mask];
  return known ?? String.fromCodePoint(0x1fb00 + mask - 1 - (mask > 0x15 ? 1 : 0) - (mask > 0x2a ? 1 : 0));
}

test("blocks meet without gaps and overlap", () => {
  for (const glyphs of ["█", "▀▄", "▌▐", "▖▗▘▝", "▚▞", "▙▝", "▛▗", "▜▖", "▟▘", "▌▗▝", "▀▗▖"]) assertTile(glyphs);
});

test("sextants meet without gaps and overlap", () => {
  for (let mask = 1; mask < 63; mask++) assertTile(sextant(mask) + sextant(63 - mask));
  assertTile([0, 1, 2, 3, 4, 5].map((part) => sextant(1 << part)).join(""));
});

test("eighths grow by an eighth", () => {
  const area = (/** @type {string} */ glyph) => pixels(glyph, 8, 16).reduce((sum, count) => sum + count);
  assert.deepEqual([..."▁▂▃▄▅▆▇█"].map(area), [16, 32, 48, 64, 80, 96, 112, 128]);
  assert.deepEqual([..."▏▎▍▌▋▊▉█"].map(area), [16, 32, 48, 64, 80, 96, 112, 128]);
  assert.deepEqual([..."▔▕"].map(area), [16, 16]);
  assert.equal(pixels("▁", 8, 16).lastIndexOf(0), 8 * 14 - 1);
  assert.equal(pixels("▏", 8, 16)[0], 1);
  assert.equal(pixels("▕", 8, 16)[7], 1);
  assert.equal(pixels("▔", 8, 16)[0], 1);
});

test("quadrants and sextants are where Unicode puts them", () => {
  const corners = (/** @type {string} */ glyph) => {
    const cell = pixels(glyph, 2, 2);
    return cell.join("");
  };
  assert.deepEqual([..."▘▝▖▗▀▌▚▞▛▜▙▟"].map(corners), [
    "1000",
    "0100",
    "0010",
    "0001",
    "1100",
    "1010",
    "1001",
    "0110",
    "1110",
    "1101",
    "1011",
    "0111",
  ]);
  // BLOCK SEXTANT-1, -2, -235, -236, -1246 and -23456.
  assert.deepEqual(
    ["\u{1fb00}", "\u{1fb01}", "\u{1fb14}", "\u{1fb24}", "\u{1fb28}", "\u{1fb3b}"].map((glyph) =>
      pixels(glyph, 2, 3).join(""),
    ),
    ["100000", "010000", "011010", "011001", "110101", "011111"],
  );
});

test("shades cover a quarter, half and three quarters", () => {
  assert.deepEqual(
    [..."░▒▓"].map((glyph) => shapeOf(/** @type {number} */ (glyph.codePointAt(0)), 5, 9)),
    [64, 128, 191].map((coverage) => ({ rectangles: [0, 0, 5, 9], coverage })),
  );
});

test("each dot of braille has its own place, and all the same size", () => {
  for (const [width, height] of SIZES) {
    if (width < 2 || height < 4) continue;
    const all = pixels("⣿", width, height);
    assert.ok(Math.max(...all) === 1, `overlap at ${width}x${height}`);
    const areas = new Set();
    const sum = new Array(width * height).fill(0);
    for (let bit = 0; bit < 8; bit++) {
      const dot = pixels(String.fromCodePoint(0x2800 + (1 << bit)), width, height);
      areas.add(dot.reduce((total, count) => total + count));
      dot.forEach((count, i) => (sum[i] += count));
    }
    assert.deepEqual(sum, all);
    assert.equal(areas.size, 1);
  }
  // Dots 1, 4, 7 and 8 are in the corners.
  const corners = [..."⠁⠈⡀⢀"].map((glyph) => pixels(glyph, 2, 4).indexOf(1));
  assert.deepEqual(corners, [0, 1, 6, 7]);
  assert.deepEqual(pixels("⠀", 8, 16), new Array(128).fill(0));
});

test("other glyphs are left to the font", () => {
  for (const glyph of "A é世≣◼─⤀") assert.equal(shapeOf(/** @type {number} */ (glyph.codePointAt(0)), 8, 16), null);
});
