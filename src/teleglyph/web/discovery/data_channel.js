/** A WebRTC data channel to a host, as a stream of packets. */

import { PacketError } from "../call/packet.js";
import { PacketStream, chunksOf } from "./packet_stream.js";
import { DiscoveryError } from "./problem.js";

const GATHERING_MS = 2000;
const OPEN_MS = 20_000;
const CLOSE_MS = 1000;
const MAX_SERVERS = 8;
const NO_WAY =
  "There is no way through the networks between you and the host. Try another network, or ask the host for a discovery service with a relay (TURN).";

/** @typedef {"direct" | "relayed"} Way */

/**
 * @typedef {object} ChannelHandlers
 * @property {(message: unknown) => void} onMessage an ArrayBuffer with one packet; or something else, which is an error
 * @property {(problem: string) => void} onClose the channel is lost; problem is a sentence, or empty
 * @property {(way: Way) => void} onWay also called when the way changes
 */

/** Begin with `offer` and `accept`, then wait for `opened`. */
export class DataChannel {
  /**
   * @param {RTCIceServer[]} servers of STUN and TURN, as the host named them
   * @param {ChannelHandlers} handlers
   */
  constructor(servers, handlers) {
    const known = servers.filter(({ urls }) => /^(stun|turns?):/.test(String(urls))).slice(0, MAX_SERVERS);
    this._handlers = handlers;
    this._stream = new PacketStream();
    this._isOpen = false;
    this._isClosed = false;
    this._peer = connectionWith(known);
    this._channel = this._peer.createDataChannel("teleglyph", { protocol: "teleglyph.page", ordered: true });
    this._channel.binaryType = "arraybuffer";
    this._channel.onmessage = ({ data }) => this._receive(data);
    this._channel.onclose = () => this._lost("");
    this._peer.onconnectionstatechange = () => {
      if (this._peer.connectionState === "failed") this._lost("");
    };
  }

  /** @returns {Promise<string>} SDP with the candidates that were found within 2 s */
  async offer() {
    const gathered = happens(this._peer, "icegatheringstatechange", () => this._peer.iceGatheringState === "complete");
    await this._peer.setLocalDescription();
    await Promise.race([gathered, pause(GATHERING_MS)]);
    return this._peer.localDescription?.sdp ?? "";
  }

  /** @param {string} sdp the host's answer */
  async accept(sdp) {
    try {
      await this._peer.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      console.warn(error);
      throw new DiscoveryError("The host's answer is damaged, so this browser cannot connect to it.");
    }
  }

  /** Wait until packets can be sent. */
  async opened() {
    const channel = this._channel;
    const isSettled = () => channel.readyState !== "connecting" || this._peer.connectionState === "failed";
    const settled = Promise.race([
      happens(channel, "open", isSettled),
      happens(channel, "close", isSettled),
      happens(this._peer, "connectionstatechange", isSettled),
    ]);
    await Promise.race([settled, pause(OPEN_MS)]);
    if (channel.readyState !== "open") throw new DiscoveryError(NO_WAY);
    this._isOpen = true;
    const transport = this._peer.sctp?.transport.iceTransport;
    // Not every browser tells.
    transport?.addEventListener?.("selectedcandidatepairchange", () => void this._reportWay());
    await this._reportWay();
  }

  get waitingBytes() {
    return this._channel.bufferedAmount;
  }

  /** @param {Uint8Array<ArrayBuffer>} packet dropped if the channel is not open */
  send(packet) {
    if (this._channel.readyState !== "open") return;
    try {
      for (const chunk of chunksOf(packet)) this._channel.send(chunk);
    } catch (error) {
      // The browser's buffer is full, which only happens if the host has not read for long; half a packet may be sent.
      console.warn(error);
      this._lost("");
    }
  }

  /** What was sent before still goes out; nothing is reported any more. */
  close() {
    this._isClosed = true;
    const { _channel: channel, _peer: peer } = this;
    channel.onclose = () => peer.close();
    channel.close();
    setTimeout(() => peer.close(), CLOSE_MS);
  }

  /** @param {unknown} data */
  _receive(data) {
    if (this._isClosed) return;
    if (!(data instanceof ArrayBuffer)) return this._handlers.onMessage(data);
    try {
      for (const packet of this._stream.push(new Uint8Array(data))) this._handlers.onMessage(packet);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      console.warn(error.message);
      this._lost(error.message);
    }
  }

  /** @param {string} problem */
  _lost(problem) {
    // Before it is open, `opened` tells.
    if (!this._isOpen || this._isClosed) return;
    this.close();
    this._handlers.onClose(problem);
  }

  async _reportWay() {
    const way = wayIn(await this._peer.getStats());
    if (way !== null && !this._isClosed) this._handlers.onWay(way);
  }
}

/** @param {RTCIceServer[]} iceServers */
function connectionWith(iceServers) {
  try {
    return new RTCPeerConnection({ iceServers });
  } catch (error) {
    // One server that the browser does not understand would make it refuse all; a direct way may still work.
    console.warn(error);
    return new RTCPeerConnection();
  }
}

/**
 * @param {RTCStatsReport} report
 * @returns {Way | null} null if the browser does not say
 */
export function wayIn(report) {
  const stats = new Map();
  report.forEach((one) => stats.set(one.id, one));
  const all = [...stats.values()];
  const chosen = all.find(({ type, selectedCandidatePairId }) => type === "transport" && selectedCandidatePairId);
  const pair =
    stats.get(chosen?.selectedCandidatePairId) ??
    all.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
  if (pair === undefined) return null;
  const ends = [pair.localCandidateId, pair.remoteCandidateId].map((id) => stats.get(id)?.candidateType);
  return ends.includes("relay") ? "relayed" : "direct";
}

/**
 * @param {EventTarget} target
 * @param {string} event
 * @param {() => boolean} condition that may hold after it
 * @returns {Promise<void>}
 */
function happens(target, event, condition) {
  return new Promise((resolve) => {
    if (condition()) resolve();
    target.addEventListener(event, () => {
      if (condition()) resolve();
    });
  });
}

/** @param {number} ms */
function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
