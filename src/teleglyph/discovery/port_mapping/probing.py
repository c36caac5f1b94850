"""What a router offers, for a diagnosis: nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from teleglyph.discovery.port_mapping.mapper import (
    NotPublicError,
    Opener,
    PortMappingSettings,
    check_public,
    in_time,
    is_public,
)
from teleglyph.discovery.port_mapping.protocols import OPENERS
from teleglyph.discovery.port_mapping.route import Route
from teleglyph.errors import GatewayError


@dataclass(frozen=True)
class ProtocolReport:
    """What one protocol offers.

    Attributes:
        protocol: ``UPnP``, ``PCP``, ``NAT-PMP``, or ``PCP or NAT-PMP`` if the router speaks neither.
        works: the router speaks it; with a port to try, it also mapped the port.
        external: the external address that it reported.
        detail: a sentence for people.
    """

    protocol: str
    works: bool
    external: str | None
    detail: str


@dataclass(frozen=True)
class RouterReport:
    """The router and what it offers.

    Attributes:
        route: the way to it; None if there is no router.
        protocols: in a fixed order.
    """

    route: Route | None
    protocols: tuple[ProtocolReport, ...] = ()

    @property
    def works(self) -> bool:
        """Whether a port can be mapped, as far as the router tells, with a public external address."""
        return any(report.works and (not report.external or is_public(report.external)) for report in self.protocols)


async def probe(port: int | None = None, *, settings: PortMappingSettings | None = None) -> RouterReport:
    """Find out what the router offers, usually within 10 s.  Never raises because of the network.

    Args:
        port: a TCP port of ours that is mapped and removed again; None only asks.
        settings: times and addresses.
    """
    settings = settings or PortMappingSettings()
    route = await settings.find_route()
    if route is None:
        return RouterReport(None)
    # With one table for all protocols, a mapping of one could remove that of the other.
    one_at_a_time = asyncio.Lock()
    reports = await asyncio.gather(
        *(_protocol_report(name, opener, route, settings, port, one_at_a_time) for name, opener in OPENERS.items())
    )
    return RouterReport(route, tuple(reports))


async def _protocol_report(
    name: str, opener: Opener, route: Route, settings: PortMappingSettings, port: int | None, lock: asyncio.Lock
) -> ProtocolReport:
    try:
        mapper = await in_time(opener(route, settings), name, settings.attempt_timeout)
    except GatewayError as error:
        return ProtocolReport(name, False, None, str(error))
    external, detail = mapper.external, f"The router speaks {mapper.protocol}."
    try:
        if port is not None:
            async with lock:
                try:
                    mapped = await in_time(mapper.map(port, port), mapper.protocol, settings.attempt_timeout)
                finally:
                    with contextlib.suppress(GatewayError):
                        await in_time(mapper.unmap(), mapper.protocol, settings.close_timeout)
            external = mapped.address
            detail = f"The router mapped its port {mapped.port} by {mapper.protocol}, and removed it again."
        if external is not None:
            check_public(external, mapper.protocol)
    except NotPublicError as error:
        return ProtocolReport(mapper.protocol, True, external, str(error))
    except GatewayError as error:
        return ProtocolReport(mapper.protocol, False, external, str(error))
    finally:
        await mapper.close()
    return ProtocolReport(mapper.protocol, True, external, detail)
