/** Explains why a camera or a microphone does not work. */

/** @type {Record<string, (device: string) => string>} */
const CAUSES = {
  NotAllowedError: (device) =>
    `The browser may not use your ${device}. Allow it in the address bar or in the system's privacy settings, then try again.`,
  NotFoundError: (device) => `No ${device} found. Connect one, then try again.`,
  NotReadableError: (device) =>
    `Another program is using your ${device}. Close it or choose another ${device}, then try again.`,
  OverconstrainedError: (device) => `The chosen ${device} is not available. Choose another ${device}.`,
  AbortError: (device) => `Your ${device} could not be started. Disconnect it, connect it again, then try again.`,
  LostError: (device) => `Your ${device} was disconnected or may no longer be used. Connect it, then turn it on again.`,
  InsecureContextError: (device) =>
    `Browsers allow the ${device} only on secure pages. Open this page with https://, or on the server itself with http://localhost.`,
  MissingApiError: (device) => `This browser cannot use a ${device}. Open this page in a current browser.`,
};
/** Names that older browsers give to the same errors. @type {Record<string, string>} */
const ALIASES = {
  SecurityError: "NotAllowedError",
  PermissionDeniedError: "NotAllowedError",
  DevicesNotFoundError: "NotFoundError",
  TrackStartError: "NotReadableError",
  ConstraintNotSatisfiedError: "OverconstrainedError",
};

/**
 * What went wrong and what to do about it, in two sentences for people.
 *
 * @param {unknown} error from `openDevice`, `Camera.open` or `Microphone.open`
 * @param {"camera" | "microphone"} [device]
 * @returns {string}
 */
export function explain(error, device = "camera") {
  const { name = "", message = String(error) } = /** @type {Partial<Error>} */ (error ?? {});
  const cause = CAUSES[ALIASES[name] ?? name];
  if (cause) return cause(device);
  return `Cannot use your ${device}: ${message.replace(/\.$/, "")}. Choose another ${device} or reload the page.`;
}

/**
 * getUserMedia with one clear error for everything that can be missing. If the wanted device is gone, any other is used.
 *
 * @param {"video" | "audio"} kind
 * @param {MediaTrackConstraints} constraints
 * @param {string} [deviceId] the wanted device
 * @returns {Promise<MediaStream>}
 * @throws {Error} whose name `explain` knows
 */
export async function openDevice(kind, constraints, deviceId) {
  if (!globalThis.isSecureContext) throw named("InsecureContextError", "This page is not a secure context");
  if (!navigator.mediaDevices?.getUserMedia) throw named("MissingApiError", "navigator.mediaDevices is missing");
  /** @param {MediaTrackConstraints} wanted */
  const open = (wanted) => navigator.mediaDevices.getUserMedia({ [kind]: wanted });
  if (!deviceId) return open(constraints);
  try {
    return await open({ ...constraints, deviceId: { exact: deviceId } });
  } catch (error) {
    const { name } = /** @type {Error} */ (error);
    if (name !== "OverconstrainedError" && name !== "NotFoundError") throw error;
    return open(constraints);
  }
}

/**
 * @param {string} name
 * @param {string} message
 */
function named(name, message) {
  return Object.assign(new Error(message), { name });
}
