/** What the server answers to PAGE_HELLO (docs/protocol/page.md#handshake). */

import { readAuthFailed, readError, readWelcome } from "./messages.js";
import { Type } from "./packet.js";

/**
 * @typedef {object} Ending why a connection ended
 * @property {"refused" | "lost"} kind refused: the server does not want this page as it is; lost: try again
 * @property {number} reasons bits of AuthFailure, if the password or invitation was refused
 * @property {number} code of the server's error; 0 for none
 * @property {string} text a sentence for people; empty for none
 * @property {import("../discovery/host_trust.js").HostChange} [change] the host proved another identity than expected
 */

export class PageHandshake {
  constructor() {
    this._reasons = 0;
    this._code = 0;
    this._text = "";
    /** @type {ReturnType<typeof readWelcome> | null} */
    this.welcome = null;
  }

  /** Whether the server refused the page, or explained why the connection ends. */
  get hasFailed() {
    return this._reasons !== 0 || this._code !== 0;
  }

  /**
   * @param {number} type
   * @param {Uint8Array} payload
   * @returns {boolean} false if the packet has nothing to do with the handshake
   */
  receive(type, payload) {
    if (type === Type.AUTH_FAILED) this._reasons |= readAuthFailed(payload) || 0x80;
    else if (type === Type.ERROR_MESSAGE) ({ code: this._code, text: this._text } = readError(payload));
    else if (type === Type.PAGE_WELCOME && this.welcome === null) this.welcome = readWelcome(payload);
    else return false;
    return true;
  }

  /**
   * @param {boolean} isTemporary the connection ended in a way that means that the page should try again later
   * @returns {Ending}
   */
  ending(isTemporary) {
    const isRefused = this._reasons !== 0 || (this._code !== 0 && !isTemporary);
    return { kind: isRefused ? "refused" : "lost", reasons: this._reasons, code: this._code, text: this._text };
  }
}
