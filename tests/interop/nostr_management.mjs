// Manages a relay (NIP-86) with nostr-tools' HTTP authentication (NIP-98); prints the answers as one line of JSON.
import { createRequire } from "node:module";

const [directory, url, key] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
const { finalizeEvent } = require("nostr-tools/pure");
const { getToken } = require("nostr-tools/nip98");
const sign = (event) => finalizeEvent(event, Uint8Array.from(Buffer.from(key, "hex")));

async function call(method, ...params) {
  const request = { method, params };
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/nostr+json+rpc",
      Authorization: await getToken(url, "post", sign, true, request),
    },
    body: JSON.stringify(request),
  });
  return [response.status, await response.json()];
}

const banned = "ab".repeat(32);
const said = [
  await call("banpubkey", banned, "spam ü"),
  await call("listbannedpubkeys"),
  await call("listbannedpubkeys"),
  await call("unbanpubkey", banned),
  await call("listbannedpubkeys"),
  await call("nonsense"),
];
console.log(JSON.stringify(said));
