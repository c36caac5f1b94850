// What tests/browser/test_media.py does in the page.
import { encodeAudioBatch } from "/media/audio_batch.js";
import { Camera, explain } from "/media/camera.js";
import { Devices } from "/media/devices.js";
import { mediaSupport } from "/media/media_support.js";
import { Microphone } from "/media/microphone.js";
import { PictureEncoder } from "/media/picture_encoder.js";
import { PictureSource } from "/media/picture_source.js";
import { Playback } from "/media/playback.js";

export {
  Camera,
  Devices,
  Microphone,
  PictureEncoder,
  PictureSource,
  Playback,
  encodeAudioBatch,
  explain,
  mediaSupport,
};

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until something is true. */
export async function until(condition, seconds = 30) {
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; await sleep(20)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`Not within ${seconds} s: ${condition}`);
}

export function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** A camera whose pictures are encoded. */
export async function pictures(encoderOptions = {}, cameraOptions = {}) {
  const sent = [];
  const encoder = new PictureEncoder({
    ...encoderOptions,
    onPicture: (picture) => sent.push({ ...picture, data: base64(picture.data), time: performance.now() }),
  });
  const source = new PictureSource((image, width, height) => encoder.encode(image, width, height));
  const camera = new Camera({ onChange: (stream) => source.attach(stream) });
  await camera.open(cameraOptions);
  return { sent, encoder, source, camera };
}

/** An encoder that gets a picture every `step` milliseconds of a simulated time, by `feed`. */
export function drawings(encoderOptions = {}) {
  const canvas = new OffscreenCanvas(640, 360);
  const context = canvas.getContext("2d");
  const sent = [];
  const codecs = [];
  let now = 1000;
  const encoder = new PictureEncoder({
    ...encoderOptions,
    onPicture: (picture) => sent.push({ ...picture, data: base64(picture.data), time: now }),
    onCodec: (codec) => codecs.push(codec),
  });
  const feed = async (milliseconds, step = 1000 / 30) => {
    for (const end = now + milliseconds; now < end; now += step) {
      context.fillStyle = `hsl(${now / 10} 50% 50%)`;
      context.fillRect(now % 300, 0, 300, 360);
      encoder.encode(canvas, 640, 360, now);
      // Until the picture is encoded or the codec is chosen.
      await until(() => !encoder._choosing);
      await encoder._chosen?.encoder?.flush();
    }
  };
  return { sent, codecs, encoder, feed };
}

/** A microphone whose packets are collected. */
export async function voice(options = {}, openOptions = {}) {
  const packets = [];
  const samples = [];
  const levels = [];
  const sending = [];
  const microphone = new Microphone({
    onOpus: (packet, duration) => packets.push({ data: base64(packet), duration }),
    onSamples: (block) => samples.push(...block),
    onLevel: (level) => levels.push(level),
    onSending: (isSending) => sending.push(isSending),
    ...options,
  });
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  await microphone.open({ ...plain, ...openOptions });
  return { packets, samples, levels, sending, microphone };
}

/** What is heard, as windows of 0.68 s, while packets arrive with the given delays in milliseconds. */
export async function listen({ packets, delays, windows, asSamples = false }) {
  const states = [];
  const playback = new Playback({ onNeedsGesture: (needed) => states.push(needed) });
  await playback.start();
  await until(() => !playback.needsGesture);
  const analyser = new AnalyserNode(playback.context, { fftSize: 32768 });
  playback._gain.connect(analyser);
  const data = packets.map((packet) => (asSamples ? new Float32Array(fromBase64(packet).buffer) : fromBase64(packet)));
  const started = performance.now();
  let next = 0;
  const timer = setInterval(() => {
    const due = [];
    while (next < data.length && started + 10 * next + delays[next % delays.length] <= performance.now()) {
      due.push(data[next++]);
    }
    if (asSamples) for (const samples of due) playback.pushSamples(samples);
    else playback.pushOpus(due);
  }, 4);
  const heard = [];
  await sleep(2500);
  for (let i = 0; i < windows; i++) {
    await sleep(800);
    const sound = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(sound);
    heard.push(base64(new Uint8Array(sound.buffer)));
  }
  const { statistics } = playback;
  clearInterval(timer);
  playback.close();
  return { heard, statistics, states, rate: analyser.context.sampleRate, decoder: playback._decoder.counters };
}
