"""Tells the kind of a NAT by asking a STUN server from different sides (RFC 5780, sections 4.3 and 4.4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Final

from teleglyph.discovery.stun.client import MAX_SERVERS, StunReply, StunSocket, open_stun_socket
from teleglyph.discovery.stun.servers import StunServer, resolve
from teleglyph.wire.stun import MessageClass, StunAddress

DEFAULT_TIMEOUT: Final = 2.0
"""Seconds for which each response is awaited; at most seven are, one after the other, for the first server."""

SocketOpener = Callable[[StunAddress], AbstractAsyncContextManager[StunSocket]]
"""How sockets are opened."""


class Behaviour(Enum):
    """What a NAT's choice of a port, or its decision to let a packet in, depends on.

    The words are those of RFC 4787.
    """

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address- and port-dependent"
    NOT_PORT_DEPENDENT = "endpoint-independent or address-dependent"
    """As much as a server with one address can tell."""
    UNKNOWN = "unknown"


class NatKind(Enum):
    """What is between us and the Internet, from open to closed."""

    OPEN = "open"
    """No NAT, and no firewall that matters."""
    FULL_CONE = "full cone"
    """One port for all destinations, and everybody may send to it."""
    RESTRICTED = "restricted cone"
    """One port for all destinations; addresses to which we have sent may answer."""
    PORT_RESTRICTED = "port-restricted cone"
    """One port for all destinations; only exactly the port to which we have sent may answer."""
    CONE = "cone"
    """One port for all destinations; who may send to it could not be found out."""
    SYMMETRIC = "symmetric"
    """Another port for each destination."""
    BLOCKED = "blocked"
    """No answer to any UDP packet."""
    UNKNOWN = "unknown"
    """There is a NAT, but the server could not find out more."""


@dataclass(frozen=True)
class NatReport:
    """What could be found out.

    Attributes:
        kind: the verdict.
        mapping: what the public port depends on.
        filtering: what the decision to let a packet in depends on.
        public: our public address and port, as the server saw them.
        local: our own address and port.
        server: the server that answered.
    """

    kind: NatKind
    mapping: Behaviour = Behaviour.UNKNOWN
    filtering: Behaviour = Behaviour.UNKNOWN
    public: StunAddress | None = None
    local: StunAddress | None = None
    server: StunAddress | None = None

    @property
    def has_nat(self) -> bool:
        """Whether our address is changed on the way."""
        return self.public != self.local


async def nat_kind(server: StunServer, *, timeout: float = DEFAULT_TIMEOUT) -> NatKind:
    """The kind of our NAT, as far as one server can tell.

    Args:
        server: best one with two addresses (RFC 5780).
        timeout: seconds for which each response is awaited.
    """
    return (await examine_nat([server], timeout=timeout)).kind


async def examine_nat(
    servers: Sequence[StunServer], *, timeout: float = DEFAULT_TIMEOUT, open_socket: SocketOpener = open_stun_socket
) -> NatReport:
    """Find out how our NAT behaves.  Never raises because of the network.

    A server with two addresses and two ports tells everything.  Two servers with one address each still tell a cone
    from a symmetric NAT.

    Args:
        servers: the first one that answers is used, the others only for what it cannot tell.
        timeout: seconds for which each response is awaited.
        open_socket: opens sockets; tests put a NAT in between.
    """
    found = [await resolve(server, timeout) for server in servers[:MAX_SERVERS]]
    addresses = [address for address in found if address is not None]
    for number, server in enumerate(addresses):
        try:
            report = await _Examination(server, addresses[number + 1 :], timeout, open_socket).run()
        except OSError:
            continue
        if report is not None:
            return report
    return NatReport(NatKind.BLOCKED)


class _Examination:
    """The tests with one server."""

    def __init__(
        self, server: StunAddress, others: Sequence[StunAddress], timeout: float, open_socket: SocketOpener
    ) -> None:
        self._server, self._others = server, others
        self._timeout, self._open_socket = timeout, open_socket

    async def run(self) -> NatReport | None:
        """The report; None if the server does not answer."""
        async with self._open_socket(self._server) as stun_socket:
            reply = await stun_socket.request(self._server, self._timeout)
            if reply is None or reply.message.mapped_address is None:
                return None
            public, local = reply.message.mapped_address, stun_socket.address_towards(self._server)
            alternate = self._usable(reply.message.other_address)
            if public == local:
                mapping = Behaviour.ENDPOINT_INDEPENDENT
            else:
                mapping = await self._mapping(stun_socket, public, alternate)
        # A new socket: the NAT may already let the alternate address in to the first one.
        filtering = await self._filtering(alternate) if alternate else Behaviour.UNKNOWN
        kind = _kind_of(public != local, mapping, filtering)
        return NatReport(kind, mapping, filtering, public, local, self._server)

    def _usable(self, other: StunAddress | None) -> StunAddress | None:
        """A server's other address, unless it is none, or would make us send packets into our own network."""
        if other is None or other.port in (0, self._server.port):
            return None
        theirs, ours = ipaddress.ip_address(other.host), ipaddress.ip_address(self._server.host)
        if theirs.version != ours.version or theirs.is_multicast or theirs.is_unspecified:
            return None
        return other if theirs == ours or theirs.is_global == ours.is_global else None

    async def _mapping(self, stun_socket: StunSocket, public: StunAddress, alternate: StunAddress | None) -> Behaviour:
        second = None
        if alternate and alternate.host != self._server.host:
            second = await self._seen_by(stun_socket, alternate._replace(port=self._server.port))
            if second and second != public:
                third = await self._seen_by(stun_socket, alternate)
                if third is None:
                    return Behaviour.UNKNOWN
                return Behaviour.ADDRESS_DEPENDENT if third == second else Behaviour.ADDRESS_AND_PORT_DEPENDENT
        if second is None:
            second = await self._seen_by_others(stun_socket)
        if second == public:
            return Behaviour.ENDPOINT_INDEPENDENT
        port_alone = await self._seen_by(stun_socket, self._server._replace(port=alternate.port)) if alternate else None
        if port_alone is not None and port_alone != public:
            return Behaviour.ADDRESS_AND_PORT_DEPENDENT
        if second is not None:
            return Behaviour.ADDRESS_DEPENDENT
        return Behaviour.NOT_PORT_DEPENDENT if port_alone else Behaviour.UNKNOWN

    async def _seen_by(self, stun_socket: StunSocket, server: StunAddress) -> StunAddress | None:
        reply = await stun_socket.request(server, self._timeout)
        return reply.message.mapped_address if reply else None

    async def _seen_by_others(self, stun_socket: StunSocket) -> StunAddress | None:
        """Our address as another server sees it."""
        for other in self._others:
            is_same_family = (":" in other.host) == (":" in self._server.host)
            if other.host != self._server.host and is_same_family and (seen := await self._seen_by(stun_socket, other)):
                return seen
        return None

    async def _filtering(self, alternate: StunAddress) -> Behaviour:
        async with self._open_socket(self._server) as stun_socket:
            if await stun_socket.request(self._server, self._timeout) is None:
                return Behaviour.UNKNOWN
            has_two_addresses = alternate.host != self._server.host
            if has_two_addresses:
                reply = await stun_socket.request(self._server, self._timeout, change_address=True, change_port=True)
                if _came_from(reply, alternate):
                    return Behaviour.ENDPOINT_INDEPENDENT
                if reply is not None:
                    return Behaviour.UNKNOWN
            reply = await stun_socket.request(self._server, self._timeout, change_port=True)
            if _came_from(reply, self._server._replace(port=alternate.port)):
                return Behaviour.ADDRESS_DEPENDENT if has_two_addresses else Behaviour.NOT_PORT_DEPENDENT
            if reply is not None:
                return Behaviour.UNKNOWN
            # Silence proves a filter only if the server is still there.
            still_there = await stun_socket.request(self._server, self._timeout)
            return Behaviour.ADDRESS_AND_PORT_DEPENDENT if still_there else Behaviour.UNKNOWN


def _came_from(reply: StunReply | None, source: StunAddress) -> bool:
    """Whether the server did what was asked.  Some ignore CHANGE-REQUEST, others refuse it."""
    return reply is not None and reply.message.kind == MessageClass.SUCCESS and reply.source == source


def _kind_of(has_nat: bool, mapping: Behaviour, filtering: Behaviour) -> NatKind:
    if mapping in (Behaviour.ADDRESS_DEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT):
        return NatKind.SYMMETRIC
    if mapping == Behaviour.UNKNOWN:
        return NatKind.UNKNOWN
    if filtering == Behaviour.ADDRESS_AND_PORT_DEPENDENT:
        return NatKind.PORT_RESTRICTED
    if filtering == Behaviour.ADDRESS_DEPENDENT:
        return NatKind.RESTRICTED
    if not has_nat:
        return NatKind.OPEN
    if filtering == Behaviour.NOT_PORT_DEPENDENT:
        return NatKind.RESTRICTED
    return NatKind.FULL_CONE if filtering == Behaviour.ENDPOINT_INDEPENDENT else NatKind.CONE
