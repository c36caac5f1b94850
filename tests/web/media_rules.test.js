import assert from "node:assert/strict";
import { test } from "node:test";
import { Devices } from "../../src/teleglyph/web/media/devices.js";
import { explain, openDevice } from "../../src/teleglyph/web/media/explain.js";
import { halfBlocks } from "../../src/teleglyph/web/media/half_blocks.js";
import { mediaSupport } from "../../src/teleglyph/web/media/media_support.js";
import {
  CODEC,
  Pace,
  bitrateOf,
  encoderConfig,
  rateOf,
  sizeToSend,
} from "../../src/teleglyph/web/media/picture_rules.js";

test("a picture covers the wanted size in its own shape", () => {
  assert.deepEqual(sizeToSend(640, 360, 320, 180), { width: 320, height: 180 });
  assert.deepEqual(sizeToSend(640, 480, 320, 180), { width: 320, height: 240 });
  assert.deepEqual(sizeToSend(360, 640, 320, 180), { width: 320, height: 570 });
});

test("a picture is never larger than the camera's, than 1280 pixels, or smaller than 32", () => {
  assert.deepEqual(sizeToSend(640, 360, 4000, 4000), { width: 640, height: 360 });
  assert.deepEqual(sizeToSend(3840, 2160, 4000, 4000), { width: 1280, height: 720 });
  assert.deepEqual(sizeToSend(640, 360, 2, 2), { width: 58, height: 32 });
  assert.deepEqual(sizeToSend(16, 16, 8, 8), { width: 32, height: 32 });
});

test("sizes are even for every request", () => {
  for (let width = 1; width < 400; width += 7) {
    const size = sizeToSend(641, 361, width, 90);
    assert.equal((size.width | size.height) & 1, 0);
    assert.ok(size.width >= width && size.height >= 90);
  }
});

test("bit rates grow with the pixels per second, within bounds", () => {
  assert.equal(bitrateOf(320, 180, 30), 172_800);
  assert.equal(bitrateOf(32, 32, 1), 40_000);
  assert.equal(bitrateOf(1280, 720, 60), 2_000_000);
});

test("a request's interval gives a rate of at most 30 per second", () => {
  assert.equal(rateOf(100), 10);
  assert.equal(rateOf(1), 30);
  assert.equal(rateOf(0), 30);
});

test("encoders work in real time, and H.264 repeats its parameter sets", () => {
  const config = encoderConfig(CODEC.H264, 320, 180, 30);
  assert.deepEqual(config.avc, { format: "annexb" });
  assert.equal(config.latencyMode, "realtime");
  assert.equal(encoderConfig(CODEC.VP8, 320, 180, 30).codec, "vp8");
});

for (const [interval, expected] of [
  [50, 200],
  [33, 300],
  [27, 300],
  [1000, 10],
]) {
  test(`a camera of 30 pictures per second sends ${expected} in 10 s at an interval of ${interval} ms`, () => {
    const pace = new Pace();
    let sent = 0;
    for (let i = 0; i < 300; i++) if (pace.isDue((i * 1000) / 30 + (i % 2), interval)) sent++;
    assert.ok(Math.abs(sent - expected) <= 1, `${sent}`);
  });
}

test("no pictures are caught up after a pause", () => {
  const pace = new Pace();
  assert.ok(pace.isDue(0, 100));
  assert.ok(pace.isDue(5000, 100));
  assert.equal([5010, 5033, 5066, 5099, 5110, 5120].filter((now) => pace.isDue(now, 100)).length, 1);
});

test("a half block has the upper pixel in front and the lower behind", () => {
  const pixels = Uint8ClampedArray.from([1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255]);
  const cells = halfBlocks(pixels, 2, 1);
  assert.deepEqual([...cells.foreground], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...cells.background], [7, 8, 9, 10, 11, 12]);
});

test("without a secure context nothing is supported, and nothing throws", async () => {
  for (const scope of [{}, { isSecureContext: false, VideoEncoder: class {}, AudioWorkletNode: class {} }]) {
    assert.deepEqual([...new Set(Object.values(await mediaSupport(scope)))], [false]);
  }
});

test("a class that rejects or throws counts as missing", async () => {
  const scope = {
    isSecureContext: true,
    AudioDecoder: { isConfigSupported: () => Promise.reject(new Error("no")) },
    AudioEncoder: {
      isConfigSupported: () => {
        throw new TypeError("no");
      },
    },
  };
  const support = await mediaSupport(scope);
  assert.equal(support.audioDecoder || support.audioEncoder, false);
});

test("every failure of a device is explained with a next step", async () => {
  for (const name of [
    "NotAllowedError",
    "NotFoundError",
    "NotReadableError",
    "OverconstrainedError",
    "SecurityError",
    "AbortError",
  ]) {
    const text = explain({ name, message: "x" }, "microphone");
    assert.match(text, /microphone/);
    assert.match(text, /(again|Choose another microphone)[^.]*\.$/);
  }
  assert.match(explain(new TypeError("Odd.")), /^Cannot use your camera: Odd\. .*reload/);
  assert.match(explain(undefined), /camera/);
  const error = await openDevice("video", {}).catch((reason) => reason);
  assert.match(explain(error), /https:\/\//);
});

test("without devices and without storage the lists are empty and choices are forgotten", async () => {
  const devices = new Devices();
  devices.choose("camera", "x");
  assert.equal(devices.chosen("camera"), "");
  assert.deepEqual(await devices.list(), { camera: [], microphone: [], speaker: [] });
  devices.close();
});
