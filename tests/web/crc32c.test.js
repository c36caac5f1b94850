import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c } from "../../src/teleglyph/web/crc32c.js";

test("the checksum of nine digits is that of the standard", () => {
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array()), 0);
});
