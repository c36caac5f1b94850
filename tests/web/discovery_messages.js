/** Encodes and decodes packets of discovery with the page's code, for comparison: JSON in, JSON out, bytes as hex. */

import * as messages from "../../src/teleglyph/web/discovery/discovery_messages.js";
import { PacketError } from "../../src/teleglyph/web/call/packet.js";
import { text } from "node:stream/consumers";

const toBytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, one) => (one instanceof Uint8Array ? Buffer.from(one).toString("hex") : one)));

const { encode, decode } = JSON.parse(await text(process.stdin));
const isHex = (one) => typeof one === "string" && one.startsWith("0x");
const encoded = encode.map(([name, ...fields]) =>
  plain(messages[name](...fields.map((one) => (isHex(one) ? toBytes(one.slice(2)) : one)))),
);
const decoded = decode.map(([name, ...fields]) => {
  try {
    return plain(messages[name](...fields.map((one) => (isHex(one) ? toBytes(one.slice(2)) : one))));
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { error: error.message };
  }
});
console.log(JSON.stringify({ encoded, decoded }));
