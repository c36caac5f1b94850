// Applies the updates of a file as the page does: node apply_updates.js FILE. tests/unit/web/test_screen_updates.py compares the
// result with the native decoder's. A line of the file is a screen: {columns, rows, updates: [[whole, body in base64]]}.
// For each it prints one line: for each update 1 if it was accepted, and a digest of the cells after it.
// Without a file, it prints the widths of all code points as runs: [[first code point, width, whether Node knows it]].
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { glyphWidth } from "../../src/teleglyph/web/screen/glyph_width.js";
import { Grid } from "../../src/teleglyph/web/screen/grid.js";
import { DamagedUpdateError } from "../../src/teleglyph/web/screen/update.js";
import { applyBody } from "../../src/teleglyph/web/screen/update_body.js";

/** @param {Grid} grid */
function digest(grid) {
  const cells = new Uint32Array(3 * grid.size);
  for (let i = 0; i < grid.size; i++) cells.set([grid.foregrounds[i], grid.backgrounds[i], grid.glyphs[i]], 3 * i);
  return createHash("sha1").update(cells).digest("hex");
}

if (process.argv.length < 3) {
  const runs = [];
  for (let glyph = 0; glyph < 0x110000; glyph++) {
    const width = glyphWidth(glyph);
    const isAssigned = !/^\p{Cn}/u.test(String.fromCodePoint(glyph));
    const run = runs.at(-1);
    if (run?.[1] !== width || run[2] !== isAssigned) runs.push([glyph, width, isAssigned]);
  }
  console.log(JSON.stringify(runs));
} else {
  for (const line of readFileSync(process.argv[2], "utf8").trimEnd().split("\n")) {
    const { columns, rows, updates } = JSON.parse(line);
    const grid = new Grid(columns, rows);
    const results = updates.map(([isWhole, body]) => {
      let isAccepted = 1;
      try {
        applyBody(grid, Buffer.from(body, "base64"), isWhole);
      } catch (error) {
        if (!(error instanceof DamagedUpdateError)) throw error;
        isAccepted = 0;
      }
      return `${isAccepted} ${digest(grid)}`;
    });
    console.log(results.join(" "));
  }
}
