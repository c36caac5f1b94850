/** What the address of the page says: the room in its path, and an invitation behind the #, which no server sees. */

/**
 * @param {{pathname: string, hash: string}} address such as location
 * @returns {{room: string, invitation: string}}
 */
export function readLink({ pathname, hash }) {
  let room = pathname.split("/")[1] ?? "";
  try {
    room = decodeURIComponent(room);
  } catch {
    // The server answers such an address with an error, so this is only for pages opened in another way.
  }
  return { room, invitation: new URLSearchParams(hash.slice(1)).get("i") ?? "" };
}

/**
 * @param {{protocol: string, host: string}} address such as location
 * @param {string} path
 * @returns {string} of a WebSocket of this server
 */
export function socketUrl({ protocol, host }, path) {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}${path}`;
}
