// Publishes, subscribes, counts, deletes and authenticates with nostr-tools; prints what happened as one line of JSON.
import { createRequire } from "node:module";

const [directory, url] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
globalThis.WebSocket = require("ws");
const { Relay, useWebSocketImplementation } = require("nostr-tools/relay");
const { finalizeEvent, generateSecretKey, getPublicKey } = require("nostr-tools/pure");
useWebSocketImplementation?.(globalThis.WebSocket);
const key = generateSecretKey();
const now = Math.floor(Date.now() / 1000);
const make = (kind, content, tags = [], at = now) => finalizeEvent({ kind, content, tags, created_at: at }, key);
const said = {};

const relay = await Relay.connect(url);
const live = [];
const ended = new Promise((resolve) => {
  relay.subscribe([{ kinds: [1, 20001], authors: [getPublicKey(key)] }], {
    onevent: (event) => live.push(event.content),
    oneose: resolve,
  });
});
await ended;
const first = make(1, "first ü 😀 \u0001", [["t", "a"]]);
said.published = await relay.publish(first);
await relay.publish(make(1, "second", [], now + 1));
await relay.publish(make(20001, "typing"));
said.refused = await relay.publish({ ...first, id: "0".repeat(64) }).then(() => "accepted", (error) => error.message);
said.counted = await relay.count([{ kinds: [1] }], {});
await relay.publish(make(5, "", [["e", first.id]]));
said.again = await relay.publish(first).then(() => "accepted", (error) => error.message);
said.stored = await new Promise((resolve) => {
  const found = [];
  const subscription = relay.subscribe([{ kinds: [1] }], {
    onevent: (event) => found.push(event.content),
    oneose: () => { subscription.close(); resolve(found); },
  });
});
const own = make(1, "protected", [["-"]]);
said.before = await relay.publish(own).then(() => "accepted", (error) => error.message);
said.authenticated = await relay.auth(async (template) => finalizeEvent(template, key));
said.after = await relay.publish(own).then(() => "accepted", (error) => error.message);
await new Promise((resolve) => setTimeout(resolve, 300));
said.live = live;
console.log(JSON.stringify(said));
relay.close();
process.exit(0);
