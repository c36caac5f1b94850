import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { NEEDS_WHOLE, ReceivedScreen } from "../../src/teleglyph/web/screen/received_screen.js";
import { DamagedUpdateError, parseUpdate } from "../../src/teleglyph/web/screen/update.js";
import { inflate } from "../../src/teleglyph/web/screen/inflate.js";

const DEFLATE = 0x02;

/**
 * @param {number} number
 * @param {number} base
 * @param {Uint8Array} body
 * @param {{columns?: number, rows?: number, flags?: number, size?: number, level?: number, rate?: number}} [fields]
 */
function payload(
  number,
  base,
  body,
  { columns = 2, rows = 1, flags = 0, size = body.length, level = 0, rate = 60 } = {},
) {
  const bytes = new Uint8Array(20 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint32(4, base);
  view.setUint16(8, columns);
  view.setUint16(10, rows);
  view.setUint8(12, flags);
  view.setUint8(13, level);
  view.setUint16(14, rate);
  view.setUint32(16, size);
  bytes.set(body, 20);
  return bytes;
}

/** @param {string} text in hexadecimal digits */
const hex = (text) => Uint8Array.from(text.split(" "), (digits) => parseInt(digits, 16));

// The examples of docs/protocol/screens.md.
const WHOLE = hex("02 98 08 a0 08 03 00 00 00 01 ff 00 00");
const BLUE = hex("01 98 08 01 00 00 01 00 ff");

function receiver() {
  /** @type {number[][]} */
  const acks = [];
  return { acks, screen: new ReceivedScreen((number, flags) => acks.push([number, flags])) };
}

/** @param {ReceivedScreen} screen */
const colors = (screen) => [...(screen.grid?.foregrounds ?? [])].map((color) => color.toString(16));

test("the documented examples are applied", async () => {
  const { acks, screen } = receiver();
  assert.equal(await screen.receive(payload(1, 0, WHOLE, { level: 0x13, rate: 25 })), true);
  assert.deepEqual([...(screen.grid?.glyphs ?? [])], [65, 66]);
  assert.deepEqual(colors(screen), ["ff0000ff", "0"]);
  assert.deepEqual([screen.number, screen.coarseness, screen.isCheaper, screen.rate], [1, 3, true, 25]);
  assert.equal(await screen.receive(payload(2, 1, BLUE)), true);
  assert.deepEqual(colors(screen), ["ffff0000", "0"]);
  assert.deepEqual(acks, []);
});

test("what is painted is acknowledged once", async () => {
  const { acks, screen } = receiver();
  screen.painted();
  await screen.receive(payload(1, 0, WHOLE));
  await screen.receive(payload(2, 1, BLUE));
  screen.painted();
  screen.painted();
  assert.deepEqual(acks, [[2, 0]]);
});

test("compressed updates are applied in the order of their arrival", async () => {
  const { screen } = receiver();
  const large = new Uint8Array(deflateRawSync(WHOLE));
  const results = await Promise.all([
    screen.receive(payload(1, 0, large, { flags: DEFLATE, size: WHOLE.length })),
    screen.receive(payload(2, 1, BLUE)),
    screen.receive(payload(3, 2, new Uint8Array(deflateRawSync(BLUE)), { flags: DEFLATE, size: BLUE.length })),
    screen.receive(payload(4, 3, BLUE)),
  ]);
  assert.deepEqual(results, [true, true, true, true]);
  assert.equal(screen.number, 4);
  assert.deepEqual(
    colors(screen),
    ["fffd0002", "0"].map((color) => (color === "0" ? color : colors(screen)[0])),
  );
});

test("a missing update is noticed once, until a whole one arrives", async () => {
  const { acks, screen } = receiver();
  assert.equal(await screen.receive(payload(5, 4, BLUE)), false);
  assert.equal(await screen.receive(payload(6, 5, BLUE)), false);
  assert.deepEqual(acks, [[0, NEEDS_WHOLE]]);
  assert.equal(await screen.receive(payload(7, 0, WHOLE)), true);
  assert.equal(await screen.receive(payload(9, 8, BLUE)), false);
  assert.equal(await screen.receive(payload(8, 7, BLUE, { columns: 1, rows: 2 })), false);
  assert.deepEqual(acks.slice(1), [[7, NEEDS_WHOLE]]);
  assert.equal(screen.number, 7);
});

test("a damaged update changes nothing and is replaced by a whole one", async () => {
  const { acks, screen } = receiver();
  await screen.receive(payload(1, 0, WHOLE));
  const { grid, revision } = screen;
  const damaged = [
    payload(2, 1, BLUE.subarray(0, 8)),
    payload(2, 1, BLUE, { size: 8 }),
    payload(2, 1, BLUE, { flags: 0x01 }),
    payload(2, 1, BLUE, { flags: DEFLATE }),
    payload(2, 0, BLUE.subarray(0, 8), { columns: 300, rows: 200 }),
    payload(2, 0, WHOLE, { columns: 4096, rows: 4096 }),
    payload(2, 0, WHOLE, { columns: 0 }),
    payload(0, 0, WHOLE),
    payload(2, 0, WHOLE).subarray(0, 19),
    payload(2, 0, new Uint8Array((1 << 20) + 1)),
  ];
  for (const bytes of damaged) assert.equal(await screen.receive(bytes), false);
  assert.deepEqual(
    acks,
    damaged.map(() => [1, NEEDS_WHOLE]),
  );
  assert.equal(screen.grid, grid);
  assert.equal(screen.revision, revision);
  assert.deepEqual(colors(screen), ["ff0000ff", "0"]);
  assert.equal(await screen.receive(payload(2, 1, BLUE)), true);
});

test("nothing of an old connection arrives after a reset", async () => {
  const { acks, screen } = receiver();
  const late = screen.receive(
    payload(1, 0, new Uint8Array(deflateRawSync(WHOLE)), { flags: DEFLATE, size: WHOLE.length }),
  );
  screen.reset();
  assert.equal(await late, false);
  assert.equal(screen.grid, null);
  assert.equal(await screen.receive(payload(1, 0, WHOLE)), true);
  screen.painted();
  assert.deepEqual(acks, [[1, 0]]);
});

test("headers are checked", () => {
  assert.throws(() => parseUpdate(new Uint8Array(3)), DamagedUpdateError);
  const update = parseUpdate(payload(0xfffffffe, 7, WHOLE, { columns: 4096, rows: 29, flags: 0xf0 }));
  assert.deepEqual([update.number, update.base, update.columns, update.rows], [0xfffffffe, 7, 4096, 29]);
  assert.deepEqual(update.packedBody, WHOLE);
});

test("streams inflate to exactly the announced size", async () => {
  const data = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >> 7);
  const noise = Uint8Array.from({ length: 100_000 }, () => Math.random() * 256);
  for (const content of [data, noise, data.subarray(0, 1), data.subarray(0, 0)]) {
    for (const level of [0, 1, 9]) {
      const packed = new Uint8Array(deflateRawSync(content, { level }));
      const result = await inflate(packed, content.length);
      assert.ok(result && Buffer.compare(result, content) === 0);
      assert.equal(await inflate(packed, content.length + 1), null);
      if (content.length) assert.equal(await inflate(packed, content.length - 1), null);
      assert.equal(await inflate(packed.subarray(0, -1), content.length), null);
    }
  }
});

test("streams that grow without bound are refused early", async () => {
  const bomb = new Uint8Array(deflateRawSync(new Uint8Array(100_000_000)));
  const before = process.memoryUsage().arrayBuffers;
  assert.equal(await inflate(bomb, 1000), null);
  assert.ok(process.memoryUsage().arrayBuffers - before < 40_000_000);
  assert.equal(await inflate(new Uint8Array(4), 1 << 20), null);
});
