"""What all protocols for port mapping have in common."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from teleglyph.discovery.port_mapping.route import Route, default_route
from teleglyph.errors import GatewayError
from teleglyph.wire.port_mapping import PORT

_T = TypeVar("_T")


@dataclass(frozen=True)
class PortMappingSettings:
    """Times, in seconds, and addresses.  The defaults are those of the specifications; tests change them.

    Attributes:
        lease: how long a mapping is asked for; it is renewed at half of what the router grants.
        min_renewal: the shortest time between two requests for a mapping (RFC 6887, section 11.2.1).
        check_interval: how often the network and the router are checked for changes.
        retry_interval: after how long a network without a usable router is tried again.
        search_timeout: for the search for UPnP routers.
        request_timeout: for one request and its repetitions.
        attempt_timeout: for finding a protocol, and for mapping a port with it, with all requests that this takes.
        close_timeout: for the removal of a mapping.
        pcp_port: UDP port of PCP and NAT-PMP.
        ssdp: where UPnP routers are searched.
        find_route: finds the router.
    """

    lease: int = 3600
    min_renewal: float = 4.0
    check_interval: float = 60.0
    retry_interval: float = 300.0
    search_timeout: float = 3.0
    request_timeout: float = 4.0
    attempt_timeout: float = 15.0
    close_timeout: float = 3.0
    pcp_port: int = PORT
    ssdp: tuple[str, int] = ("239.255.255.250", 1900)
    find_route: Callable[[], Awaitable[Route | None]] = default_route


class Mapped(NamedTuple):
    """A mapping that the router has made.

    Attributes:
        address: the router's external address, public or not.
        port: the port there.
        lease: seconds until the router forgets it; ``inf`` for never.
    """

    address: str
    port: int
    lease: float


class Mapper(Protocol):
    """A router that speaks one of the protocols, and at most one mapping there.

    All methods raise :class:`~teleglyph.errors.GatewayError` if the router refuses, does not answer or sends nonsense.
    """

    @property
    def protocol(self) -> str:
        """The name of the protocol."""

    @property
    def external(self) -> str | None:
        """The router's external address, if it tells that without a mapping."""

    async def map(self, internal_port: int, wanted_port: int) -> Mapped:
        """Make or renew the mapping.

        Args:
            internal_port: our TCP port.
            wanted_port: the external port to ask for; the router may choose another.
        """

    async def is_alive(self) -> bool:
        """Whether the router still has the mapping, as far as it tells."""

    async def unmap(self) -> None:
        """Remove the mapping, also one that was requested without an answer."""

    async def close(self) -> None:
        """Close the sockets."""


Opener = Callable[[Route, PortMappingSettings], Awaitable[Mapper]]
"""Finds out whether a router speaks a protocol.  Raises GatewayError if it does not."""


async def in_time(awaitable: Awaitable[_T], protocol: str, seconds: float) -> _T:
    """The result of an attempt.

    Raises:
        GatewayError: it took more than these seconds.
    """
    try:
        async with asyncio.timeout(seconds):
            return await awaitable
    except TimeoutError:
        raise GatewayError(f"{protocol}: The router took too long to answer.") from None


def is_public(address: str) -> bool:
    """Whether an address is one that others can reach: global and of one machine.

    Routers behind another router report a private address, or one of a provider's NAT (100.64.0.0/10).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast


class NotPublicError(GatewayError):
    """A router's external address is not public, so no mapping there is of any use."""


def check_public(address: str, protocol: str) -> None:
    """Raises NotPublicError if an external address is not public.

    Args:
        address: that a router reported.
        protocol: by which it did.
    """
    if not is_public(address):
        raise NotPublicError(
            f"{protocol}: The router's external address, {address}, is not public: it is itself behind another router "
            "or the NAT of its provider, so nobody can reach a port there."
        )
