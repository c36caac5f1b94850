import assert from "node:assert/strict";
import { test } from "node:test";
import { readLink, socketUrl } from "../../src/teleglyph/web/link.js";

const NOTHING = { name: "", wrongName: "", room: "", invitation: "", isViewOnly: false, pin: "" };

test("the path names the room, and the fragment may have an invitation", () => {
  assert.deepEqual(readLink({ pathname: "/", hash: "" }), NOTHING);
  assert.deepEqual(readLink({ pathname: "/team", hash: "#i=AQBr" }), { ...NOTHING, room: "team", invitation: "AQBr" });
  assert.equal(readLink({ pathname: "/caf%C3%A9", hash: "" }).room, "café");
  assert.equal(readLink({ pathname: "/%E9", hash: "" }).room, "%E9");
  assert.equal(readLink({ pathname: "/brave-otter-lantern", hash: "" }).room, "brave-otter-lantern");
});

test("on the page of a discovery service, the path names a call and perhaps one of its rooms", () => {
  const read = (pathname, hash = "") => readLink({ pathname, hash }, true);
  assert.deepEqual(read("/"), NOTHING);
  assert.deepEqual(read("/brave-otter-lantern"), { ...NOTHING, name: "brave-otter-lantern" });
  assert.deepEqual(read("/Brave-Otter-Lantern/team"), { ...NOTHING, name: "brave-otter-lantern", room: "team" });
  assert.deepEqual(read("/brave-otter/team"), { ...NOTHING, wrongName: "brave-otter" });
  for (const wrong of ["/brave-otter-lantern-x", "/b-otter-lantern", "/brave-otter-l4ntern", "/braveotterlantern"])
    assert.equal(read(wrong).name, "", wrong);
});

test("a link may pin the host's key, with the characters of base64 as they are", () => {
  const read = (hash) => readLink({ pathname: "/brave-otter-lantern", hash }, true);
  assert.equal(read("#k=SHA256:a+b/c").pin, "SHA256:a+b/c");
  assert.equal(read("#i=AQBr&k=a%2Bb/c").pin, "SHA256:a+b/c");
  assert.equal(read("#i=AQBr&k=a%2Bb/c").invitation, "AQBr");
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
