"""How a server is found by a name."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleglyph.discovery.service_trust import CheckIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySettings:
    """Where a server registers, and what it reveals.

    Attributes:
        host: of the discovery service.
        port: of the discovery service.
        check_service: decides about the service's identity; raises a PeerError to refuse it.
        name: the wanted name; empty for the one that this server had before, or a new one.
        exposes_address: people may learn this server's address without a password, a key or an invitation.
        maps_port: ask the router for a port.
    """

    host: str
    port: int
    check_service: CheckIdentity = field(repr=False)
    name: str = ""
    exposes_address: bool = False
    maps_port: bool = True

    @property
    def service(self) -> str:
        """The service, for messages."""
        return f"{self.host}:{self.port}"
