"""Configuration of a discovery service."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.net import ConnectionLimits, CostLimits, OutboxLimits, OwnName
from teleglyph.net.addresses import ALL_ADDRESSES, SERVICE_PORT
from teleglyph.net.forwarding import Network
from teleglyph.wire.acip import Identity

DISCOVERY_DATABASE_FILE = "discovery.sqlite3"
DISCOVERY_IDENTITY_FILE = "discovery_identity"


@dataclass(frozen=True, slots=True)
class DiscoveryTimeouts:
    """How long the service waits for a client, in seconds."""

    handshake: float = 5.0
    ping_after: float = 20.0
    """Silence over WebSocket after which a ping is sent; over TCP clients send their own."""
    silence_timeout: float = 60.0
    """Silence after which a client counts as gone."""
    stall_timeout: float = 30.0
    """Time without accepting bytes after which a client counts as no longer reading."""


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """All settings of one discovery service."""

    addresses: tuple[str, ...] = ALL_ADDRESSES
    port: int = SERVICE_PORT
    """0 lets the system choose."""
    websocket_port: int | None = None
    """A second port, for HTTP and WebSocket only; None for none."""
    stun_port: int | None = None
    """UDP port of a STUN server, which also uses the next one; None for none."""
    page: bool = True
    """Serve the page for browsers."""
    identities: tuple[Identity, ...] = ()
    """Keys that the service proves; the first is the default."""
    tls: tuple[Path, Path | None] | None = None
    """Certificate and key for TLS; None: a certificate made for the first identity."""
    data_dir: Path | None = None
    """Where the service stores its files."""
    database: str | None = field(default=None, repr=False)
    """URL of a PostgreSQL database to use instead of a file in ``data_dir``."""
    service: ServiceSettings = ServiceSettings()
    allow_plaintext: bool = False
    """Also serve ascii-chat's programs, which do not encrypt."""
    connections_per_minute: int = 50
    """New connections per minute from one address (an IPv6 /64 counts as one); 0: any number."""
    connections_per_address: int = 40
    """Open connections from one address (an IPv6 /64 counts as one); 0: any number."""
    costs: CostLimits = CostLimits()
    max_handshakes: int = 128
    """Connections at once, from all addresses, that have not finished their first step."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies whose forwarding headers are trusted."""
    admin_token: str | None = field(default=None, repr=False)
    """Authorizes reading figures from elsewhere."""
    statistics_interval: float = 30.0
    """Seconds between two logs of the counters."""
    logs_statistics: bool = False
    """Log the counters on the info level instead of the debug level."""
    timeouts: DiscoveryTimeouts = DiscoveryTimeouts()
    connection: ConnectionLimits = ConnectionLimits(
        packets_per_second=50.0,
        packet_burst=200.0,
        bytes_per_second=256 << 10,
        byte_burst=512 << 10,
        receive_buffer=128 << 10,
        outbox=OutboxLimits(control_bytes=1 << 20),
    )

    @property
    def origins(self) -> tuple[str, ...]:
        """Only the service's own page may connect."""
        return ()

    @property
    def relay_urls(self) -> tuple[OwnName, ...]:
        """It runs no Nostr relay."""
        return ()

    @property
    def announce(self) -> None:
        """It announces no call."""
        return None
