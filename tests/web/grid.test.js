import assert from "node:assert/strict";
import { test } from "node:test";
import { Grid, INDEXED, changedRows, directColor, resolveColor, textOf } from "../../src/teleglyph/web/screen/grid.js";

/** @param {string[]} lines of equal length; ~ is the right half of a wide glyph */
function gridOf(...lines) {
  const grid = new Grid([...lines[0]].length, lines.length);
  grid.glyphs.set(
    [...lines.join("")].map((glyph) => (glyph === "~" ? 0 : /** @type {number} */ (glyph.codePointAt(0)))),
  );
  return grid;
}

test("text is copied without blanks at the ends of lines", () => {
  const grid = gridOf("ab  ", "    ", " c d");
  assert.equal(textOf(grid, 0, 12), "ab\n\n c d");
  assert.equal(textOf(grid, 1, 10), "b\n\n c");
  assert.equal(textOf(grid, 5, 5), "");
  assert.equal(textOf(grid, -3, 99), "ab\n\n c d");
});

test("wide glyphs are copied once, whichever half is selected", () => {
  const grid = gridOf("世~界~x");
  assert.equal(textOf(grid, 0, 5), "世界x");
  assert.equal(textOf(grid, 1, 3), "世界");
  assert.equal(textOf(grid, 0, 1), "世");
});

test("colors are resolved as xterm does", () => {
  const standard = directColor(1, 2, 3);
  assert.equal(resolveColor(0, standard), standard);
  assert.equal(resolveColor(directColor(9, 8, 7), standard), directColor(9, 8, 7));
  assert.equal(resolveColor(INDEXED | 1, standard), directColor(205, 0, 0));
  assert.equal(resolveColor(INDEXED | 12, standard), directColor(92, 92, 255));
  assert.equal(resolveColor(INDEXED | 16, standard), directColor(0, 0, 0));
  assert.equal(resolveColor(INDEXED | 208, standard), directColor(255, 135, 0));
  assert.equal(resolveColor(INDEXED | 255, standard), directColor(238, 238, 238));
});

test("sizes are limited", () => {
  assert.equal(new Grid(400, 300).size, 120_000);
  for (const [columns, rows] of [
    [0, 1],
    [1, 4097],
    [401, 300],
    [4096, 4096],
    [1.5, 2],
    [-1, -1],
    [NaN, 1],
  ])
    assert.throws(() => new Grid(columns, rows), RangeError);
});

test("changed rows are found by their revisions", () => {
  const grid = new Grid(1, 5);
  assert.deepEqual(changedRows(grid, -1), [0, 5]);
  grid.rowRevisions.set([1, 3, 1, 4, 0]);
  assert.deepEqual(changedRows(grid, 2), [1, 4]);
  assert.deepEqual(changedRows(grid, 3), [3, 4]);
  const [first, end] = changedRows(grid, 4);
  assert.equal(first, end);
});
