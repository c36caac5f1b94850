"""Server configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from teleglyph.call.limits import CallLimits
from teleglyph.call.sound import SoundSettings
from teleglyph.events.limits import EventLimits, RelayProfile
from teleglyph.keys import KeyList
from teleglyph.net import ConnectionLimits, CostLimits, OwnName
from teleglyph.net.forwarding import Network
from teleglyph.rooms.relay import RelayLimits
from teleglyph.rooms.room import GameRules
from teleglyph.rooms.service import RoomsLimits
from teleglyph.server.by_name_settings import DiscoverySettings
from teleglyph.wire.acip import Identity

DEFAULT_PORT = 27224
DEFAULT_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class CallRoomSettings:
    """A configured call room; what is None is as for the whole server."""

    password: str | None = field(default=None, repr=False)
    client_keys: KeyList | None = None

    @property
    def is_private(self) -> bool:
        """It has a password or a list of keys of its own, so it is not announced."""
        return self.password is not None or self.client_keys is not None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings of one server; every service advertises and enforces its limits from here."""

    addresses: tuple[str, ...] = DEFAULT_ADDRESSES
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    http: bool = True
    """Serve HTTP and everything over it, on the port for calls."""
    http_port: int | None = None
    """A second port, for HTTP only; None for none."""
    lan: bool = True
    """Announce the call on the local network, if others there can connect."""
    page: bool = True
    """Serve the page for browsers, and admit it to calls; needs ``http``."""
    acip: bool = True
    """Also admit peers that speak ACIP, the protocol of ascii-chat's programs."""
    password: str | None = field(default=None, repr=False)
    identities: tuple[Identity, ...] = ()
    """Keys that the server proves; the first is the default."""
    client_keys: KeyList | None = None
    """Clients must have one of these keys; None: no key is needed.  With a password, both are needed."""
    call_rooms: Mapping[str, CallRoomSettings] = field(default_factory=dict)
    """Configured call rooms, by name."""
    read_call_rooms: Callable[[], Mapping[str, CallRoomSettings]] | None = None
    """Reloads them, if they come from a file."""
    new_call_rooms: bool = True
    """Participants may open call rooms that are not configured."""
    max_call_rooms: int = 100
    """Rooms that are not configured and open at once, beside the lobby."""
    encrypt: bool = True
    """False also admits peers that do not encrypt."""
    data_dir: Path | None = None
    """Where the server stores its files; None: it stores nothing."""
    database: str | None = field(default=None, repr=False)
    """URL of a PostgreSQL database to use instead of a file in ``data_dir``."""
    connections_per_minute: int = 50
    """New connections per minute from one address (an IPv6 /64 counts as one); 0: any number."""
    connections_per_address: int = 40
    """Open connections from one address (an IPv6 /64 counts as one); 0: any number."""
    costs: CostLimits = CostLimits()
    """Limits of the processor time that peers may use."""
    max_load: float = 0.9
    """Fraction of the event loop's time above which nobody else may join; 1: no limit."""
    max_handshakes: int = 128
    """Unfinished handshakes at once, from all addresses."""
    games: tuple[GameRules, ...] = ()
    """Games that rooms may be opened for; empty disables rooms."""
    read_games: Callable[[], tuple[GameRules, ...]] | None = None
    """Reloads the games, if they come from a file."""
    events: EventLimits | None = None
    """Limits of the Nostr relay; None disables it."""
    event_search: bool = True
    event_compression: bool = False
    """Compress events for clients that support it."""
    announce: str | None = None
    """Address of the call for the relay's announcements; None: it announces nothing."""
    relay_key: Path | None = None
    """File of the Nostr key that signs groups; None: in ``data_dir``.  Without a key there are no groups."""
    profile: RelayProfile = RelayProfile()
    """The Nostr relay's description of itself."""
    confined_decoding: bool = True
    """Decode HEVC in confined processes, where the system supports that; False: in a thread of this process."""
    admin_token: str | None = field(default=None, repr=False)
    """Authorizes reloading, and reading statistics from elsewhere, over HTTP; None: nobody may."""
    tls: tuple[Path, Path | None] | None = None
    """Certificate and key for TLS; None: a certificate made for the first identity."""
    relay_urls: tuple[OwnName, ...] = ()
    """URLs by which clients know this server, besides those it finds by itself."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies whose forwarding headers are trusted."""
    origins: tuple[str, ...] = ()
    """Origins of other servers' pages that may connect, as ``https://host``."""
    relay: RelayLimits = RelayLimits()
    rooms: RoomsLimits = RoomsLimits()
    statistics_interval: float = 30.0
    """Seconds between two logs of the counters."""
    logs_statistics: bool = False
    """Log the counters on the info level instead of the debug level."""
    discovery: DiscoverySettings | None = None
    """How people find this server by a name; None: they do not."""
    sound: SoundSettings = SoundSettings()
    call: CallLimits = CallLimits()
    connection: ConnectionLimits = ConnectionLimits()
