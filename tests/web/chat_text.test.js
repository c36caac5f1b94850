import assert from "node:assert/strict";
import { test } from "node:test";
import { splitLinks } from "../../src/teleglyph/web/chat/links.js";
import { Names } from "../../src/teleglyph/web/chat/names.js";
import { beginning, cleanName, cleanText } from "../../src/teleglyph/web/chat/text.js";

test("control characters and reordering are replaced, scripts and emoji stay", () => {
  assert.equal(cleanText("a\x1b[31mb\x07\x7f\x9f"), "a\ufffd[31mb\ufffd\ufffd\ufffd");
  assert.equal(cleanText("a\u202egnp.exe \u2066x\u2069 \ufeff"), "a\ufffdgnp.exe \ufffdx\ufffd \ufffd");
  assert.equal(cleanText("half \ud83d, private \ue000"), "half \ufffd, private \ufffd");
  assert.equal(cleanText("one\r\ntwo\rthree\u2028four\tfive"), "one\ntwo\nthree\nfour five");
  const kept = "👩‍👩‍👧 🏴\u{e0067}\u{e0062}\u{e007f} می‌خواهم שלום é";
  assert.equal(cleanText(kept), kept);
  assert.equal(cleanText("a" + "\u0301".repeat(500)), "a" + "\u0301".repeat(8));
});

test("a name is one short line and cannot imitate another one", () => {
  assert.equal(cleanName("  Ann\n\tB  "), "Ann B");
  assert.equal(cleanName("Ann (qqqqqqqq): hi"), "Ann qqqqqqqq hi");
  assert.equal(cleanName("<img src=x onerror=alert(1)>"), "img src=x onerror=alert");
  assert.equal([...cleanName("😀".repeat(100))].length, 24);
  for (const nothing of ["", "   ", "\u200b\u2800", "npub1abc", "ＮＰＵＢ1abc", "()"])
    assert.equal(cleanName(nothing), "");
});

test("people of one name are told apart by their keys", () => {
  const names = new Names();
  // Keys 3 and 2 with their npubs, as other programs write them.
  const [ann, bob] = [
    "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
  ];
  assert.equal(names.nameOf(ann), "npub1lycg5qv");
  assert.equal(names.learn(ann, "Ann", 10), true);
  assert.equal(names.nameOf(ann), "Ann");
  assert.equal(names.learn(ann, "Old", 9), false);
  names.learn(bob, "ａnn\u200d", 10);
  assert.equal(names.nameOf(ann), "Ann (lycg5qvj)");
  assert.equal(names.nameOf(bob), "ａnn\u200d (ccz8l9zp)");
  names.learn(bob, "Bob", 11);
  assert.equal(names.nameOf(ann), "Ann");
  for (let i = 0; i < 1100; i++) names.learn(i.toString(16).padStart(64, "0"), `n${i}`, 1);
  assert.equal(names.chosenName(ann), "");
});

/** @param {string} text */
const links = (text) => splitLinks(text).flatMap(({ href }) => href ?? []);

test("only web addresses become links", () => {
  assert.deepEqual(splitLinks("see https://a.example/x?y=1#z, ok"), [
    { text: "see " },
    { text: "https://a.example/x?y=1#z", href: "https://a.example/x?y=1#z" },
    { text: ", ok" },
  ]);
  assert.deepEqual(links("(http://a.example/b_(c)) HTTPS://B.example."), [
    "http://a.example/b_(c)",
    "https://b.example/",
  ]);
  for (const text of [
    "javascript:alert(1)",
    "data:text/html,x",
    "//a.example",
    "ftp://a.example",
    "http://",
    "https://.",
    "",
  ]) {
    assert.deepEqual(links(text), [], text);
  }
  assert.deepEqual(links("https://bank.example@evil.example/ https://u:p@evil.example"), []);
  assert.deepEqual(links(`https://a.example/${"x".repeat(3000)}`), []);
  assert.equal(links("https://a.example ".repeat(500)).length, 50);
  const text = `x https://a.example/${")".repeat(1900)} ${"https://".repeat(9000)}`;
  assert.equal(
    splitLinks(text)
      .map((segment) => segment.text)
      .join(""),
    text,
  );
});

test("the beginning of a text never ends in half of a character", () => {
  assert.equal(beginning("ab😀", 3), "ab");
  assert.equal(beginning("ab😀", 4), "ab😀");
});
