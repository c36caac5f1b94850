"""A NAT made of UDP sockets: requests leave from a port of the NAT's own address, and answers are filtered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from teleglyph.discovery.stun import StunSocket
from teleglyph.wire.stun import StunAddress

INSIDE = ("192.168.7.2", 50000)
OUTSIDE = "127.0.0.9"


@dataclass(eq=False)
class SimulatedNat:
    """A NAT between its clients and real sockets on loopback.

    Attributes:
        mapping: what the port on the outside depends on: "endpoint" (nothing), "address" or "port".
        filtering: from where packets come in: "endpoint" (anywhere), "address" or "port" to which some were sent.
        is_blocked: nothing leaves.
        sent: the destinations of all packets.
    """

    mapping: str = "endpoint"
    filtering: str = "endpoint"
    is_blocked: bool = False
    sent: list[tuple[str, int]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def open_socket(self, server: StunAddress) -> AsyncIterator[StunSocket]:
        """A client's socket inside."""
        assert ":" not in server.host
        client = StunSocket()
        transport = _InsideTransport(self, client)
        client.connection_made(transport)
        try:
            yield client
        finally:
            client.close()

    def depends_on(self, behaviour: str, destination: tuple[str, int]) -> object:
        """The part of a destination that a behaviour looks at."""
        return {"endpoint": None, "address": destination[0], "port": destination}[behaviour]


class _InsideTransport(asyncio.DatagramTransport):
    def __init__(self, nat: SimulatedNat, client: StunSocket) -> None:
        super().__init__({"sockname": INSIDE})
        self._nat, self._client = nat, client
        self._mapped: dict[object, socket.socket] = {}
        self._allowed: dict[socket.socket, set[object]] = {}

    def sendto(self, data: Any, addr: Any = None) -> None:
        nat = self._nat
        destination = (str(addr[0]), int(addr[1]))
        nat.sent.append(destination)
        if nat.is_blocked:
            return
        key = nat.depends_on(nat.mapping, destination)
        if key not in self._mapped:
            self._mapped[key] = self._open()
        outside = self._mapped[key]
        self._allowed[outside].add(nat.depends_on(nat.filtering, destination))
        outside.sendto(data, destination)

    def close(self) -> None:
        for outside in self._allowed:
            asyncio.get_running_loop().remove_reader(outside)
            outside.close()

    def _open(self) -> socket.socket:
        outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outside.bind((OUTSIDE, 0))
        outside.setblocking(False)
        self._allowed[outside] = set()
        asyncio.get_running_loop().add_reader(outside, self._receive, outside)
        return outside

    def _receive(self, outside: socket.socket) -> None:
        data, source = outside.recvfrom(2048)
        if self._nat.depends_on(self._nat.filtering, source) in self._allowed[outside]:
            self._client.datagram_received(data, source)
