/** Why a call cannot be joined by its name, in sentences. */

import { Refusal, ServiceError } from "./discovery_messages.js";

/** The message is for people. */
export class DiscoveryError extends Error {
  /**
   * @param {string} message
   * @param {boolean} [isFinal] trying again would not help
   */
  constructor(message, isFinal = false) {
    super(message);
    this.isFinal = isFinal;
  }
}

/** @param {string} name */
export function unknownName(name) {
  return new DiscoveryError(`There is no call named ${name}. Check the three words, or ask the host for the new ones.`);
}

export function hostAway() {
  return new DiscoveryError("The host of this call is not connected right now. Wait a moment, then try again.");
}

/**
 * @param {number} code in SESSION_JOINED or ACIP_ERROR
 * @param {string} text
 * @param {string} name
 */
export function refused(code, text, name) {
  if (code === Refusal.NOT_FOUND) return unknownName(name);
  if (code === Refusal.FULL) return new DiscoveryError("This call is full. Try again later.");
  if (code === Refusal.RATE_LIMITED) return tooOften();
  return otherRefusal(code, text);
}

/** @param {{code: number, text: string}} error in ERROR_MESSAGE */
export function refusedByService({ code, text }) {
  if (code === ServiceError.HOST_AWAY) return hostAway();
  if (code === ServiceError.RATE_LIMITED) return tooOften();
  return otherRefusal(code, text);
}

/**
 * @param {number} code
 * @param {string} text
 */
function otherRefusal(code, text) {
  return new DiscoveryError(`The discovery service refused: ${text || `error ${code}`}`);
}

function tooOften() {
  return new DiscoveryError("The discovery service got too many requests from your network. Wait a minute.");
}

/**
 * What keeps this browser from joining calls by their names.
 *
 * @returns {Promise<string>} a sentence; empty for nothing
 */
export async function missingSupport() {
  if (!isSecureContext)
    return "Joining a call by its name needs a secure page, because the browser refuses to encrypt on any other. Ask whoever runs this service for an https address.";
  if (typeof RTCPeerConnection !== "function")
    return "This browser has no WebRTC, or it is turned off, so it cannot connect to the host. Turn it on, or use another browser.";
  try {
    await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
    await crypto.subtle.generateKey("Ed25519", false, ["verify", "sign"]);
    return "";
  } catch {
    return "This browser is too old to check the host's key (X25519 and Ed25519). Use Chrome or Edge 137, Firefox 130, Safari 17, or newer.";
  }
}
