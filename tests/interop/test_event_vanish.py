"""Requests to vanish (NIP-62) on real sockets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess
from nostr_peer import ANN, BOB, NostrPeer, make
from teleglyph.wire.nostr.event import NostrEvent

StartServer = Callable[..., ServerProcess]
Join = Callable[..., NostrPeer]
EVE = bytes([3]) * 32


@pytest.fixture
def start(start_server: StartServer, tmp_path: Path) -> StartServer:
    def started(*options: str) -> ServerProcess:
        server = start_server(
            *("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), "--event-rate", "0"), *options
        )
        server.wait_for_log("HTTP on port")
        return server

    return started


@pytest.fixture
def join() -> Iterator[Join]:
    opened: list[NostrPeer] = []

    def open_peer(*args: Any, **kwargs: Any) -> NostrPeer:
        opened.append(NostrPeer(*args, **kwargs))
        return opened[-1]

    yield open_peer
    for peer in opened:
        peer.close()


def pub(key: bytes) -> str:
    return make("", key).pubkey


def ids(*events: NostrEvent) -> set[str]:
    return {event.id for event in events}


def wait_until_left(peer: NostrPeer, left: set[str], *filters: object) -> None:
    found: set[str] = set()
    for _ in range(100):
        found = {event["id"] for event in peer.ask(*filters)}
        if found == left:
            return
        time.sleep(0.1)
    raise AssertionError((found, left))


def test_all_events_of_an_author_are_deleted_for_good(start: StartServer, join: Join) -> None:
    server = start()
    peer, reader = join(server), join(server)
    now = int(time.time())
    reader.authenticate(server, ANN)
    before = [make("old", ANN, 1, at=now - 50), make("", ANN, 0, at=now - 40), make("", ANN, 5, at=now - 30)]
    wrap, bobs = make("", BOB, 1059, ["p", pub(ANN)], at=now - 9), make("hi", BOB, 1, ["p", pub(ANN)], at=now - 9)
    later = make("later", ANN, 1, at=now + 5)
    for event in (*before, wrap, bobs, later):
        assert peer.publish(event)[1] is True
    request = make("bye", ANN, 62, ["relay", "wss://other.example"], ["relay", "ALL_RELAYS"], at=now)
    assert peer.publish(request) == [request.id, True, ""]
    wait_until_left(reader, ids(request, later, bobs), {"authors": [pub(ANN), pub(BOB)]})
    for event in (*before, make("unseen", ANN, 1, at=now), wrap):
        assert peer.publish(event)[1] is False
        assert peer.publish(event)[2].startswith("blocked: ")
    assert peer.publish(request)[1:] == [True, "duplicate: this event is stored already"]
    peer.publish(make("", ANN, 5, ["e", request.id], at=now + 1))
    assert peer.publish(before[0])[2].startswith("blocked: ")
    assert [event["id"] for event in peer.ask({"kinds": [62]})] == [request.id]
    server.stop(signal.SIGKILL)
    peer = join(start())
    assert peer.publish(before[0])[2].startswith("blocked: ")
    assert peer.publish(make("back again", ANN, 1, at=now + 6))[1] is True


def test_events_sent_right_after_a_request_are_refused(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    now = int(time.time())
    sent: list[tuple[NostrEvent, bool]] = []
    for turn in range(20):
        at = now - 40 + 2 * turn
        request = make("", ANN, 62, ["relay", "ALL_RELAYS"], at=at) if turn < 15 else None
        old = [make(f"{turn} {number}", ANN, 1, at=at if turn < 15 else now - 12) for number in range(3)]
        sent += [(old[0], turn < 15), *([(request, True)] if request else []), (old[1], False), (old[2], False)]
    for event, _ in sent:
        peer.say("EVENT", json.loads(event.text))
    for event, is_accepted in sent:
        answer = peer.get()
        assert answer[:3] == ["OK", event.id, is_accepted], answer
    last = [event for event, _ in sent if event.kind == 62][-1]
    wait_until_left(peer, ids(last), {"authors": [pub(ANN)]})


@pytest.mark.parametrize(
    ("tags", "is_for_us"),
    [
        ([["relay", "ALL_RELAYS"]], True),
        ([["relay", "ws://127.0.0.1:{port}/"]], True),
        ([["relay", "wss://elsewhere.example"], ["relay", "ws://127.0.0.1:{port}"]], True),
        ([["relay", "wss://elsewhere.example"]], False),
        ([["relay", "all_relays"]], False),
        ([["relay", ""]], False),
        ([["relay"]], False),
        ([["r", "ALL_RELAYS"]], False),
        ([], False),
    ],
)
def test_a_request_must_name_this_relay(start: StartServer, join: Join, tags: list[list[str]], is_for_us: bool) -> None:
    server = start()
    peer = join(server)
    old = make("old", ANN, 1, at=int(time.time()) - 5)
    peer.publish(old)
    named = [[value.replace("{port}", str(server.http_port)) for value in tag] for tag in tags]
    request = make("", ANN, 62, *named)
    number, accepted, text = peer.publish(request)
    assert (number, accepted) == (request.id, is_for_us)
    assert is_for_us or text.startswith("invalid: ")
    wait_until_left(peer, ids(request) if is_for_us else ids(old), {"authors": [pub(ANN)]})


def test_requests_of_people_who_may_not_publish_are_honoured(start: StartServer, join: Join) -> None:
    peer = join(start("--event-auth"))
    assert peer.publish(make("x"))[2].startswith("auth-required: ")
    assert peer.publish(make("", ANN, 62, ["relay", "ALL_RELAYS"]))[1] is True


def test_a_vanished_person_leaves_all_groups(start: StartServer, join: Join) -> None:
    server = start()
    ann, bob = join(server), join(server)
    ann.authenticate(server, ANN)
    bob.authenticate(server, BOB)
    now = int(time.time())
    assert bob.publish(make("", BOB, 9007, ["h", "g"], ["private"], ["closed"]))[1] is True
    assert bob.publish(make("", BOB, 9000, ["h", "g"], ["p", pub(ANN), "admin"]))[1] is True
    assert ann.publish(make("", ANN, 9009, ["h", "g"], ["code", "sesame"]))[1] is True
    assert ann.publish(make("in there", ANN, 9, ["h", "g"]))[1] is True
    assert ann.publish(make("", ANN, 62, ["relay", "ALL_RELAYS"], ["h", "g"], at=now + 2))[1] is True
    wait_until_left(bob, set(), {"kinds": [9], "#h": ["g"]})
    for kind in (39001, 39002):
        for _ in range(50):
            (described,) = bob.ask({"kinds": [kind], "#d": ["g"]})
            if ["p", pub(ANN)] not in [tag[:2] for tag in described["tags"]]:
                break
            time.sleep(0.1)
        assert ["p", pub(ANN)] not in [tag[:2] for tag in described["tags"]]
        assert ["p", pub(BOB)] in [tag[:2] for tag in described["tags"]]
    ann.say("REQ", "x", {"#h": ["g"]})
    assert ann.get()[:2] == ["CLOSED", "x"]
    eve = join(server)
    assert eve.publish(make("", EVE, 9021, ["h", "g"], ["code", "sesame"]))[2].startswith("restricted: ")


def test_many_events_are_deleted_even_if_the_server_is_killed(start: StartServer, join: Join) -> None:
    server = start()
    peer = join(server)
    now = int(time.time())
    for number in range(3000):
        peer.say("EVENT", json.loads(make(str(number), ANN, 1, at=now - 1).text))
    for _ in range(3000):
        assert peer.get()[2] is True
    request = make("", ANN, 62, ["relay", "ALL_RELAYS"], at=now)
    assert peer.publish(request)[1] is True
    server.stop(signal.SIGKILL)
    peer = join(start())
    wait_until_left(peer, ids(request), {"authors": [pub(ANN)], "limit": 5000})


def test_an_import_honours_requests_and_lists(tmp_path: Path) -> None:
    def events(verb: str, data: bytes = b"") -> tuple[int, bytes, str]:
        command = [sys.executable, "-m", "teleglyph", "events", verb, "--data-dir", str(tmp_path), "-"]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    old, wrap = make("old", ANN, 1, at=50), make("", BOB, 1059, ["p", pub(ANN)], at=50)
    for_others = make("", BOB, 62, ["relay", "wss://elsewhere.example"], at=100)
    request = make("", ANN, 62, ["relay", "ALL_RELAYS"], at=100)
    late, bobs, after = make("late", ANN, 1, at=60), make("bob's", BOB, 1, at=50), make("after", ANN, 1, at=101)
    lines = b"".join(event.text + b"\n" for event in (old, wrap, for_others, request, late, bobs, after))
    code, _, said = events("import", lines)
    assert (code, "Line 5: blocked: its author asked to vanish" in said) == (1, True), said
    kept = {json.loads(line)["id"] for line in events("export")[1].splitlines()}
    assert kept == ids(for_others, request, bobs, after)
    code, _, said = events("import", old.text + b"\n" + bobs.text)
    assert (code, "Line 1: blocked: " in said, "0 stored, 1 refused" in said) == (1, True, True), said


def test_requests_from_one_address_are_limited(start: StartServer, join: Join) -> None:
    peer = join(start())
    answers = [peer.publish(make("", bytes([9, number]) * 16, 62, ["relay", "ALL_RELAYS"])) for number in range(21)]
    assert [accepted for _, accepted, _ in answers] == [True] * 20 + [False]
    assert answers[-1][2].startswith("rate-limited: ")
