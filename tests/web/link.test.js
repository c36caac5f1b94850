import assert from "node:assert/strict";
import { test } from "node:test";
import { readLink, socketUrl } from "../../src/teleglyph/web/link.js";

test("the path names the room, and the fragment may have an invitation", () => {
  assert.deepEqual(readLink({ pathname: "/", hash: "" }), { room: "", invitation: "", isViewOnly: false });
  assert.deepEqual(readLink({ pathname: "/team", hash: "#i=AQBr" }), {
    room: "team",
    invitation: "AQBr",
    isViewOnly: false,
  });
  assert.equal(readLink({ pathname: "/caf%C3%A9", hash: "" }).room, "café");
  assert.equal(readLink({ pathname: "/%E9", hash: "" }).room, "%E9");
});

test("an invitation says by itself whether it is only for watching; a damaged one does not", () => {
  assert.ok(readLink({ pathname: "/", hash: "#i=AQFrCgcJ" }).isViewOnly);
  for (const damaged of ["", "A", "AgFr", "\u{1f600}", "%%%%"])
    assert.ok(!readLink({ pathname: "/", hash: `#i=${damaged}` }).isViewOnly, damaged);
});

test("sockets have the page's host, and TLS if the page has it", () => {
  assert.equal(socketUrl({ protocol: "https:", host: "example.org:27224" }, "/call"), "wss://example.org:27224/call");
  assert.equal(socketUrl({ protocol: "http:", host: "localhost" }, "/events"), "ws://localhost/events");
});
