"""The page's keys, signatures and events are those of libsecp256k1 and of the relay's own code."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import coincurve

from teleglyph.wire.nostr.event import event_id, read_event

SCRIPT = Path(__file__).parents[2] / "web" / "chat_signatures.js"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
EDGES = [number.to_bytes(32) for number in (1, 2, 3, ORDER // 2, ORDER // 2 + 1, ORDER - 2, ORDER - 1, 1 << 255)]
ALPHABETS = [
    [chr(code) for code in range(0x20)],
    list("\"\\/<>&'\x7f\x80\x9f\xa0\u2028\u2029\ufeff\ufffe\uffff"),
    list("aZ 09äßçłאبहि中한😀👩\U0010ffff\ue000"),
]


def sign_with_the_page(crypto: list[dict[str, str]], events: list[dict[str, Any]]) -> dict[str, Any]:
    text = json.dumps({"crypto": crypto, "events": events})
    done = subprocess.run(["node", SCRIPT], input=text, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_keys_and_signatures_are_those_of_libsecp256k1() -> None:
    rng = random.Random(340)
    secrets = EDGES + [rng.randrange(1, ORDER).to_bytes(32) for _ in range(300)]
    cases = [(secret, rng.randbytes(32), rng.randbytes(32)) for secret in secrets]
    names = ("secret", "message", "randomness")
    results = sign_with_the_page([dict(zip(names, map(bytes.hex, case), strict=True)) for case in cases], [])["crypto"]
    for (secret, message, randomness), result in zip(cases, results, strict=True):
        private = coincurve.PrivateKey(secret)
        assert result["key"] == private.public_key_xonly.format().hex()
        assert result["signature"] == private.sign_schnorr(message, randomness).hex()


def test_events_are_those_of_the_relay() -> None:
    rng = random.Random(1)

    def text() -> str:
        alphabet = rng.choice([*ALPHABETS, [letter for alphabet in ALPHABETS for letter in alphabet]])
        return "".join(rng.choices(alphabet, k=rng.randrange(40)))

    drafts: list[dict[str, Any]] = [
        {
            "kind": rng.randrange(1 << 16),
            "created_at": rng.choice([0, 1_700_000_000, 2**53 - 1]),
            "tags": [[text() for _ in range(rng.randrange(1, 4))] for _ in range(rng.randrange(4))],
            "content": text(),
        }
        for _ in range(200)
    ]
    drafts.append({"kind": 9, "created_at": 1, "tags": [], "content": "".join(map(chr, range(0xD800)))})
    events = sign_with_the_page([], [{"secret": rng.randbytes(32).hex(), "draft": draft} for draft in drafts])["events"]
    for draft, members in zip(drafts, events, strict=True):
        event = read_event(members)
        event.check_proof()
        assert event.id == event_id(event.pubkey, draft["created_at"], draft["kind"], draft["tags"], draft["content"])
