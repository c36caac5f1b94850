// A relay of npm's @nostr-relay/core with its validator, on ws; events are kept in memory.
// Arguments: the directory of the packages, the port.
import { createRequire } from "node:module";

const [directory, port] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
const { WebSocketServer } = require("ws");
const { NostrRelay } = require("@nostr-relay/core");
const { EventRepository } = require("@nostr-relay/common");
const { Validator } = require("@nostr-relay/validator");

class Memory extends EventRepository {
  events = new Map();

  isSearchSupported() {
    return false;
  }

  upsert(event) {
    const isDuplicate = this.events.has(event.id);
    this.events.set(event.id, event);
    return { isDuplicate };
  }

  find({ ids, authors, kinds, since = 0, until = Infinity, limit = 500, ...tags }) {
    const found = [];
    if (limit === 0) return found;
    for (const event of [...this.events.values()].reverse()) {
      const matches =
        (ids?.includes(event.id) ?? true) &&
        (authors?.includes(event.pubkey) ?? true) &&
        (kinds?.includes(event.kind) ?? true) &&
        event.created_at >= since &&
        event.created_at <= until &&
        Object.entries(tags).every(([name, values]) => event.tags.some((tag) => tag[0] === name[1] && values.includes(tag[1])));
      if (matches && found.push(event) === limit) break;
    }
    return found;
  }

  async destroy() {}
}

const relay = new NostrRelay(new Memory());
const validator = new Validator();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port) });
server.on("connection", (socket) => {
  relay.handleConnection(socket);
  socket.on("message", async (data) => {
    try {
      await relay.handleMessage(socket, await validator.validateIncomingMessage(data));
    } catch (error) {
      socket.send(JSON.stringify(["NOTICE", error.message]));
    }
  });
  socket.on("close", () => relay.handleDisconnect(socket));
});
server.on("listening", () => console.log("ready"));
