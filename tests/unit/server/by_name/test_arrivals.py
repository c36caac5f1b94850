"""Guests who come through data channels, without a server."""

from __future__ import annotations

import asyncio
import os
import socket
import types
from collections.abc import Callable
from typing import Any, cast

import pytest

from data_channels import receive, send
from teleglyph.net import CostLimits, Listener, network_of
from teleglyph.net.data_channel import DataChannelOffer
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.by_name.arrivals import Arrivals
from teleglyph.server.call_admission import CallAdmission


class FakeListener:
    """Takes one socket."""

    def __init__(self) -> None:
        self.adopted: asyncio.Future[tuple[socket.socket, str]] = asyncio.get_running_loop().create_future()

    def adopt(self, sock: socket.socket, peer: str, _: Callable[[bytes], Any] | None) -> None:
        self.adopted.set_result((sock, peer))


def test_what_a_guests_packets_cost_is_charged_to_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        gate = AddressGate(0, 0, CostLimits(), 1000, lambda network: False)
        charged: dict[str, float] = {}

        def charge(network: str, seconds: float, _: float) -> float:
            charged[network] = charged.get(network, 0.0) + seconds
            return 0.0

        monkeypatch.setattr(gate.costs, "charge", charge)
        listener = FakeListener()
        calls = cast(CallAdmission, types.SimpleNamespace(gate=gate, page=None))
        arrivals = Arrivals(cast(Listener, listener), calls)
        offer = DataChannelOffer()
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(arrivals.answer(await offer.create(), (), answered.set_result))
        await offer.accept(await answered)
        joiner = await offer.open()
        host, peer = await listener.adopted
        charged.clear()
        data = os.urandom(100_000)
        received, _ = await asyncio.gather(receive(host, len(data)), send(joiner, data))
        assert received == data
        assert list(charged) == [network_of(peer)]
        assert charged[network_of(peer)] > 0
        joiner.close()
        host.close()
        await asyncio.gather(offer.close(), serving)

    asyncio.run(main())
