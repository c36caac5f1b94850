/** How many columns a code point has, as the server counts them. */

// Where ranges of wide characters begin and end, as differences in base 36. Half of the numbers are ends.
// tests/unit/web/test_screen_updates.py compares them with wcwidth.
const WIDE_RANGES =
  "3cw 2o 3i2 2 d 2 5a 4 3 1 2 1 eh 2 l 2 q 8 g c 17 1 a 6 3 1 d 1 8 2 h 2 5 2 8 1 5 1 l 1 7 2 1 1 4 1 2 1 7 1 4 2 s 1 z 1 1 1 4 3 1 1 " +
  "1p 3 o 1 e 1 nv 2 1f 1 4 1 mi q 1 2h c 5y q g 1 15 6 f 2 2e 4 2t 5 17 1 1f 1 16 1 2e 9 1c 1 14 8 mkd 3 1j wp t hv 8mc 6l8 e8 ls a m z " +
  "1 j 1 4 45 2o 3j 7 m49 4 e 5 9 5p7 10 y 2n 37 d pe e 1f 5y5 4 1 7 1 2 1 89 9 1 t 3 2 1 e 5 7 b0 6bo 2f 9 n 5n1 1 5m 1 5a 1 2 a j 1 1j " +
  "t d 18 4 9 7 2 e 6 4a x c 9 1 1y 1 m c 17 4 5 c h 3 1 3 1z 1 1 1 57 2 1r d 4 1 o i 1 q 2 d 1 2e 2d 1c 1y 6 1 3 3 2 5 2 4 b 2 7 9 65 1 " +
  "5 c 4 1 7v 1b 1 a 1 55 34 d 3 1z 1 1 3 i 1 d 3 c zp 1eke 2 1eke";

const wideEdges = new Uint32Array(WIDE_RANGES.split(" ").map((digits) => parseInt(digits, 36)));
for (let i = 1; i < wideEdges.length; i++) wideEdges[i] += wideEdges[i - 1];

const INVISIBLE = /^[\p{C}\p{Z}\p{M}\u1160-\u11ff\u3164\ud7b0-\ud7ff\uffa0]/u;
const UNASSIGNED = /^\p{Cn}/u;

/**
 * @param {number} glyph a code point
 * @returns {number} columns of a harmless printable character, 1 or 2; 0 for any other
 */
export function glyphWidth(glyph) {
  if ((glyph >= 0x20 && glyph < 0x7f) || (glyph >= 0x2800 && glyph < 0x2900)) return 1;
  if (glyph >= 0x2500 && glyph < 0x25fd) return 1;
  if (glyph < 0xa0 || glyph > 0x10ffff) return 0;
  let low = 0;
  let high = wideEdges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (wideEdges[middle] <= glyph) low = middle + 1;
    else high = middle;
  }
  const isWide = low % 2 === 1;
  const text = String.fromCodePoint(glyph);
  // Wide characters missing in the browser's tables are newer emoji and ideographs.
  if (INVISIBLE.test(text) && !(isWide && UNASSIGNED.test(text))) return 0;
  return isWide ? 2 : 1;
}
