import assert from "node:assert/strict";
import { test } from "node:test";
import { wayIn } from "../../src/teleglyph/web/discovery/data_channel.js";

const report = (...entries) => new Map(entries.map((entry) => [entry.id, entry]));
const ends = (local, remote) => [
  { id: "L", type: "local-candidate", candidateType: local },
  { id: "R", type: "remote-candidate", candidateType: remote },
];
const pair = (id, more) => ({ id, type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R", ...more });
const CHOSEN = { id: "T", type: "transport", selectedCandidatePairId: "P" };

test("a way is relayed if either end is a relay", () => {
  for (const [local, remote, way] of [
    ["host", "host", "direct"],
    ["prflx", "srflx", "direct"],
    ["relay", "host", "relayed"],
    ["host", "relay", "relayed"],
  ])
    assert.equal(wayIn(report(CHOSEN, pair("P", {}), ...ends(local, remote))), way, `${local} ${remote}`);
});

test("only the chosen pair counts", () => {
  const other = { id: "Q", type: "candidate-pair", localCandidateId: "X", remoteCandidateId: "R", nominated: true };
  const relay = { id: "X", type: "local-candidate", candidateType: "relay" };
  assert.equal(wayIn(report(other, relay, CHOSEN, pair("P", {}), ...ends("host", "host"))), "direct");
});

test("browsers without statistics of the transport name a successful pair", () => {
  const good = pair("P", { nominated: true, state: "succeeded" });
  assert.equal(
    wayIn(report(pair("Q", { nominated: false, state: "failed" }), good, ...ends("relay", "host"))),
    "relayed",
  );
  assert.equal(wayIn(report(...ends("host", "host"))), null);
  assert.equal(wayIn(report({ id: "T", type: "transport" })), null);
});
