// Runs a NIP-29 group with one client library; prints what it saw as one line of JSON.
// Arguments: the directory of the packages, the relay's URL, the library's name.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [directory, url, library] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
// With a resolver of its own, for these packages are not beside this file and some are modules only.
const load = async (name) => {
  try {
    return require(name);
  } catch (error) {
    if (error.code !== "ERR_REQUIRE_ESM" && error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    const { exports, main, module } = require(`${directory}/node_modules/${name}/package.json`);
    const entry = exports?.["."] ?? exports;
    const file = entry?.import?.default ?? entry?.import ?? entry?.default ?? module ?? main;
    return import(pathToFileURL(`${directory}/node_modules/${name}/${file}`));
  }
};
globalThis.WebSocket = require("ws");
const { finalizeEvent, generateSecretKey, getPublicKey } = require("nostr-tools/pure");
const nip29 = require("nostr-tools/nip29");
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const within = (promise, what, seconds = 10) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what}`)), 1000 * seconds))]);

// Each makes a client with: publish(event), which gives "" or the relay's reason; fetch(filter), which gives events;
// live(filter, take), which resolves when the stored events have come; load(group), by the library's own means.
// All authenticate by themselves when they are asked to.
const makers = {
  "nostr-tools": async (key) => {
    const { SimplePool, useWebSocketImplementation } = require("nostr-tools/pool");
    const { useFetchImplementation } = require("nostr-tools/nip11");
    useWebSocketImplementation(WebSocket);
    useFetchImplementation?.(fetch);
    const pool = new SimplePool();
    const onauth = async (template) => finalizeEvent(template, key);
    return {
      publish: (event) =>
        pool.publish([url], event, { onauth })[0].then((reason) => reason ?? "", (error) => `refused ${error.message}`),
      fetch: (filter) =>
        new Promise((resolve) => {
          const found = [];
          const closer = pool.subscribeMany([url], filter, {
            onauth,
            onevent: (event) => found.push(event),
            oneose: () => { closer.close(); resolve(found); },
            onclose: () => resolve(found),
          });
        }),
      live: (filter, take) =>
        new Promise((resolve) => pool.subscribeMany([url], filter, { onauth, onevent: take, oneose: resolve })),
      load: async (id) => {
        const group = await nip29.loadGroup({ pool, groupReference: { id, host: url }, normalizedRelayURL: url });
        return {
          name: group.metadata.name,
          members: group.members.map((member) => member.pubkey),
          admins: group.admins.map((admin) => admin.pubkey),
        };
      },
    };
  },
  ndk: async (key) => {
    const { default: NDK, NDKEvent, NDKPrivateKeySigner, NDKRelayAuthPolicies, NDKRelaySet, NDKSimpleGroup } =
      await load("@nostr-dev-kit/ndk");
    const ndk = new NDK({ explicitRelayUrls: [url], signer: new NDKPrivateKeySigner(hex(key)) });
    ndk.relayAuthDefaultPolicy = NDKRelayAuthPolicies.signIn({ ndk });
    // Not awaited, for it always takes as long as it may.
    ndk.connect(5000);
    await within(new Promise((resolve) => ndk.pool.on("relay:ready", resolve)), "connection");
    const relays = NDKRelaySet.fromRelayUrls([url], ndk);
    return {
      publish: (event) =>
        new NDKEvent(ndk, event).publish(relays, 5000).then(
          () => "",
          (error) => `refused ${[...(error.errors?.values() ?? [])].map((one) => one.message).join() || error.message}`,
        ),
      // Not its fetchEvents, which waits ten seconds when the relay closes the subscription.
      fetch: (filter) =>
        new Promise((resolve) => {
          const found = [];
          const subscription = ndk.subscribe(filter, { closeOnEose: true, groupable: false, relaySet: relays });
          subscription.on("event", (event) => found.push(event.rawEvent()));
          subscription.on("eose", () => resolve(found));
          subscription.on("closed", () => resolve(found));
        }),
      live: (filter, take) =>
        new Promise((resolve) => {
          const subscription = ndk.subscribe(filter, { closeOnEose: false, relaySet: relays });
          subscription.on("event", (event) => take(event.rawEvent()));
          subscription.on("eose", resolve);
        }),
      load: async (id) => {
        const group = new NDKSimpleGroup(ndk, relays, id);
        const metadata = await group.getMetadata();
        const members = (await group.getMembers()).map((user) => user.pubkey);
        return { name: metadata.name, members };
      },
    };
  },
  applesauce: async (key) => {
    const { Relay } = await load("applesauce-relay");
    const relay = new Relay(url, { WebSocket });
    relay.challenge$.subscribe((challenge) => {
      if (challenge) relay.authenticate({ signEvent: (template) => finalizeEvent(template, key) }).catch(() => {});
    });
    return {
      publish: async (event) => {
        const { ok, message } = await relay.publish(event, { retries: 0 });
        return ok ? (message ?? "") : `refused ${message}`;
      },
      fetch: (filter) =>
        new Promise((resolve, reject) => {
          const found = [];
          relay.request(filter).subscribe({ next: (event) => found.push(event), complete: () => resolve(found), error: reject });
        }),
      live: (filter, take) =>
        new Promise((resolve, reject) => {
          const next = (message) => {
            if (message.type === "EOSE") resolve();
            if (message.type === "EVENT") take(message.event);
          };
          relay.req(filter).subscribe({ next, error: reject });
        }),
    };
  },
  "rx-nostr": async (key) => {
    const { createRxBackwardReq, createRxForwardReq, createRxNostr } = await load("rx-nostr");
    const { seckeySigner, verifier } = await load("@rx-nostr/crypto");
    const signer = seckeySigner(hex(key));
    const rx = createRxNostr({ signer, verifier, websocketCtor: WebSocket, authenticator: "auto" });
    rx.setDefaultRelays([url]);
    return {
      publish: (event) =>
        new Promise((resolve, reject) => {
          // It signs by itself unless the event is signed.
          let said = "refused without a word";
          const next = ({ ok, notice }) => { said = ok ? (notice ?? "") : `refused ${notice}`; };
          rx.send(event).subscribe({ next, complete: () => resolve(said), error: reject });
        }),
      fetch: (filter) =>
        new Promise((resolve, reject) => {
          const found = [];
          const request = createRxBackwardReq();
          const next = ({ event }) => found.push(event);
          rx.use(request).subscribe({ next, complete: () => resolve(found), error: reject });
          request.emit([filter]);
          request.over();
        }),
      live: (filter, take) =>
        new Promise((resolve, reject) => {
          const request = createRxForwardReq();
          rx.use(request).subscribe({ next: ({ event }) => take(event), error: reject });
          rx.createAllMessageObservable().subscribe((packet) => packet.type === "EOSE" && resolve());
          request.emit([filter]);
        }),
    };
  },
};

const now = Math.floor(Date.now() / 1000);
const people = {};
for (const name of ["ann", "bob", "carol"]) {
  const key = generateSecretKey();
  people[name] = { key, pubkey: getPublicKey(key), client: await makers[library](key) };
}
const { ann, bob, carol } = people;
const id = `group-${ann.pubkey.slice(0, 8)}`;
let second = 0;
const publish = (person, kind, tags = [], content = "") => {
  // Each a second later, for of two versions at one time the lower id wins.
  const event = { kind, content, tags: [["h", id], ...tags], created_at: now + second++ };
  return within(person.client.publish(finalizeEvent(event, person.key)), `answer to kind ${kind}`);
};
const fetchBy = (person, filter) => within(person.client.fetch(filter), `answer to ${JSON.stringify(filter)}`);
// The relay describes a group a moment after it has changed.
const membersSeenBy = async (person, expected) => {
  for (let tries = 0; ; tries++) {
    const [event] = await fetchBy(person, { kinds: [39002], "#d": [id] });
    const names = (event?.tags ?? []).filter((tag) => tag[0] === "p").map((tag) => nameOf(tag[1])).sort();
    if (names.join() === expected || tries === 100) return names;
    await pause(50);
  }
};
const nameOf = (pubkey) => Object.keys(people).find((name) => people[name].pubkey === pubkey) ?? pubkey;
const contents = (events) => events.map((event) => event.content).sort();

const said = {};
said.created = await publish(ann, 9007);
said.renamed = await publish(ann, 9002, [["name", "Kitchen"], ["about", "ü"]]);
const seen = [];
await within(ann.client.live({ kinds: [9], "#h": [id] }, (event) => seen.push(event.content)), "end of what is stored");
said.joined = await publish(bob, 9021);
said.joined_again = await publish(bob, 9021);
said.members = await membersSeenBy(carol, "ann,bob");
if (ann.client.load) {
  const { name, members, admins } = await within(ann.client.load(id), "group");
  said.loaded = { name, members: members.map(nameOf).sort(), admins: admins?.map(nameOf).sort() };
}
said.written = await publish(bob, 9, [], "hello");
said.forbidden = await publish(bob, 9002, [["name", "Bob's"]]);
said.closed = await publish(ann, 9002, [["name", "Kitchen"], ["private"], ["restricted"], ["closed"]]);
said.outsider_writes = await publish(carol, 9, [], "let me in");
said.outsider_joins = await publish(carol, 9021);
said.member_reads = contents(await fetchBy(bob, { kinds: [9], "#h": [id] }));
said.outsider_reads = await fetchBy(carol, { kinds: [9], "#h": [id] }).then(contents, () => []);
said.invited = await publish(ann, 9009, [["code", "sesame"]]);
said.came_with_code = await publish(carol, 9021, [["code", "sesame"]]);
said.left = await publish(bob, 9022);
said.members_later = await membersSeenBy(ann, "ann,carol");
said.removed = await publish(ann, 9001, [["p", carol.pubkey]]);
said.members_at_last = await membersSeenBy(ann, "ann");
for (let tries = 0; tries < 50 && !seen.length; tries++) await pause(20);
said.live = seen;
console.log(JSON.stringify(said));
process.exit(0);
