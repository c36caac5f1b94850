/** What the address of the page says: the call in its path, and secrets behind the #, which no server sees. */

import { isCallName } from "./discovery/call_name.js";

const INVITATION_VERSION = 1;
const VIEW_ONLY = 0x01;
const FINGERPRINT = "SHA256:";

/**
 * @typedef {object} Link
 * @property {string} name three words, for a call of a discovery service; empty for a call of the page's own server
 * @property {string} wrongName what the address of a discovery service's page has instead of a name
 * @property {string} room empty for the lobby
 * @property {string} invitation
 * @property {boolean} isViewOnly the invitation lets one only watch and listen; the server decides, but the page need
 *   not ask for a camera
 * @property {string} pin the fingerprint of the host's key that the link asks for; empty for none
 */

/**
 * @param {{pathname: string, hash: string}} address such as location
 * @param {boolean} [isDiscovery] the page comes from a discovery service, where the first part of the path is a name
 * @returns {Link}
 */
export function readLink({ pathname, hash }, isDiscovery = false) {
  const parts = pathname.split("/").slice(1).map(decoded);
  const first = parts[0].toLowerCase();
  const name = isDiscovery && isCallName(first) ? first : "";
  const room = isDiscovery ? (name && parts[1]) || "" : parts[0];
  const parameters = new URLSearchParams(hash.slice(1));
  const invitation = parameters.get("i") ?? "";
  // A plus of base64 is a space for URLSearchParams.
  const pin = parameters.get("k")?.replaceAll(" ", "+") ?? "";
  return {
    name,
    wrongName: isDiscovery && !name ? parts[0] : "",
    room,
    invitation,
    isViewOnly: isViewOnly(invitation),
    pin: pin && (pin.startsWith(FINGERPRINT) ? pin : FINGERPRINT + pin),
  };
}

/** @param {string} part of a path */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    // The server answers such an address with an error, so this is only for pages opened in another way.
    return part;
  }
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
