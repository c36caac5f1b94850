import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { KeyStore } from "../../src/teleglyph/web/chat/key_store.js";
import { Relay } from "../../src/teleglyph/web/chat/relay.js";
import { RoomChat } from "../../src/teleglyph/web/chat/room_chat.js";
import { FakeWebSocket, settle } from "./fake_web_socket.js";

const NOW = 1_700_000_000;
const GROUP = "room-call-team";
const [ann, bob] = [new KeyStore(null), new KeyStore(null)];

/** @type {KeyStore} */
let keys;
/** @type {RoomChat} */
let chat;
/** @type {string[]} */
let arrivals;

/** @type {unknown} what the relay says about itself */
let information;
globalThis.fetch = async (url, { headers }) => {
  assert.deepEqual([url, headers], ["https://calls.example/events", { Accept: "application/nostr+json" }]);
  return { json: async () => information };
};

beforeEach(() => {
  information = {};
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW * 1000 });
  FakeWebSocket.made = [];
  keys = new KeyStore(null);
  const relay = new Relay("wss://calls.example/events", keys, { WebSocket: FakeWebSocket });
  chat = new RoomChat(relay, keys, GROUP);
  arrivals = [];
  chat.addEventListener("arrival", (event) => arrivals.push(event.detail.text));
  chat.open();
  relay.open();
});

const server = () => FakeWebSocket.last;
const PRESENCE = 10312;
const isPresence = ([verb, event]) => verb === "EVENT" && event.kind === PRESENCE;
/** What the page has published since the last look, without its presence. */
const published = () =>
  server()
    .takeIf((one) => one[0] === "EVENT" && !isPresence(one))
    .map(([, event]) => event);
const presences = () =>
  server()
    .takeIf(isPresence)
    .map(([, event]) => event);
const message = (content, at = NOW, author = ann, tags = []) =>
  author.sign({ kind: 9, created_at: at, tags: [["h", GROUP], ...tags], content });
const profile = (author, members, at = NOW) =>
  author.sign({ kind: 0, created_at: at, tags: [], content: JSON.stringify(members) });
const texts = () => chat.messages.map(({ text }) => text);
const states = () => chat.messages.map(({ text, state, reason }) => [text, state, reason]);

/** The names of the subscriptions for messages and for profiles, and the filter of the messages. */
function subscribed() {
  const requests = server().take("REQ");
  const [messages] = requests.filter((request) => request[2].kinds[0] === 9);
  const [profiles] = requests.filter((request) => request[2].kinds[0] === 0);
  return {
    messages: messages?.[1],
    profiles: profiles?.[1],
    filters: messages?.slice(2),
    authors: profiles?.[2].authors,
  };
}

/** Connect, with a history. */
function connect(...history) {
  server().accept();
  const names = subscribed();
  for (const event of history) server().say("EVENT", names.messages, event);
  server().say("EOSE", names.messages);
  server().say("EOSE", names.profiles);
  return names;
}

/** Connect, with a history, and accept our presence. */
function load(...history) {
  const names = connect(...history);
  for (const { id } of presences()) server().say("OK", id, true, "");
  return names;
}

function reconnect() {
  server().lose();
  mock.timers.tick(1300);
  server().accept();
  return subscribed();
}

test("the history arrives in order, each message once, and is not new", () => {
  assert.equal(chat.trouble, "Connecting to the chat …");
  server().accept();
  const { messages, filters } = subscribed();
  assert.deepEqual(filters, [
    { kinds: [9], "#h": [GROUP], limit: 100 },
    { kinds: [9005], "#h": [GROUP], limit: 100 },
    { kinds: [5], limit: 100 },
  ]);
  const twins = [message("twin", NOW - 5), message("other twin", NOW - 5, bob)].sort((a, b) => (a.id < b.id ? -1 : 1));
  const stranger = ann.sign({ kind: 9, created_at: NOW, tags: [["h", "another"]], content: "elsewhere" });
  for (const event of [message("last", NOW), twins[1], twins[0], message("first", 0), twins[0], stranger]) {
    server().say("EVENT", messages, event);
  }
  assert.equal(chat.isLoaded, false);
  server().say("EOSE", messages);
  assert.deepEqual([chat.isLoaded, chat.trouble], [true, ""]);
  assert.deepEqual(texts(), ["first", twins[0].content, twins[1].content, "last"]);
  server().say("EVENT", messages, message("live", NOW + 1));
  assert.deepEqual(arrivals, ["live"]);
});

test("times from the future count as now, in the order in which their clocks put them", () => {
  const { messages } = load();
  for (const [text, at] of [
    ["ahead", NOW + 800],
    ["less ahead", NOW + 700],
    ["now", NOW],
    ["absurd", Number.MAX_SAFE_INTEGER],
  ]) {
    server().say("EVENT", messages, message(text, at));
  }
  assert.deepEqual(texts(), ["now", "less ahead", "ahead", "absurd"]);
  assert.deepEqual(new Set(chat.messages.map(({ at }) => at)), new Set([NOW]));
  mock.timers.tick(5000);
  server().say("EVENT", messages, message("later", NOW + 4));
  assert.equal(texts().at(-1), "later");
});

test("our message is shown at once and its delivery follows", async () => {
  load();
  chat.send("hello \n");
  assert.deepEqual(states(), [["hello", "sending", ""]]);
  const [event] = published();
  assert.deepEqual([event.kind, event.created_at, event.tags], [9, NOW, [["h", GROUP]]]);
  server().say("OK", event.id, true, "");
  await settle();
  assert.deepEqual(states(), [["hello", "sent", ""]]);
  assert.equal(chat.messages[0].isOwn, true);
  assert.deepEqual(arrivals, []);
});

test("messages of one second keep their order, and the same text can be sent twice", () => {
  load();
  for (const text of ["a", "b", "b", "a"]) chat.send(text);
  assert.deepEqual(texts(), ["a", "b", "b", "a"]);
  assert.equal(
    new Set(
      server()
        .take("EVENT")
        .map(([, { id }]) => id),
    ).size,
    4,
  );
});

test("blank and too long messages are not sent", () => {
  load();
  chat.send(" \n\t ");
  assert.throws(() => chat.send("x".repeat((64 << 10) + 1)), /too long, with 65537 characters/);
  assert.throws(() => chat.send("é".repeat(64 << 10)), /131074 bytes/);
  assert.deepEqual([texts(), published()], [[], []]);
  chat.send("half \ud800");
  assert.deepEqual(texts(), ["half \ufffd"]);
});

test("the relay's copy confirms a message whose answer was lost", async () => {
  const { messages } = load();
  chat.send("hello");
  const [event] = published();
  server().say("EVENT", messages, event);
  assert.deepEqual(states(), [["hello", "sent", ""]]);
  server().say("OK", event.id, false, "blocked: too late");
  await settle();
  assert.deepEqual(states(), [["hello", "sent", ""]]);
});

test("a refused message keeps the relay's reason, and can be sent again", async () => {
  load();
  chat.send("hello");
  const [event] = published();
  server().say("OK", event.id, false, "blocked: your key is banned here");
  await settle();
  assert.deepEqual(states(), [["hello", "failed", "Your key is banned here."]]);
  chat.retry(event.id);
  assert.equal(chat.messages[0].state, "sending");
  assert.equal(published()[0].id, event.id);
  server().say("OK", event.id, false, "blocked: your key is banned here");
  await settle();
  mock.timers.tick(40_000);
  server().say("EOSE", "probe");
  mock.timers.setTime((NOW + 3600) * 1000);
  chat.retry(event.id);
  const [renewed] = published();
  assert.deepEqual([renewed.created_at, texts()], [NOW + 3600, ["hello"]]);
});

test("it joins a group in which only members may write", async () => {
  load();
  chat.send("hello");
  const [event] = published();
  server().say("OK", event.id, false, "restricted: only members may write in this group");
  await settle();
  const [request] = published();
  assert.deepEqual([request.kind, request.tags], [9021, [["h", GROUP]]]);
  server().say("OK", request.id, true, "");
  await settle();
  assert.equal(published()[0].id, event.id);
  server().say("OK", event.id, true, "");
  await settle();
  assert.deepEqual(states(), [["hello", "sent", ""]]);
});

test("a closed group says why nobody can join", async () => {
  load();
  chat.send("hello");
  server().say("OK", published()[0].id, false, "restricted: only members may write in this group");
  await settle();
  server().say("OK", published()[0].id, false, "restricted: this group is closed; join with a code");
  await settle();
  assert.deepEqual(states(), [["hello", "failed", "This group is closed; join with a code."]]);
});

test("it joins a group that only members may read", async () => {
  server().accept();
  const { messages } = subscribed();
  server().say("CLOSED", messages, "restricted: only members may read this group");
  await settle();
  const [request] = published();
  assert.equal(request.kind, 9021);
  server().say("OK", request.id, false, "restricted: this group is closed; join with a code");
  await settle();
  assert.equal(chat.trouble, "The chat is not available. This group is closed; join with a code.");
});

test("after a lost connection nothing is missed and nothing repeats", async () => {
  const old = [message("one", NOW - 5000), message("two", NOW - 100)];
  const names = load(...old);
  mock.timers.tick(20_000);
  server().say("EVENT", names.messages, message("three", NOW + 19));
  const { messages, filters } = reconnect();
  assert.deepEqual(filters[0], { kinds: [9], "#h": [GROUP], limit: 500, since: NOW + 19 - 3600 });
  for (const event of [message("late clock", NOW - 1000), message("four", NOW + 20), old[1]]) {
    server().say("EVENT", messages, event);
  }
  server().lose();
  mock.timers.tick(3000);
  server().accept();
  const again = subscribed();
  assert.equal(again.filters[0].since, NOW + 20 - 3600, "the first loss still counts");
  for (const event of [
    message("four", NOW + 20),
    message("five", NOW + 21),
    message("late clock", NOW - 1000),
    old[1],
  ]) {
    server().say("EVENT", again.messages, event);
  }
  server().say("EVENT", again.messages, message("three", NOW + 19));
  server().say("EOSE", again.messages);
  assert.deepEqual(texts(), ["one", "late clock", "two", "three", "four", "five"]);
  assert.deepEqual(arrivals, ["three", "late clock", "four", "five"]);
});

test("deletions remove messages of their author, and those of moderators any", () => {
  const [mine, theirs, third] = [message("a", NOW), message("b", NOW + 1, bob), message("c", NOW + 2)];
  const { messages } = load(mine, theirs, third);
  const tags = [mine, theirs].map(({ id }) => ["e", id]);
  server().say("EVENT", messages, ann.sign({ kind: 5, created_at: NOW, tags, content: "" }));
  assert.deepEqual(texts(), ["b", "c"]);
  const elsewhere = [
    ["h", "another"],
    ["e", third.id],
  ];
  server().say("EVENT", messages, bob.sign({ kind: 9005, created_at: NOW, tags: elsewhere, content: "" }));
  assert.deepEqual(texts(), ["b", "c"]);
  elsewhere[0][1] = GROUP;
  server().say("EVENT", messages, bob.sign({ kind: 9005, created_at: NOW, tags: elsewhere, content: "" }));
  assert.deepEqual(texts(), ["b"]);
});

test("what was deleted while we were away disappears, but nothing of ours that waits", async () => {
  const [old, deleted, kept] = [message("old", NOW - 9000), message("deleted", NOW - 9), message("kept", NOW - 8)];
  load(kept, deleted, old);
  chat.send("mine");
  const { messages } = reconnect();
  server().say("EVENT", messages, kept);
  server().say("EOSE", messages);
  assert.deepEqual(texts(), ["old", "kept", "mine"]);
  server().say("OK", published()[0].id, true, "");
  await settle();
  assert.deepEqual(states().at(-1), ["mine", "sent", ""]);
});

test("at most 500 messages are kept, the newest", () => {
  const { messages } = load();
  for (let i = 0; i < 520; i++) server().say("EVENT", messages, message(`${i}`, NOW - 1000 + i));
  server().say("EVENT", messages, message("too old", NOW - 5000));
  assert.deepEqual([chat.messages.length, texts()[0], texts().at(-1)], [500, "20", "519"]);
  assert.equal(arrivals.includes("too old"), false);
});

test("names are those of profiles, and follow them", () => {
  const { messages, profiles, authors } = load(message("hi"), message("ho", NOW, bob));
  assert.deepEqual(authors, [keys.publicKey]);
  mock.timers.tick(250);
  const request = subscribed();
  assert.deepEqual(new Set(request.authors), new Set([keys, ann, bob].map(({ publicKey }) => publicKey)));
  assert.match(chat.nameOf(ann.publicKey), /^npub1[a-z0-9]{7}$/);
  server().say("EVENT", profiles, profile(ann, { name: "Ann\u202e\n" }));
  server().say("EVENT", profiles, profile(bob, { name: 7 }));
  assert.equal(chat.nameOf(ann.publicKey), "Ann\ufffd");
  server().say("EVENT", profiles, profile(bob, { name: "Far" }, NOW + 10_000));
  server().say("EVENT", profiles, bob.sign({ kind: 0, created_at: NOW, tags: [], content: "{" }));
  assert.match(chat.nameOf(bob.publicKey), /^npub1/);
  server().say("EVENT", profiles, profile(bob, { name: "Bob" }, NOW + 1));
  server().say("EVENT", profiles, profile(bob, { name: "Old" }, NOW - 1));
  assert.equal(chat.nameOf(bob.publicKey), "Bob");
  server().say("EVENT", messages, message("again"));
  mock.timers.tick(250);
  assert.equal(server().take("REQ").length, 0, "nobody new");
});

test("our name is published with the other members of our profile, unless the relay has it", async () => {
  keys.name = "Zoe";
  server().accept();
  const { profiles } = subscribed();
  server().say("EVENT", profiles, profile(keys, { name: "Z", about: "me" }, NOW + 5));
  server().say("EOSE", profiles);
  const [event] = published();
  assert.deepEqual(
    [event.kind, event.created_at, JSON.parse(event.content)],
    [0, NOW + 6, { name: "Zoe", about: "me" }],
  );
  assert.equal(chat.nameOf(keys.publicKey), "Zoe");
  await chat.setName("Zoe");
  chat.setName("Zoë");
  assert.equal(JSON.parse(published()[0].content).name, "Zoë");
  assert.equal(keys.name, "Zoë");
});

test("changes are announced once for all of a task", async () => {
  let changes = 0;
  load();
  await settle();
  chat.addEventListener("change", () => changes++);
  for (const text of ["a", "b", "c"]) chat.send(text);
  await settle();
  assert.equal(changes, 1);
});

test("our presence is announced each minute while there is a connection, and ends when we leave", async () => {
  const relayKey = "ab".repeat(32);
  information = { self: relayKey };
  chat.close();
  chat.open();
  await settle();
  assert.deepEqual(presences(), []);
  connect();
  const activity = ["a", `30311:${relayKey}:${GROUP}`, "wss://calls.example/events", "root"];
  const [first] = presences();
  assert.deepEqual([first.created_at, first.tags], [NOW, [["h", GROUP], activity, ["expiration", `${NOW + 150}`]]]);
  server().say("OK", first.id, true, "");
  mock.timers.tick(40_000);
  assert.deepEqual(presences(), []);
  server().say("NOTICE", "a sign of life");
  mock.timers.tick(20_000);
  const [second] = presences();
  assert.equal(second.created_at, NOW + 60);
  server().say("OK", second.id, true, "");
  mock.timers.tick(40_000);
  server().say("NOTICE", "another one");
  mock.timers.tick(19_500);
  server().lose();
  mock.timers.tick(1300);
  server().accept();
  assert.deepEqual(presences(), []);
  const { messages } = subscribed();
  server().say("EOSE", messages);
  const [third] = presences();
  chat.close();
  const [last] = presences();
  assert.deepEqual(
    [last.created_at, last.tags.at(-1)],
    [third.created_at + 1, ["expiration", `${third.created_at + 3}`]],
  );
});

test("a relay without a description of itself does not matter", async () => {
  for (information of [null, { self: "x" }, { self: 1 }]) {
    chat.close();
    chat.open();
    await settle();
  }
  connect();
  assert.equal(presences()[0].tags.length, 2);
});
