// The bare loop of bench/rooms.py with npm's ws: forwards each message to all other sockets of a group.
import { createRequire } from "node:module";

const [directory, port] = process.argv.slice(2);
const { WebSocketServer } = createRequire(`${directory}/`)("ws");
const groups = new Map();
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate: false });
server.on("connection", (socket) => {
  let group;
  socket.on("message", (data) => {
    if (group === undefined) {
      const name = data.subarray(5, data.indexOf(0)).toString("latin1");
      if (!groups.has(name)) groups.set(name, new Set());
      group = groups.get(name).add(socket);
      socket.send(Buffer.concat([Buffer.from([6]), Buffer.alloc(12)]));
      return;
    }
    for (const other of group) if (other !== socket) other.send(data);
  });
  socket.on("close", () => group?.delete(socket));
});
server.on("listening", () => console.log("ready"));
