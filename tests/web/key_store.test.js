import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyStore } from "../../src/teleglyph/web/chat/key_store.js";

/** @returns {any} a Storage */
function memory(entries = {}) {
  return {
    entries,
    getItem: (name) => entries[name] ?? null,
    setItem: (name, value) => (entries[name] = String(value)),
  };
}

test("key and name stay the same in one storage", () => {
  const storage = memory();
  const first = new KeyStore(storage);
  first.name = "Ann";
  const second = new KeyStore(storage);
  assert.deepEqual([second.publicKey, second.name], [first.publicKey, "Ann"]);
  assert.notEqual(new KeyStore(memory()).publicKey, first.publicKey);
});

test("the secret key is not among what others can see", () => {
  const storage = memory();
  const keys = new KeyStore(storage);
  const secret = storage.entries["teleglyph.chat.key"];
  assert.match(secret, /^[0-9a-f]{64}$/);
  assert.equal(
    JSON.stringify([keys, Object.entries(keys), keys.sign({ kind: 1, created_at: 1, tags: [], content: "" })]).includes(
      secret,
    ),
    false,
  );
});

test("a damaged key is replaced", () => {
  for (const damaged of ["", "x", "0".repeat(64), "f".repeat(64)]) {
    const storage = memory({ "teleglyph.chat.key": damaged });
    assert.equal(new KeyStore(storage).publicKey, new KeyStore(storage).publicKey);
  }
});

test("without storage, or when it is full or forbidden, the key lasts for the page", () => {
  const forbidden = () => {
    throw new Error("forbidden");
  };
  for (const storage of [null, { getItem: forbidden, setItem: forbidden }, { ...memory(), setItem: forbidden }]) {
    const keys = new KeyStore(/** @type {any} */ (storage));
    keys.name = "Ann";
    assert.match(keys.publicKey, /^[0-9a-f]{64}$/);
    assert.equal(keys.name, "Ann");
    assert.equal(keys.sign({ kind: 1, created_at: 1, tags: [], content: "" }).pubkey, keys.publicKey);
  }
});

test("half of a surrogate pair cannot be signed", () => {
  const keys = new KeyStore(null);
  assert.throws(() => keys.sign({ kind: 1, created_at: 1, tags: [], content: "\ud800" }), /surrogate/);
  assert.throws(() => keys.sign({ kind: 1, created_at: 1, tags: [["t", "\udc00"]], content: "" }), /surrogate/);
});
