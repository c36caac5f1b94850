/** What this browser remembers. Storage may be forbidden or full; then nothing is remembered, and nothing throws. */

/** @returns {Storage | null} null if the browser forbids it, as some do in private windows */
export function availableStorage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {Storage | null} [storage]
 * @returns {string | null} null if nothing is stored
 */
export function recall(key, storage = availableStorage()) {
  try {
    return storage?.getItem(key) ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} value an empty one forgets the key
 * @param {Storage | null} [storage]
 * @returns {boolean} false if it could not be stored, and lasts only as long as the page
 */
export function remember(key, value, storage = availableStorage()) {
  try {
    if (value) storage?.setItem(key, value);
    else storage?.removeItem(key);
    return storage !== null;
  } catch {
    return false;
  }
}
