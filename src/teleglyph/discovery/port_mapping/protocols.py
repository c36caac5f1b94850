"""The protocols for port mapping, which are tried side by side."""

from __future__ import annotations

from typing import Final

from teleglyph.discovery.port_mapping.mapper import Mapper, Opener, PortMappingSettings
from teleglyph.discovery.port_mapping.pcp import open_pcp_or_nat_pmp
from teleglyph.discovery.port_mapping.route import Route


async def open_upnp(route: Route, settings: PortMappingSettings) -> Mapper:
    """The router as a UPnP device.  The library is loaded when it is needed, because that takes a while.

    Raises:
        GatewayError: it does not speak UPnP, or does not forward ports.
    """
    from teleglyph.discovery.port_mapping import upnp

    return await upnp.open_upnp(route, settings)


OPENERS: Final[dict[str, Opener]] = {"PCP or NAT-PMP": open_pcp_or_nat_pmp, "UPnP": open_upnp}
"""How to find out what a router speaks, by name."""
