import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fromHex, toHex } from "../../src/teleglyph/web/chat/hex.js";
import { isSecretKey, publicKey, sign } from "../../src/teleglyph/web/chat/schnorr.js";
import { sha256 } from "../../src/teleglyph/web/chat/sha256.js";

test("hashes of every length around the blocks are those of Node", () => {
  const data = Uint8Array.from({ length: 300 }, (_, place) => (place * 167) & 255);
  for (let length = 0; length <= data.length; length++) {
    const part = data.subarray(0, length);
    assert.equal(toHex(sha256(part)), createHash("sha256").update(part).digest("hex"), `${length} bytes`);
  }
});

// The vectors of BIP-340 with a secret key of 32 bytes and a message of 32: key, public key, randomness, message, signature.
const VECTORS = [
  [
    "0000000000000000000000000000000000000000000000000000000000000003",
    "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    "00".repeat(32),
    "00".repeat(32),
    "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215" +
      "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
  ],
  [
    "b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef",
    "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
    "0000000000000000000000000000000000000000000000000000000000000001",
    "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
    "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341" +
      "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
  ],
  [
    "c90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b14e5c9",
    "dd308afec5777e13121fa72b9cc1b7cc0139715309b086c960e18fd969774eb8",
    "c87aa53824b4d7ae2eb035a2b5bbbccc080e76cdc6d1692c4b0b62d798e6d906",
    "7e2d58d8b3bcdf1abadec7829054f90dda9805aab56c77333024b9d0a508b75c",
    "5831aaeed7b44bb74e5eab94ba9d4294c49bcf2a60728d8b4c200f50dd313c1b" +
      "ab745879a5ad954a72c45a91c3a51d3c7adea98d82f8481e0e1e03674a6f3fb7",
  ],
  [
    "0b432b2677937381aef05bb02a66ecd012773062cf3fa2549e44f58ed2401710",
    "25d1dff95105f5253c4022f628a996ad3a0d95fbf21d468a1b33f8c160d8f517",
    "ff".repeat(32),
    "ff".repeat(32),
    "7eb0509757e246f19449885651611cb965ecc1a187dd51b64fda1edc9637d5ec" +
      "97582b9cb13db3933705b32ba982af5af25fd78881ebb32771fc5922efc66ea3",
  ],
];

test("keys and signatures are those of BIP-340's vectors", () => {
  for (const [secret, key, randomness, message, signature] of VECTORS) {
    assert.equal(toHex(publicKey(fromHex(secret))), key);
    assert.equal(toHex(sign(fromHex(secret), fromHex(message), fromHex(randomness))), signature);
  }
});

test("zero, the order of the curve and other lengths are not secret keys", () => {
  const order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
  assert.equal(isSecretKey(fromHex(order.replace(/1$/, "0"))), true);
  for (const wrong of ["00".repeat(32), order, "ff".repeat(32), "01".repeat(31), ""]) {
    assert.equal(isSecretKey(fromHex(wrong)), false);
    assert.throws(() => publicKey(fromHex(wrong)), RangeError);
    assert.throws(() => sign(fromHex(wrong), new Uint8Array(32)), RangeError);
  }
});

test("two signatures of one message differ", () => {
  const [secret, message] = [new Uint8Array(32).fill(1), new Uint8Array(32)];
  assert.notEqual(toHex(sign(secret, message)), toHex(sign(secret, message)));
});

test("only pairs of lower-case digits are hexadecimal", () => {
  for (const wrong of ["0", "0g", "AB", " 00", "00\n"]) assert.throws(() => fromHex(wrong), TypeError);
});
