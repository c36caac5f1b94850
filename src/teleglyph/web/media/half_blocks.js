/** Pictures as half blocks: two pixels in each character. */

/**
 * @typedef {object} HalfBlocks
 * @property {number} columns
 * @property {number} rows
 * @property {string} character of every cell: the upper half is the foreground
 * @property {Uint8Array} foreground red, green, blue of each cell's upper half, row by row
 * @property {Uint8Array} background of each cell's lower half
 */

/**
 * @param {Uint8ClampedArray | Uint8Array} pixels RGBA, `columns` wide and `2 * rows` high
 * @param {number} columns
 * @param {number} rows
 * @returns {HalfBlocks}
 */
export function halfBlocks(pixels, columns, rows) {
  const foreground = new Uint8Array(3 * columns * rows);
  const background = new Uint8Array(3 * columns * rows);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, to += 3) {
      const upper = 4 * (2 * row * columns + column);
      const lower = upper + 4 * columns;
      for (let i = 0; i < 3; i++) {
        foreground[to + i] = pixels[upper + i];
        background[to + i] = pixels[lower + i];
      }
    }
  }
  return { columns, rows, character: "▀", foreground, background };
}
