"""Reconciling events with the relay (NIP-77) on real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nostr_sdk
import pytest

from conftest import ServerProcess
from negentropy_initiator import Initiator, reconcile
from nostr_peer import ANN, BOB, NostrPeer, make
from teleglyph.wire.nostr.event import NostrEvent

Join = Callable[..., NostrPeer]
StartServer = Callable[..., ServerProcess]
EMPTY = "6100000200"
"""A side that has nothing: an empty list of ids for the whole range."""


@pytest.fixture
def relay(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), "--event-rate", "0")
    server.wait_for_log("HTTP on port")
    return server


@pytest.fixture
def join() -> Iterator[Join]:
    opened: list[NostrPeer] = []

    def open_peer(*args: Any, **kwargs: Any) -> NostrPeer:
        opened.append(NostrPeer(*args, **kwargs))
        return opened[-1]

    yield open_peer
    for peer in opened:
        peer.close()


def item(event: NostrEvent) -> tuple[int, bytes]:
    return event.created_at, bytes.fromhex(event.id)


def sync(peer: NostrPeer, wanted: object, own: list[NostrEvent], name: str = "n") -> tuple[set[str], set[str]]:
    """The ids that only we have, and those that only the relay has."""
    initiator, is_open = Initiator([item(event) for event in own]), False

    def respond(message: bytes) -> bytes:
        nonlocal is_open
        peer.say(*(("NEG-MSG", name) if is_open else ("NEG-OPEN", name, wanted)), message.hex())
        is_open = True
        answer = peer.get()
        assert answer[:2] == ["NEG-MSG", name], answer
        return bytes.fromhex(answer[2])

    reconcile(initiator, respond)
    peer.say("NEG-CLOSE", name)
    return {number.hex() for number in initiator.have}, {number.hex() for number in initiator.need}


def ids(*events: NostrEvent) -> set[str]:
    return {event.id for event in events}


def test_both_sides_learn_what_the_other_side_lacks(relay: ServerProcess, join: Join) -> None:
    peer = join(relay)
    events = [make(str(number), ANN, 1, at=1_700_000_000 + number // 3) for number in range(300)]
    for event in events[50:]:
        assert peer.publish(event)[1] is True
    assert sync(peer, {"kinds": [1]}, events[:250]) == (ids(*events[:50]), ids(*events[250:]))
    assert sync(peer, {"kinds": [1], "limit": 9}, []) == (set(), ids(*events[291:]))
    assert sync(peer, {"kinds": [7]}, events[:1]) == (ids(events[0]), set())
    assert sync(peer, {"search": "299"}, []) == (set(), ids(events[299]))


def test_a_sync_finds_the_same_events_as_a_query(relay: ServerProcess, join: Join) -> None:
    ann, bob = join(relay), join(relay)
    ann.authenticate(relay)
    open_event = make("open", ANN, 1)
    direct = make("sealed", BOB, 1059, ["p", make("", ANN).pubkey])
    private = make("", ANN, 9007, ["h", "g"], ["private"])
    within = make("in the group", ANN, 9, ["h", "g"])
    end = int(time.time()) + 4
    ended = make("soon over", ANN, 1, ["expiration", str(end)])
    for event in (ended, open_event, direct, private, within):
        assert ann.publish(event)[1] is True, event
    time.sleep(end + 1.1 - time.time())
    ours = ids(open_event, direct, private, within)
    wanted: dict[str, object] = {"authors": [make("", key).pubkey for key in (ANN, BOB)]}
    assert sync(ann, wanted, []) == (set(), ours)
    assert sync(ann, wanted, [])[1] == {event["id"] for event in ann.ask(wanted)}
    assert sync(bob, wanted, []) == (set(), ids(open_event))
    for refused in ({"kinds": [1059]}, {"#h": ["g"]}):
        bob.say("NEG-OPEN", "x", refused, EMPTY)
        answer = bob.get()
        assert answer[:2] == ["NEG-ERR", "x"]
        assert answer[2].startswith("auth-required: ")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (("NEG-OPEN", "n", {"kinds": "x"}, EMPTY), "invalid: "),
        (("NEG-OPEN", "n", "a" * 64, EMPTY), "invalid: "),
        (("NEG-OPEN", "n", {}, "xyz"), "invalid: "),
        (("NEG-OPEN", "n", {}, "610"), "invalid: "),
        (("NEG-OPEN", "n", {}, "6100000100"), "invalid: "),
        (("NEG-OPEN", "n", {}, ""), "invalid: "),
        (("NEG-OPEN", "n", {}), "invalid: "),
        (("NEG-OPEN", "n"), "invalid: "),
        (("NEG-MSG", "n", EMPTY), "closed: "),
        (("NEG-MSG", "n"), "invalid: "),
        (("NEG-OPEN", "n" * 65, {}, EMPTY), "invalid: "),
    ],
)
def test_an_invalid_sync_ends_with_an_error(
    shared_server: StartServer, join: Join, message: tuple[Any, ...], error: str
) -> None:
    peer = join(shared_server("--event-rate", "0"))
    peer.say(*message)
    answer = peer.get()
    assert answer[:2] == ["NEG-ERR", message[1]]
    assert answer[2].startswith(error), answer
    peer.say("NEG-MSG", "n", EMPTY)
    assert peer.get()[2].startswith("closed: ")
    assert sync(peer, {"kinds": [1]}, []) == (set(), set())


def test_open_syncs_are_limited_and_a_name_can_be_reused(relay: ServerProcess, join: Join) -> None:
    peer = join(relay)
    for name in ("1", "2", "3", "4"):
        peer.say("NEG-OPEN", name, {"kinds": [1]}, EMPTY)
        assert peer.get() == ["NEG-MSG", name, EMPTY]
    time.sleep(1.1)  # more of them would be too many at once
    peer.say("NEG-OPEN", "5", {"kinds": [1]}, EMPTY)
    assert peer.get() == ["NEG-ERR", "5", "blocked: at most 4 syncs may be open at once"]
    peer.say("NEG-CLOSE", "2")
    for name in ("5", "5"):
        peer.say("NEG-OPEN", name, {"kinds": [1]}, EMPTY)
        assert peer.get() == ["NEG-MSG", name, EMPTY]
    peer.say("NEG-MSG", "2", EMPTY)
    assert peer.get()[2].startswith("closed: ")


def test_a_long_exchange_is_throttled_and_not_refused(relay: ServerProcess, join: Join) -> None:
    peer = join(relay)
    peer.say("NEG-OPEN", "n", {"kinds": [1]}, EMPTY)
    assert peer.get() == ["NEG-MSG", "n", EMPTY]
    for _ in range(300):
        peer.say("NEG-MSG", "n", EMPTY)
        assert peer.get() == ["NEG-MSG", "n", EMPTY]


def test_an_unknown_version_is_answered_with_ours(relay: ServerProcess, join: Join) -> None:
    peer = join(relay)
    peer.say("NEG-OPEN", "n", {}, "62")
    assert peer.get() == ["NEG-MSG", "n", "61"]


def test_rust_nostr_reconciles_both_ways(relay: ServerProcess, tmp_path: Path) -> None:
    keys = nostr_sdk.Keys.generate()
    now = int(time.time())

    def made(number: int) -> nostr_sdk.Event:
        builder = nostr_sdk.EventBuilder(nostr_sdk.Kind(1), str(number))
        return builder.custom_created_at(nostr_sdk.Timestamp.from_secs(now - number // 4)).finalize(keys)

    events = [made(number) for number in range(400)]

    async def run() -> None:
        # Its callbacks run in threads of their own, which do not know the loop.
        nostr_sdk.uniffi_set_event_loop(asyncio.get_running_loop())
        url = nostr_sdk.RelayUrl.parse(f"ws://127.0.0.1:{relay.http_port}")
        publisher = nostr_sdk.ClientBuilder().build()
        await publisher.add_relay(url)
        await publisher.connect()
        for event in events[100:]:
            output = await publisher.send_event(event)
            assert len(output.success) == 1, output.failed
        await publisher.shutdown()

        database = await nostr_sdk.NostrLmdb.open(str(tmp_path / "foreign"))
        client = nostr_sdk.ClientBuilder().database(database).build()
        await client.add_relay(url)
        await client.connect()
        for event in events[:300]:
            await database.save_event(event)
        wanted = nostr_sdk.Filter.from_json(json.dumps({"authors": [keys.public_key().to_hex()]}))
        options = nostr_sdk.SyncOptions().direction(nostr_sdk.SyncDirection.BOTH)
        report = (await client.sync(wanted, None, options)).report
        assert {one.to_hex() for one in report.local} == {event.id().to_hex() for event in events[:100]}
        assert {one.to_hex() for one in report.remote} == {event.id().to_hex() for event in events[300:]}
        assert (len(report.sent), len(report.received)) == (100, 100)
        assert not any(report.send_failures.values())
        assert await database.count(wanted) == 400
        again = (await client.sync(wanted, None, options)).report
        assert (again.local, again.remote) == ([], {})
        await client.shutdown()

    asyncio.run(run())
    peer = NostrPeer(relay)
    assert len(peer.ask({"kinds": [1]})) == 400
    peer.close()
