// Signs what it reads: {crypto: [{secret, message, randomness}], events: [{secret, draft}]}, with bytes in hexadecimal digits.
import { readFileSync } from "node:fs";
import { signEvent } from "../../src/teleglyph/web/chat/event.js";
import { fromHex, toHex } from "../../src/teleglyph/web/chat/hex.js";
import { publicKey, sign } from "../../src/teleglyph/web/chat/schnorr.js";

const { crypto, events } = JSON.parse(readFileSync(0, "utf8"));
console.log(
  JSON.stringify({
    crypto: crypto.map(({ secret, message, randomness }) => ({
      key: toHex(publicKey(fromHex(secret))),
      signature: toHex(sign(fromHex(secret), fromHex(message), fromHex(randomness))),
    })),
    events: events.map(({ secret, draft }) => signEvent(fromHex(secret), toHex(publicKey(fromHex(secret))), draft)),
  }),
);
