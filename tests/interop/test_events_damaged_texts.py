"""Requests with texts that UTF-8 cannot encode, on real sockets and both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess
from nostr_peer import NostrPeer, make

HALF = "\ud800"
FILTERS: list[dict[str, Any]] = [
    {"search": HALF},
    {"search": f"word {HALF}"},
    {"#t": [HALF]},
    {"#t": ["good", "\udfff"]},
    {"#h": [HALF]},
    {"#d": [HALF]},
    {HALF: ["x"]},
    {"#" + HALF: ["x"]},
    {"ids": [HALF]},
    {"authors": [HALF * 64]},
]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_half_a_surrogate_pair_is_refused_anywhere(
    start_server: Callable[..., ServerProcess], tmp_path: Path, postgresql: str, kind: str
) -> None:
    where = ("--data-dir", str(tmp_path)) if kind == "sqlite" else ("--database", postgresql)
    server = start_server("--http", "--http-port", "0", "--events", *where)
    server.wait_for_log("HTTP on port")
    peer = NostrPeer(server)
    try:
        for wanted in FILTERS:
            for verb in ("REQ", "COUNT"):
                peer.say(verb, "q", {"kinds": [1]} if verb == "COUNT" else wanted, wanted)
                kind, name, text = peer.get()
                assert (kind, name) == ("CLOSED", "q"), wanted
                assert text.startswith(("invalid: ", "unsupported: ")), text
            peer.say("NEG-OPEN", "n", wanted, "61")
            kind, name, text = peer.get()
            assert (kind, name) == ("NEG-ERR", "n"), wanted
            assert text.startswith(("invalid: ", "unsupported: ")), text
        for verb, more, answer in (
            ("REQ", ({},), "CLOSED"),
            ("COUNT", ({},), "CLOSED"),
            ("CLOSE", (), "CLOSED"),
            ("NEG-OPEN", ({}, "61"), "NEG-ERR"),
            ("NEG-MSG", ("61",), "NEG-ERR"),
            ("NEG-CLOSE", (), "NEG-ERR"),
        ):
            peer.say(verb, f"q{HALF}", *more)
            assert peer.get() == [answer, "q?", "invalid: the name has half of a surrogate pair"]
        for text in ("a\u0000b", "\ufdd0", "\U0010ffff"):
            for name, wanted in (("s", {"search": text}), ("t", {"#t": [text]})):
                peer.say("REQ", name, wanted)
                assert peer.get() == ["EOSE", name], wanted
                peer.say("CLOSE", name)
        event = make("good")
        assert peer.publish(event)[1] is True
        assert [one["id"] for one in peer.ask({"search": "good"})] == [event.id]
    finally:
        peer.close()


@pytest.mark.parametrize("verb", [HALF, "REQ" + HALF])
def test_a_verb_with_half_a_pair_gets_a_notice(
    start_server: Callable[..., ServerProcess], tmp_path: Path, verb: str
) -> None:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path))
    server.wait_for_log("HTTP on port")
    peer = NostrPeer(server)
    try:
        peer.say(verb, "q", {})
        assert peer.get()[0] == "NOTICE"
        assert peer.publish(make("x"))[1] is True
    finally:
        peer.close()
