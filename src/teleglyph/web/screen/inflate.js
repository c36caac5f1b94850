/** Inflates bodies of updates, with a bound on the memory that it takes. */

/** How many times its size a stream can inflate to. */
const MAX_GROWTH = 1032;
/** Bytes that are inflated before the output is checked, which therefore grows to at most 16 MiB. */
const PIECE = 1 << 14;

/**
 * @param {Uint8Array} input a raw deflate stream (RFC 1951)
 * @param {number} size bytes that it must inflate to
 * @returns {Promise<Uint8Array | null>} null if it is malformed or has another size
 */
export async function inflate(input, size) {
  if (size > MAX_GROWTH * input.length) return null;
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const output = new Uint8Array(size);
  let filled = 0;
  const write = async () => {
    for (let at = 0; at < input.length; at += PIECE)
      await writer.write(/** @type {Uint8Array<ArrayBuffer>} */ (input.subarray(at, at + PIECE)));
    await writer.close();
  };
  // Whatever fails here fails in the reader, too.
  write().catch(() => {});
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return filled === size ? output : null;
      if (value.length > size - filled) break;
      output.set(value, filled);
      filled += value.length;
    }
  } catch {
    return null;
  }
  reader.cancel().catch(() => {});
  return null;
}
