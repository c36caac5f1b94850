/** What this browser can do. */

/** Sound in this page: samples per second. */
export const SAMPLE_RATE = 48000;

/** @type {AudioDecoderConfig} */
export const OPUS = { codec: "opus", sampleRate: SAMPLE_RATE, numberOfChannels: 1 };

/**
 * @typedef {object} MediaSupport
 * @property {boolean} secure whether the page is a secure context (HTTPS or localhost), which everything else requires
 * @property {boolean} camera
 * @property {boolean} microphone
 * @property {boolean} audioDecoder whether received Opus can be decoded; if not, ask the server for samples
 * @property {boolean} audioEncoder whether Opus can be sent; if not, samples are sent
 * @property {boolean} videoEncoder whether there is a video encoder; if not, pictures are sent as JPEG
 * @property {boolean} worklet whether sound can be played and recorded at all
 */

/**
 * Find out what this browser can do. Never throws; whatever fails counts as missing.
 *
 * @param {any} [scope] the global object, for tests
 * @returns {Promise<MediaSupport>}
 */
export async function mediaSupport(scope = globalThis) {
  const secure = scope.isSecureContext === true;
  const devices = secure && typeof scope.navigator?.mediaDevices?.getUserMedia === "function";
  const worklet = secure && typeof scope.AudioWorkletNode === "function";
  const [audioDecoder, audioEncoder] = await Promise.all([
    secure && isSupported(scope.AudioDecoder, OPUS),
    secure && isSupported(scope.AudioEncoder, OPUS),
  ]);
  return {
    secure,
    camera: devices,
    microphone: devices && worklet,
    audioDecoder,
    audioEncoder,
    videoEncoder: secure && typeof scope.VideoEncoder === "function",
    worklet,
  };
}

/**
 * Whether a WebCodecs class supports a configuration. Never throws.
 *
 * @param {any} codec AudioDecoder, AudioEncoder or VideoEncoder; undefined if the browser has none
 * @param {object} config
 * @returns {Promise<boolean>}
 */
export async function isSupported(codec, config) {
  try {
    return (await codec.isConfigSupported(config)).supported === true;
  } catch {
    return false;
  }
}
