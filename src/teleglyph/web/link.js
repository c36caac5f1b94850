/** What the address of the page says: the room in its path, and an invitation behind the #, which no server sees. */

const INVITATION_VERSION = 1;
const VIEW_ONLY = 0x01;

/**
 * @param {{pathname: string, hash: string}} address such as location
 * @returns {{room: string, invitation: string, isViewOnly: boolean}} isViewOnly: the invitation lets one only watch and
 *   listen; the server decides, but the page need not ask for a camera
 */
export function readLink({ pathname, hash }) {
  let room = pathname.split("/")[1] ?? "";
  try {
    room = decodeURIComponent(room);
  } catch {
    // The server answers such an address with an error, so this is only for pages opened in another way.
  }
  const invitation = new URLSearchParams(hash.slice(1)).get("i") ?? "";
  return { room, invitation, isViewOnly: isViewOnly(invitation) };
}

/** @param {string} invitation in base64url; its first bytes are its version and its flags */
function isViewOnly(invitation) {
  try {
    const head = atob(invitation.slice(0, 4).replaceAll("-", "+").replaceAll("_", "/"));
    return head.charCodeAt(0) === INVITATION_VERSION && (head.charCodeAt(1) & VIEW_ONLY) !== 0;
  } catch {
    return false;
  }
}

/**
 * @param {{protocol: string, host: string}} address such as location
 * @param {string} path
 * @returns {string} of a WebSocket of this server
 */
export function socketUrl({ protocol, host }, path) {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}${path}`;
}
