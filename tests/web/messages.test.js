import assert from "node:assert/strict";
import { test } from "node:test";
import * as messages from "../../src/teleglyph/web/call/messages.js";
import { decodeOpusBatch, encodeOpusBatch } from "../../src/teleglyph/web/call/opus_batch.js";
import { PacketError, Type, decodePackets, encodePacket } from "../../src/teleglyph/web/call/packet.js";
import { utf8 } from "../../src/teleglyph/web/call/writer.js";

const VIEW = {
  columns: 120,
  rows: 40,
  rate: 60,
  colorLevel: 3,
  renderMode: 4,
  hidesSelf: false,
  mirrorsSelf: true,
  spotlight: 2,
};

/** @param {Uint8Array} data */
const hex = (data) => Buffer.from(data).toString("hex");
/** @param {string} digits */
const bytes = (digits) => new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"));

test("packets are those of the documentation", () => {
  assert.equal(hex(encodePacket(Type.PING, new Uint8Array())), "0000000a5c11c4a11389000000000000000000000000");
  const start = encodePacket(Type.STREAM_START, messages.stream(messages.Stream.VIDEO));
  assert.equal(hex(start), "0000000a5c11c4a1138d00000004ba0cc8c40000000000000001");
});

test("a message may have several packets, but no part of one", () => {
  const [ping, pong] = [Type.PING, Type.PONG].map((type) => encodePacket(type, new Uint8Array()));
  const both = new Uint8Array([...ping, ...pong]);
  assert.deepEqual(
    decodePackets(both.buffer).map(({ type }) => type),
    [Type.PING, Type.PONG],
  );
  for (let size = 1; size < both.length; size++) {
    if (size === ping.length) continue;
    assert.throws(() => decodePackets(both.slice(0, size).buffer), PacketError);
  }
  both[3] = 7;
  assert.throws(() => decodePackets(both.buffer), PacketError);
});

test("capabilities have the size and the places of the documentation", () => {
  const payload = messages.capabilities(VIEW, true);
  assert.equal(payload.length, 168);
  assert.equal(hex(payload.subarray(16, 20)), "00780028");
  assert.equal(payload[157], 60);
  assert.equal(hex(payload.subarray(164)), "00000102");
  assert.equal(hex(messages.capabilities(VIEW, false).subarray(164)), "00000001");
});

test("settings of the view name the mode, the flags and the place", () => {
  assert.equal(hex(messages.viewSettings(VIEW)), "041d020000000000");
});

test("texts are cut between characters", () => {
  assert.equal(hex(utf8("aé", 2)), "61");
  assert.equal(hex(utf8("aé", 3)), "61c3a9");
  assert.equal(hex(utf8("a\0b", 9)), "6162");
  assert.equal(messages.clientJoin("é".repeat(40), true).length, 40);
});

test("a roster is read as the server writes it", () => {
  const [ann] = messages.readRoster(bytes("01 00000007 03 01 0000 0002 0050 0014 03 616e6e"));
  assert.deepEqual(ann, { number: 7, flags: 3, place: 1, x: 0, y: 2, columns: 80, rows: 20, name: "ann" });
  assert.throws(() => messages.readRoster(bytes("02 00000007 03 01 0000 0002 0050 0014 03 616e6e")), PacketError);
  assert.throws(() => messages.readRoster(bytes("")), PacketError);
});

test("a welcome and a refusal are read", () => {
  const welcome = messages.readWelcome(bytes("0000001e 0000003e 01 0005 6c6f626279 0000"));
  assert.deepEqual(welcome, { features: 0x1e, codecs: 0x3e, isViewOnly: true, room: "lobby", group: "" });
  assert.deepEqual(messages.readError(bytes("0000002f 00000002 6e6f")), { code: 47, text: "no" });
  assert.equal(messages.readAuthFailed(bytes("02 00000000000000")), messages.AuthFailure.PASSWORD_INCORRECT);
});

test("Opus packets survive a batch, and a cut batch gives those that are whole", () => {
  const packet = bytes("fcfffe");
  const batch = encodeOpusBatch(packet, 10);
  assert.deepEqual(decodeOpusBatch(batch).map(hex), ["fcfffe"]);
  const two = bytes("0000bb80 00000014 00000002 00000000 0003 0004 fcfffe f8fffe01");
  assert.deepEqual(decodeOpusBatch(two).map(hex), ["fcfffe", "f8fffe01"]);
  assert.deepEqual(decodeOpusBatch(two.subarray(0, two.length - 1)).map(hex), ["fcfffe"]);
  for (let size = 0; size < two.length; size++) assert.ok(decodeOpusBatch(two.subarray(0, size)).length < 2);
});
