/**
 * The page's end of a sealed channel, for tests: one JSON object in a line asks, one answers. "open" begins a channel
 * with a session id, "receive" and "seal" are those of SealedJoiner, "fingerprint" is that of a key.
 */

import { createInterface } from "node:readline";
import { fingerprint } from "../../src/teleglyph/web/discovery/host_trust.js";
import { SealError, SealedJoiner } from "../../src/teleglyph/web/discovery/sealed.js";

const toBytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const toHex = (bytes) => Buffer.from(bytes ?? []).toString("hex");
let joiner;

async function answer({ open, receive, seal, key }) {
  if (open !== undefined) {
    joiner = await SealedJoiner.open(toBytes(open));
    return toHex(joiner.firstMessage);
  }
  if (receive !== undefined) return toHex(await joiner.receive(toBytes(receive)));
  if (seal !== undefined) return toHex(await joiner.seal(toBytes(seal)));
  return key === undefined ? toHex(joiner.identity) : fingerprint(toBytes(key));
}

for await (const line of createInterface({ input: process.stdin })) {
  const done = await answer(JSON.parse(line)).then(
    (result) => ({ result }),
    (error) => {
      if (!(error instanceof SealError)) throw error;
      return { error: error.message };
    },
  );
  console.log(JSON.stringify(done));
}
