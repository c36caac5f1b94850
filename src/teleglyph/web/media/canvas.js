/** Canvases that nobody sees, to scale pictures and read their pixels. */

/** @typedef {OffscreenCanvas | HTMLCanvasElement} Canvas */

const JPEG_QUALITY = 0.75;

/**
 * A canvas of a size, ready to scale pictures. The old one is used again if it is given.
 *
 * @param {Canvas | null} old
 * @param {number} width pixels
 * @param {number} height
 * @returns {{ canvas: Canvas, context: OffscreenCanvasRenderingContext2D }}
 */
export function resized(old, width, height) {
  const canvas = old ?? newCanvas(width, height);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  // Its pixels are read all the time, so they should not be in the graphics card's memory.
  const options = { alpha: false, willReadFrequently: true };
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", options));
  context.imageSmoothingQuality = "medium";
  return { canvas, context };
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {Canvas}
 */
function newCanvas(width, height) {
  if (typeof OffscreenCanvas === "function") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * @param {Canvas} canvas
 * @returns {Promise<Blob | null>}
 */
export function jpegOf(canvas) {
  const type = "image/jpeg";
  if ("convertToBlob" in canvas) return canvas.convertToBlob({ type, quality: JPEG_QUALITY });
  return new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
}
