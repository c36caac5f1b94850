import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { KeyStore } from "../../src/teleglyph/web/chat/key_store.js";
import { MAX_WAITING, RefusedError } from "../../src/teleglyph/web/chat/outbox.js";
import { Relay } from "../../src/teleglyph/web/chat/relay.js";
import { FakeWebSocket, settle } from "./fake_web_socket.js";

const URL = "wss://calls.example/events";
const keys = new KeyStore(null);
let count = 0;
const draft = () => keys.sign({ kind: 9, created_at: 1000 + count++, tags: [["h", "lobby"]], content: "hello" });

/** @type {Relay} */
let relay;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_700_000_000_000 });
  FakeWebSocket.made = [];
  relay = new Relay(URL, keys, { WebSocket: FakeWebSocket });
  relay.open();
});

/** The result of a promise: "pending", "done" or a RefusedError. */
async function outcome(promise) {
  let result = "pending";
  promise.then(
    () => (result = "done"),
    (error) => (result = error),
  );
  await settle();
  return result;
}

test("an event is confirmed, or refused with the relay's reason", async () => {
  FakeWebSocket.last.accept();
  const [first, second] = [draft(), draft()];
  const [accepted, refused] = [relay.publish(first), relay.publish(second)];
  refused.catch(() => {});
  assert.deepEqual(
    FakeWebSocket.last.take("EVENT").map((message) => message[1].id),
    [first.id, second.id],
  );
  assert.equal(await outcome(accepted), "pending");
  FakeWebSocket.last.say("OK", first.id, true, "");
  FakeWebSocket.last.say("OK", second.id, false, "restricted: only members may write in this group");
  assert.equal(await outcome(accepted), "done");
  const error = await outcome(refused);
  assert.ok(error instanceof RefusedError);
  assert.deepEqual([error.message, error.prefix], ["Only members may write in this group.", "restricted"]);
});

test("what is published without a connection is sent later, and again if its answer was lost", async () => {
  const event = draft();
  const published = relay.publish(event);
  FakeWebSocket.last.accept();
  assert.equal(FakeWebSocket.last.take("EVENT").length, 1);
  FakeWebSocket.last.lose();
  mock.timers.tick(1300);
  FakeWebSocket.last.accept();
  assert.equal(FakeWebSocket.made.length, 2);
  assert.equal(FakeWebSocket.last.take("EVENT")[0][1].id, event.id);
  FakeWebSocket.last.say("OK", event.id, true, "duplicate:");
  assert.equal(await outcome(published), "done");
});

test("a limited number of events waits", async () => {
  const waiting = Array.from({ length: MAX_WAITING }, () => relay.publish(draft()));
  for (const published of waiting) published.catch(() => {});
  assert.equal((await outcome(relay.publish(draft()))).message, "50 messages are already waiting for the server.");
  FakeWebSocket.last.accept();
  assert.equal(FakeWebSocket.last.take("EVENT").length, MAX_WAITING);
  relay.close();
  assert.match((await outcome(waiting[0])).message, /closed before/);
});

test("an event over the rate limit is sent again, but not for ever", async () => {
  FakeWebSocket.last.accept();
  const event = draft();
  const published = relay.publish(event);
  for (const seconds of [1, 2, 4, 8]) {
    assert.equal(FakeWebSocket.last.take("EVENT").length, 1);
    FakeWebSocket.last.say("OK", event.id, false, "rate-limited: slow down");
    mock.timers.tick(seconds * 1000 - 1);
    assert.equal(FakeWebSocket.last.take("EVENT").length, 0);
    mock.timers.tick(1);
  }
  FakeWebSocket.last.say("OK", event.id, false, "rate-limited: slow down");
  assert.equal((await outcome(published)).message, "Slow down.");
});

test("a relay that answers nothing is left three times, then the event fails", async () => {
  const published = relay.publish(draft());
  for (let attempt = 1; attempt <= 3; attempt++) {
    assert.equal(FakeWebSocket.made.length, attempt);
    FakeWebSocket.last.accept();
    assert.equal(FakeWebSocket.last.take("EVENT").length, 1);
    mock.timers.tick(10_000);
    assert.equal(relay.state, "waiting");
    mock.timers.tick(10_000);
  }
  assert.equal(await outcome(published), "pending");
  FakeWebSocket.last.accept();
  assert.equal((await outcome(published)).message, "The server did not answer.");
});

test("pauses grow from one second to thirty, and shrink after a stable connection", () => {
  const pauses = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    FakeWebSocket.last.lose();
    const made = FakeWebSocket.made.length;
    let waited = 0;
    for (; FakeWebSocket.made.length === made; waited += 50) mock.timers.tick(50);
    pauses.push(waited / 1000);
  }
  [1, 2, 4, 8, 16, 30, 30, 30].forEach((pause, place) => {
    assert.ok(pauses[place] >= 0.75 * pause && pauses[place] <= 1.25 * pause + 0.05, `${pauses}`);
  });
  FakeWebSocket.last.accept();
  mock.timers.tick(10_000);
  FakeWebSocket.last.lose();
  const made = FakeWebSocket.made.length;
  mock.timers.tick(1300);
  assert.equal(FakeWebSocket.made.length, made + 1);
});

test("a connection that does not open, and one that went silent, are replaced", () => {
  mock.timers.tick(10_000);
  assert.equal(relay.state, "waiting");
  mock.timers.tick(1300);
  FakeWebSocket.last.accept();
  mock.timers.tick(45_000);
  assert.equal(FakeWebSocket.last.take("REQ")[0][1], "probe");
  FakeWebSocket.last.say("EOSE", "probe");
  mock.timers.tick(45_000);
  assert.equal(FakeWebSocket.last.take("REQ").length, 1);
  assert.equal(relay.state, "open");
  mock.timers.tick(10_000);
  assert.equal(relay.state, "waiting");
});

test("an abandoned socket is ignored", () => {
  const [old] = FakeWebSocket.made;
  mock.timers.tick(10_000);
  mock.timers.tick(1300);
  FakeWebSocket.last.accept();
  old.onopen();
  old.onclose();
  old.sayRaw("[");
  assert.equal(relay.state, "open");
  relay.close();
  mock.timers.tick(100_000);
  assert.deepEqual([FakeWebSocket.made.length, relay.state], [2, "closed"]);
});

test("subscriptions are sent for each connection and can be replaced and closed", () => {
  let since = 1;
  const seen = [];
  const handler = {
    filters: () => [{ since }],
    onEvent: (event) => seen.push(event.content),
    onStored: () => seen.push("stored"),
  };
  const subscription = relay.subscribe(handler);
  FakeWebSocket.last.accept();
  const [[, name, filter]] = FakeWebSocket.last.take("REQ");
  assert.deepEqual(filter, { since: 1 });
  FakeWebSocket.last.say("EVENT", name, draft());
  FakeWebSocket.last.say("EOSE", name);
  FakeWebSocket.last.say("EVENT", "another", draft());
  assert.deepEqual(seen, ["hello", "stored"]);
  since = 2;
  FakeWebSocket.last.lose();
  mock.timers.tick(1300);
  FakeWebSocket.last.accept();
  assert.deepEqual(FakeWebSocket.last.take("REQ"), [["REQ", name, { since: 2 }]]);
  FakeWebSocket.last.say("CLOSED", name, "error: too slow, subscription ended");
  mock.timers.tick(5000);
  assert.equal(FakeWebSocket.last.take("REQ").length, 1);
  subscription.refresh();
  assert.equal(FakeWebSocket.last.take("REQ").length, 1);
  subscription.close();
  assert.deepEqual(FakeWebSocket.last.take("CLOSE"), [["CLOSE", name]]);
  FakeWebSocket.last.say("EVENT", name, draft());
  assert.equal(seen.length, 2);
});

test("it authenticates once when the relay asks for it, and sends everything again", async () => {
  relay.subscribe({ filters: () => [{}], onEvent: () => {} });
  const event = draft();
  const published = relay.publish(event);
  FakeWebSocket.last.accept();
  const [[, name]] = FakeWebSocket.last.take("REQ");
  FakeWebSocket.last.take("EVENT");
  FakeWebSocket.last.say("CLOSED", name, "auth-required: authenticate to read events here");
  FakeWebSocket.last.say("OK", event.id, false, "auth-required: authenticate to publish here");
  const proofs = FakeWebSocket.last.take("AUTH");
  assert.equal(proofs.length, 1);
  const [, proof] = proofs[0];
  assert.deepEqual([proof.kind, proof.pubkey, proof.created_at], [22242, keys.publicKey, 1_700_000_000]);
  assert.deepEqual(proof.tags, [
    ["relay", URL],
    ["challenge", "challenge"],
  ]);
  FakeWebSocket.last.say("OK", proof.id, true, "");
  assert.equal(FakeWebSocket.last.take("REQ").length, 1);
  assert.equal(FakeWebSocket.last.take("EVENT")[0][1].id, event.id);
  FakeWebSocket.last.say("OK", event.id, false, "auth-required: still not");
  assert.equal((await outcome(published)).message, "Still not.");
});

test("a refused authentication is final for this connection", async () => {
  const refused = [];
  relay.subscribe({ filters: () => [{}], onEvent: () => {}, onRefused: (error) => refused.push(error.message) });
  const event = draft();
  const published = relay.publish(event);
  FakeWebSocket.last.accept();
  FakeWebSocket.last.say("OK", event.id, false, "auth-required: authenticate to publish here");
  FakeWebSocket.last.say("OK", FakeWebSocket.last.take("AUTH")[0][1].id, false, "restricted: at most 16 keys");
  assert.equal((await outcome(published)).message, "At most 16 keys.");
  assert.deepEqual(refused, ["At most 16 keys."]);
  const next = draft();
  const second = relay.publish(next);
  FakeWebSocket.last.say("OK", next.id, false, "auth-required: authenticate to publish here");
  assert.equal((await outcome(second)).message, "Authenticate to publish here.");
});

test("malformed messages change nothing", async () => {
  const seen = [];
  relay.subscribe({
    filters: () => [{}],
    onEvent: (event) => seen.push(event.id),
    onRefused: (error) => seen.push(error),
  });
  const event = draft();
  const published = relay.publish(event);
  FakeWebSocket.last.accept();
  const name = FakeWebSocket.last.take("REQ")[0][1];
  const texts = ["", "{", "null", "1", '"x"', "{}", "[]", "[[]]", '["EVENT"]', '["OK"]', '["AUTH"]', '["AUTH",{}]'];
  for (const text of [
    ...texts,
    '["NOTICE","x"]',
    "[".repeat(100_000),
    new ArrayBuffer(3),
    "[" + "1,".repeat(1 << 20),
  ]) {
    FakeWebSocket.last.sayRaw(text);
  }
  const wrong = [undefined, null, 1, "x", [], {}];
  for (const member of Object.keys(event)) {
    for (const value of [undefined, null, -1, 0.5, {}, [], [[1]], [null], "x"]) {
      if (JSON.stringify({ ...event, [member]: value }) === JSON.stringify(event)) continue;
      wrong.push({ ...event, [member]: value });
    }
  }
  const passed = wrong.filter((members) => {
    const before = seen.length;
    FakeWebSocket.last.say("EVENT", name, members);
    return seen.length > before;
  });
  // Texts may be anything, an event may have no tags, and nobody looks at the signature.
  for (const { id, pubkey, kind, created_at, content, tags } of passed) {
    assert.match(id + pubkey, /^[0-9a-f]{128}$/);
    assert.ok(Number.isInteger(kind) && Number.isInteger(created_at) && created_at >= 0);
    assert.ok(typeof content === "string" && Array.isArray(tags));
  }
  FakeWebSocket.last.say("OK", event.id);
  assert.equal((await outcome(published)).message, "The server gave no reason.");
});
