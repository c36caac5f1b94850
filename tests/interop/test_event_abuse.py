"""Limits for clients of the relay, on real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from conftest import ServerProcess
from nostr_peer import ANN, NostrPeer, make
from teleglyph.events.address_rates import AddressRates
from teleglyph.net import TokenBucket
from terminal import wait_for

StartServer = Callable[..., ServerProcess]


def relay(start_server: StartServer, home: Path, *options: str) -> ServerProcess:
    return start_server("--http-port", "0", "--http", "--events", "--data-dir", str(home), *options)


def authentication(peer: NostrPeer, server: ServerProcess, number: int) -> object:
    key = number.to_bytes(32, "big")
    url = f"ws://127.0.0.1:{server.http_port}/"
    return json.loads(make("", key, 22242, ["relay", url], ["challenge", peer.challenge]).text)


def test_a_connection_authenticates_a_bounded_number_of_keys(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path)
    peer = NostrPeer(server)
    answers = []
    for number in [*range(1, 21), 1]:
        peer.say("AUTH", authentication(peer, server, number))
        answers.append(peer.get()[2:])
    assert [accepted for accepted, _ in answers] == [True] * 16 + [False] * 4 + [True]
    assert answers[16][1].startswith("restricted: at most 16 keys")
    peer.close()


def test_reconnecting_does_not_renew_the_burst_of_events(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path, "--event-rate", "1")
    accepted = []
    for connection in range(20):
        peer = NostrPeer(server)
        for number in range(10):
            event = make(f"{connection} {number}")
            accepted.append(peer.publish(event)[1])
        peer.close()
    assert 0 < sum(accepted) < 60, "one burst of 5 and one a second, not a burst for each connection"


def test_strangers_can_fill_the_relay_but_not_the_disk(start_server: StartServer, tmp_path: Path) -> None:
    server = relay(start_server, tmp_path, "--event-storage", "2", "--event-rate", "0")
    peer = NostrPeer(server)
    stored: list[str] = []

    def publish_until_refused() -> bool:
        for number in range(100):
            event = make(f"{number}" + "x" * 60_000)
            _, accepted, reason = peer.publish(event)
            if not accepted:
                assert reason.startswith("error: the relay is full")
                return True
            stored.append(event.id)
        return False

    wait_for(publish_until_refused, "the relay is full")
    server.wait_for_log(r"The relay is full: \d+ of 2 MiB")
    assert peer.publish(make("", ANN, 20_001))[1], "events that are not stored still pass"
    removal = make("", ANN, 5, *[["e", name] for name in stored])
    assert peer.publish(removal)[1]
    server.wait_for_log("The relay takes events again", 60)
    assert peer.publish(make("room again"))[1]
    peer.close()


def test_the_number_of_remembered_rates_is_bounded() -> None:
    rates = AddressRates(lambda: TokenBucket(1.0, 1.0), max_addresses=3)
    first = rates.of("a")
    assert rates.of("a") is first
    for name in "bcd":
        rates.of(name)
    assert len(rates) == 3
    assert rates.of("a") is not first
