/** A transport for a call by its name: the discovery service introduces the page to the host, then a data channel opens. */

import { PageHandshake } from "../call/handshake.js";
import { PacketError, decodePackets } from "../call/packet.js";
import { DataChannel } from "./data_channel.js";
import { CAN_RENDEZVOUS, DiscoveryType, readSdp, readWays, waysOffer } from "./discovery_messages.js";
import { HostChangedError, checkHost, fingerprint, trustHost } from "./host_trust.js";
import { DiscoveryError } from "./problem.js";
import { SealError, SealedJoiner } from "./sealed.js";
import { ServiceLink } from "./service_link.js";

/** All steps together; most have a shorter limit, and a sentence of their own. */
const LIMIT_MS = 60_000;
const HANDSHAKE_MS = 10_000;
/** A refusal may consist of two packets. */
const EXPLANATION_MS = 500;
const MAX_WAITING_PACKETS = 16;

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {import("../call/transport.js").Transport} Transport */

/**
 * @typedef {object} RendezvousOptions
 * @property {string} url of the discovery service's WebSocket
 * @property {string} name three words
 * @property {string} pin the host's expected fingerprint; empty for the remembered one
 * @property {(fingerprint: string) => void} onHost the host that let the page in
 * @property {(way: import("./data_channel.js").Way) => void} onWay
 */

/**
 * @param {RendezvousOptions} options
 * @returns {import("../call/transport.js").Connect}
 */
export function overRendezvous(options) {
  return (hello, handlers) => new RendezvousTransport(options, hello, handlers);
}

/** @implements {Transport} */
class RendezvousTransport {
  /**
   * @param {RendezvousOptions} options
   * @param {Bytes} hello
   * @param {import("../call/transport.js").TransportHandlers} handlers
   */
  constructor(options, hello, handlers) {
    this.limitMs = LIMIT_MS;
    this._options = options;
    this._handlers = handlers;
    this._handshake = new PageHandshake();
    this._startedAt = performance.now();
    this._isClosed = false;
    /** @type {DataChannel | null} */
    this._channel = null;
    this._link = new ServiceLink(options.url, options.name);
    void this._run(hello);
  }

  get waitingBytes() {
    return this._channel?.waitingBytes ?? 0;
  }

  /** @param {Bytes} packet */
  send(packet) {
    this._channel?.send(packet);
  }

  close() {
    this._isClosed = true;
    this._link.close();
    this._channel?.close();
  }

  /** @param {Bytes} hello */
  async _run(hello) {
    try {
      await this._meet(hello);
      if (this._isClosed) return;
      this._link.close();
      // The usual handshake comes next, over the data channel.
      this.limitMs = performance.now() - this._startedAt + HANDSHAKE_MS;
      this._handlers.onOpen();
    } catch (error) {
      this._end(this._explain(error));
    }
  }

  /** @param {Bytes} hello */
  async _meet(hello) {
    const { _link: link, _options: options } = this;
    await link.opened();
    const { capabilities } = await link.lookUp();
    if (!(capabilities & CAN_RENDEZVOUS))
      throw new DiscoveryError("The host of this call runs a program that browsers cannot connect to.", true);
    const sealed = await SealedJoiner.open(await link.join());
    link.send(sealed.firstMessage);
    await sealed.receive(await link.receive());
    const host = await fingerprint(/** @type {Bytes} */ (sealed.identity));
    checkHost(options.name, host, options.pin);
    const conversation = new Conversation(link, sealed, this._handshake);

    await conversation.send(hello);
    await conversation.until(() => this._handshake.welcome);
    trustHost(options.name, host);
    options.onHost(host);
    const servers = readWays(await conversation.next(DiscoveryType.WAYS));
    if (this._isClosed) return;
    const channel = new DataChannel(servers, {
      onMessage: this._handlers.onMessage,
      onClose: (text) => this._end({ kind: "lost", reasons: 0, code: 0, text }),
      onWay: options.onWay,
    });
    this._channel = channel;
    await conversation.send(waysOffer(await channel.offer()));
    await channel.accept(readSdp(await conversation.next(DiscoveryType.WAYS_ANSWER)));
    await channel.opened();
  }

  /**
   * @param {unknown} error
   * @returns {import("../call/handshake.js").Ending}
   */
  _explain(error) {
    const nothing = { reasons: 0, code: 0, text: "" };
    if (error instanceof Refused) return this._handshake.ending(false);
    if (error instanceof HostChangedError) return { ...nothing, kind: "refused", change: error.change };
    if (error instanceof DiscoveryError)
      return { ...nothing, kind: error.isFinal ? "refused" : "lost", text: error.message };
    if (error instanceof SealError || error instanceof PacketError)
      return { ...nothing, kind: "lost", text: `The conversation with the host was disturbed. ${error.message}` };
    console.warn(error);
    return { ...nothing, kind: "lost", text: "This browser could not connect to the host. Try again." };
  }

  /** @param {import("../call/handshake.js").Ending} ending */
  _end(ending) {
    if (this._isClosed) return;
    this.close();
    this._handlers.onClose(false, ending);
  }
}

/** The host refused the page; the handshake knows why. */
class Refused extends Error {}

/** Packets between page and host inside the sealed channel. */
class Conversation {
  /**
   * @param {ServiceLink} link
   * @param {SealedJoiner} sealed
   * @param {PageHandshake} handshake which gets its packets, and whose failure ends the conversation
   */
  constructor(link, sealed, handshake) {
    this._link = link;
    this._sealed = sealed;
    this._handshake = handshake;
    /** @type {{type: number, payload: Uint8Array}[]} what nobody has asked for yet */
    this._packets = [];
  }

  /** @param {Bytes} packet */
  async send(packet) {
    this._link.send(await this._sealed.seal(packet));
  }

  /**
   * @template Value
   * @param {() => Value} find
   * @returns {Promise<NonNullable<Value>>} once it is there
   */
  async until(find) {
    for (;;) {
      const value = find();
      if (value) return value;
      await this._receive();
      if (!this._handshake.hasFailed) continue;
      const explained = this._receive().catch(() => {});
      await Promise.race([explained, new Promise((resolve) => setTimeout(resolve, EXPLANATION_MS))]);
      throw new Refused();
    }
  }

  /**
   * @param {number} type
   * @returns {Promise<Uint8Array>} the payload of the next packet of this type
   */
  async next(type) {
    const packet = await this.until(() => this._packets.find((one) => one.type === type));
    this._packets = this._packets.filter((one) => one !== packet);
    return packet.payload;
  }

  async _receive() {
    const { buffer } = await this._sealed.receive(await this._link.receive());
    for (const { type, payload } of decodePackets(buffer))
      if (!this._handshake.receive(type, payload)) this._packets.push({ type, payload });
    if (this._packets.length > MAX_WAITING_PACKETS) throw new PacketError("The host sends too much.");
  }
}
