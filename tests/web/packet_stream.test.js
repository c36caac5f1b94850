import assert from "node:assert/strict";
import { test } from "node:test";
import { PacketError, decodePackets, encodePacket } from "../../src/teleglyph/web/call/packet.js";
import { MAX_CHUNK, PacketStream, chunksOf } from "../../src/teleglyph/web/discovery/packet_stream.js";

const packet = (type, size) =>
  encodePacket(
    type,
    Uint8Array.from({ length: size }, (_, at) => (at * 7 + type) & 255),
  );
const PACKETS = [0, 1, 22, 16_361, 16_362, 16_363, 40_000, 300_000].map((size, at) => packet(3000 + at, size));

function whole(packets) {
  const bytes = new Uint8Array(packets.reduce((size, one) => size + one.length, 0));
  packets.reduce((at, one) => (bytes.set(one, at), at + one.length), 0);
  return bytes;
}

test("a packet is cut into messages that every browser takes, and nothing is lost", () => {
  for (const one of PACKETS) {
    const chunks = chunksOf(one);
    assert.ok(chunks.every(({ length }) => length > 0 && length <= MAX_CHUNK));
    assert.deepEqual(whole(chunks), one);
  }
});

test("packets come out whole, whatever the messages", () => {
  const bytes = whole(PACKETS);
  for (const size of [1, 7, 21, 22, 23, 4096, MAX_CHUNK, bytes.length]) {
    const stream = new PacketStream();
    const received = [];
    for (let at = 0; at < bytes.length; at += size) received.push(...stream.push(bytes.slice(at, at + size)));
    assert.equal(received.length, PACKETS.length, `messages of ${size} bytes`);
    received.forEach((one, at) => assert.deepEqual(new Uint8Array(one), PACKETS[at]));
    assert.deepEqual(
      received.flatMap((one) => decodePackets(one)).map(({ type }) => type),
      PACKETS.map((_, at) => 3000 + at),
    );
  }
});

test("a packet comes out with the message that ends it", () => {
  const stream = new PacketStream();
  assert.equal(stream.push(PACKETS[6].slice(0, -1)).length, 0);
  assert.equal(stream.push(new Uint8Array()).length, 0);
  assert.equal(stream.push(PACKETS[6].slice(-1)).length, 1);
});

test("what is no packet is refused at its first header", () => {
  for (let at = 0; at < 8; at++) {
    const damaged = packet(3000, 3);
    damaged[at] ^= 1;
    assert.throws(() => new PacketStream().push(damaged), PacketError, `byte ${at}`);
  }
  const stream = new PacketStream();
  stream.push(PACKETS[1]);
  assert.throws(() => stream.push(new Uint8Array(22)), PacketError);
});

test("an announced length does not take memory, and one over the limit is refused", () => {
  const header = packet(3000, 0);
  new DataView(header.buffer).setUint32(10, 5 * 1024 * 1024);
  const stream = new PacketStream();
  assert.deepEqual(stream.push(header), []);
  assert.ok(stream._buffer.length < 100_000);
  new DataView(header.buffer).setUint32(10, 5 * 1024 * 1024 + 1);
  assert.throws(() => new PacketStream().push(header), PacketError);
});
