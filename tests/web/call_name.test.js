import assert from "node:assert/strict";
import { test } from "node:test";
import { isCallName, readTyped } from "../../src/teleglyph/web/discovery/call_name.js";

const ORIGIN = "https://example.org";
const typed = (text) => readTyped(text, ORIGIN);

test("a name is three words of 2 to 12 letters", () => {
  for (const name of ["brave-otter-lantern", "ab-cd-ef", "abcdefghijkl-ab-cd"]) assert.ok(isCallName(name), name);
  for (const text of [
    "",
    "a-bc-de",
    "ab-cd",
    "ab-cd-ef-gh",
    "Ab-cd-ef",
    "ab_cd_ef",
    "abcdefghijklm-ab-cd",
    "ab-cd-ef\n",
  ])
    assert.ok(!isCallName(text), text);
});

test("words are recognized with any separators and in any case", () => {
  for (const text of [
    "brave-otter-lantern",
    " Brave Otter  Lantern ",
    "BRAVE, otter. lantern!",
    "/brave-otter-lantern",
  ])
    assert.deepEqual(typed(text), { path: "/brave-otter-lantern", problem: "" }, text);
});

test("a link of this service keeps its room and its secrets", () => {
  assert.equal(typed(`${ORIGIN}/brave-otter-lantern`).path, "/brave-otter-lantern");
  assert.equal(typed(`${ORIGIN}/brave-otter-lantern/team#i=AQ&k=a+b`).path, "/brave-otter-lantern/team#i=AQ&k=a+b");
  assert.match(typed("https://example.net/brave-otter-lantern").problem, /example\.net/);
});

test("anything else is explained", () => {
  for (const text of [
    "",
    "brave otter",
    "brave-otter-l4ntern",
    "brave otter lantern é",
    "a b c d",
    `${ORIGIN}/`,
    "http://",
  ])
    assert.match(typed(text).problem, /A name has three words/, text);
  assert.ok(typed("x".repeat(10_000)).problem.length < 200);
});
