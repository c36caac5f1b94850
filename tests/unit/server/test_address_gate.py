"""Which addresses may connect."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from teleglyph.net import CostLimits
from teleglyph.server.address_gate import AddressGate


def gate(
    per_address: int = 3, per_minute: int = 0, descriptors: int = 1000, guests: tuple[str, ...] = ()
) -> AddressGate:
    return AddressGate(per_address, per_minute, CostLimits(), descriptors, lambda network: network in guests)


def fill(gate: AddressGate, peer: str, maximum: int = 10_000, *, is_proxy: bool = False) -> list[Callable[[], None]]:
    """Connect until refused; return the functions that close the connections."""
    leaving: list[Callable[[], None]] = []
    while len(leaving) < maximum and not isinstance(leave := gate.let_in(peer, is_proxy=is_proxy), str):
        leaving.append(leave)
    return leaving


def test_connections_per_address_are_limited_until_one_closes() -> None:
    it = gate()
    leaving = fill(it, "192.0.2.1")
    assert len(leaving) == len(it) == 3
    assert it.let_in("192.0.2.1") == "it already has 3 connections"
    assert not isinstance(it.let_in("192.0.2.2"), str)
    leaving[0]()
    assert not isinstance(it.let_in("192.0.2.1"), str)
    assert it.refused == {"address": 2}


def test_leaving_twice_counts_once() -> None:
    it = gate()
    leaving = fill(it, "192.0.2.1")
    leaving[0]()
    leaving[0]()
    assert len(fill(it, "192.0.2.1")) == 1


def test_the_addresses_of_a_network_count_as_one() -> None:
    it = gate()
    assert [isinstance(it.let_in(f"2001:db8::{number}"), str) for number in range(4)] == [False, False, False, True]


def test_a_proxy_may_have_any_number() -> None:
    assert len(fill(gate(), "192.0.2.1", 100, is_proxy=True)) == 100


def test_a_rate_counts_whole_connections() -> None:
    it = gate(per_address=0, per_minute=2)
    assert [it.refuse("192.0.2.1") for _ in range(3)] == [None, None, "more than 2 connections per minute"]
    assert it.refused == {"rate": 1}


def test_a_counted_connection_does_not_block_itself() -> None:
    it = gate(per_address=1)
    it.enter("192.0.2.1")
    assert it.refuse("192.0.2.1", is_counted=True) is None
    assert it.refuse("192.0.2.1") == "it already has 1 connections"


def test_descriptors_are_kept_for_people_in_calls_and_for_this_machine() -> None:
    it = gate(per_address=0, descriptors=300, guests=("192.0.2.9",))
    with contextlib.ExitStack() as stack:
        for peer, places in [("192.0.2.1", 172), ("192.0.2.9", 48), ("127.0.0.1", 16), ("::1", 0)]:
            leaving = fill(it, peer)
            assert len(leaving) == places, peer
            for leave in leaving:
                stack.callback(leave)
            assert it.let_in("192.0.2.1") == f"{len(it)} connections are open"
        assert len(it) == 300 - 64
    assert len(it) == 0


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1"])
def test_a_costly_address_is_refused_by_every_route(peer: str) -> None:
    it = AddressGate(0, 0, CostLimits(peer_share=0.1, peer_burst=0.1, max_overuse=1.0, busy=0.0), 1000, lambda _: False)
    it.meter("192.0.2.200")
    meter = it.meter(peer)
    assert meter is not None
    now = time.monotonic()
    meter.charge(100.0, now)
    assert meter.is_exhausted(now + 2.0)
    costly = "its connections used too much processor time"
    assert it.refuse(peer) == it.refuse(peer, is_counted=True) == it.let_in(peer, is_proxy=True) == costly
