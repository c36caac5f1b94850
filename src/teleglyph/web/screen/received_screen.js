/** The screen that a server describes by updates. */

import { Grid } from "./grid.js";
import { inflate } from "./inflate.js";
import { DamagedUpdateError, parseUpdate } from "./update.js";
import { applyBody } from "./update_body.js";

/** Flag of SCREEN_ACK: the next update must be a whole one. */
export const NEEDS_WHOLE = 0x01;

/** Applies updates in the order of their arrival, acknowledges them, and asks for a whole one when it has to. */
export class ReceivedScreen {
  #tail = Promise.resolve(false);
  #generation = 0;
  #acknowledged = 0;
  #needsWhole = false;
  #acknowledge;

  /** @param {(number: number, flags: number) => void} acknowledge sends SCREEN_ACK */
  constructor(acknowledge) {
    this.#acknowledge = acknowledge;
    /** @type {Grid | null} the screen; null before the first whole update */
    this.grid = null;
    /** Of the last update applied; 0 for none. */
    this.number = 0;
    /** Grows with every update applied, whichever grid it went to. */
    this.revision = 0;
    /** How coarse the screen is: 0 is the finest, the last update's low four bits. */
    this.coarseness = 0;
    /** The screen is drawn in a cheaper mode than requested. */
    this.isCheaper = false;
    /** Frames per second that the server aims at. */
    this.rate = 0;
  }

  /**
   * Apply an update after those that came before it.
   *
   * @param {Uint8Array} payload of SCREEN_UPDATE; must not change until the update is applied
   * @returns {Promise<boolean>} whether the screen has changed; false if an update was missing or damaged
   */
  receive(payload) {
    const generation = this.#generation;
    const applied = this.#tail.then(() => this.#apply(payload, generation));
    this.#tail = applied.catch(() => false);
    return applied;
  }

  /** Acknowledge what is on the canvas now. Call this each time the grid has been painted. */
  painted() {
    if (this.number === this.#acknowledged) return;
    this.#acknowledged = this.number;
    this.#acknowledge(this.number, 0);
  }

  /** Forget everything: the next update comes over a new connection. */
  reset() {
    this.#generation++;
    this.#acknowledged = this.number = 0;
    this.#needsWhole = false;
    this.grid = null;
    this.revision++;
  }

  /**
   * @param {Uint8Array} payload
   * @param {number} generation of the connection that it came over
   */
  async #apply(payload, generation) {
    const isStale = () => generation !== this.#generation;
    if (isStale()) return false;
    try {
      const update = parseUpdate(payload);
      const { columns, rows, base } = update;
      const isWhole = base === 0;
      const fits = this.grid !== null && this.grid.columns === columns && this.grid.rows === rows;
      if (!isWhole && !(fits && base === this.number)) {
        // Updates that were on their way when it was missed do not help, so ask once.
        if (!this.#needsWhole) this.#askForWhole();
        return false;
      }
      const body = update.isDeflated ? await inflate(update.packedBody, update.bodySize) : update.packedBody;
      if (isStale()) return false;
      if (body === null) throw new DamagedUpdateError(`The body does not inflate to ${update.bodySize} bytes.`);
      const grid = fits && this.grid ? this.grid : new Grid(columns, rows);
      applyBody(grid, body, isWhole);
      this.grid = grid;
      this.number = update.number;
      this.coarseness = update.level & 0x0f;
      this.isCheaper = (update.level & 0x10) !== 0;
      this.rate = update.rate;
    } catch (error) {
      if (!(error instanceof DamagedUpdateError)) throw error;
      this.#askForWhole();
      return false;
    }
    this.#needsWhole = false;
    this.revision++;
    return true;
  }

  #askForWhole() {
    this.#needsWhole = true;
    this.#acknowledge(this.number, NEEDS_WHOLE);
  }
}
