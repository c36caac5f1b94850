"""The front door makes the address that causes TLS handshakes pay for them."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable

import pytest

from teleglyph.net import CostLimits
from teleglyph.net.forwarding import Client
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.front_door import FrontDoor
from teleglyph.server.tls_certificate import ServerTls

STRANGER, FRIEND = "192.0.2.1", "198.51.100.1"


def no_http(_client: Client, _is_secure: bool, _leave: Callable[[], None]) -> asyncio.Protocol | bytes:
    return b""


def door() -> FrontDoor:
    gate = AddressGate(0, 0, CostLimits(), 1000, lambda _network: False)
    for peer in (STRANGER, FRIEND):
        gate.meter(peer)
    tls = ServerTls(None, None)
    tls.load()
    return FrontDoor(gate, (), tls, no_http, None, 1000)


def pauses(door: FrontDoor, peer: str, count: int) -> list[float | None]:
    """The pauses of handshakes that begin at once; None for those that are refused."""
    found: list[float | None] = []
    for _ in range(count):
        entry = door.let_in(peer, is_proxy=False)
        assert entry is not None
        offer = door.tls(Client(peer, is_direct=True), entry)
        assert offer is None or isinstance(offer.context, ssl.SSLContext)
        found.append(None if offer is None else offer.pause)
        entry.leave()
    return found


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens at once, however busy the machine is."""
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)


def test_the_first_handshakes_of_an_address_do_not_wait() -> None:
    it = door()
    assert pauses(it, STRANGER, 1) == pauses(it, FRIEND, 1) == [0.0]


def test_handshakes_that_begin_together_take_turns() -> None:
    it = door()
    waits = [pause for pause in pauses(it, STRANGER, 300) if pause is not None]
    assert len(waits) == 300
    steps = [later - earlier for earlier, later in itertools.pairwise(waits[10:])]
    assert min(steps) > 0.002, "an address gets less than one handshake for each 2 ms"
    assert pauses(it, FRIEND, 1) == [0.0], "nobody else waits"


def test_a_handshake_that_would_wait_too_long_is_refused() -> None:
    it = door()
    waits = pauses(it, STRANGER, 1000)
    assert waits[-1] is None
    assert max(pause for pause in waits if pause is not None) <= 5.0
    assert pauses(it, FRIEND, 1) == [0.0]
