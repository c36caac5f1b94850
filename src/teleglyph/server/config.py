"""What a server can be told."""

from __future__ import annotations

from collections.abc import Callable
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
from teleglyph.wire.acip import Identity

DEFAULT_PORT = 27224
DEFAULT_HTTP_PORT = 27226
DEFAULT_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All settings of one server; every service advertises and enforces its limits from here."""

    addresses: tuple[str, ...] = DEFAULT_ADDRESSES
    port: int = DEFAULT_PORT
    """0 lets the system choose."""
    http_port: int | None = DEFAULT_HTTP_PORT
    """None: no HTTP at all."""
    password: str | None = field(default=None, repr=False)
    identities: tuple[Identity, ...] = ()
    """What the server proves to be; the first is the default."""
    client_keys: KeyList | None = None
    """Who may come in; None asks for no keys.  With a password both must hold."""
    encrypt: bool = True
    """False also lets peers in that do not encrypt."""
    data_dir: Path | None = None
    """Where everything lies that the server keeps; None: nothing is kept."""
    database: str | None = field(default=None, repr=False)
    """A PostgreSQL database by its URL, instead of a file in the directory."""
    connections_per_minute: int = 50
    """New connections allowed from one address (an IPv6 /64 counts as one); 0: any number."""
    connections_per_address: int = 40
    """Connections open at once from one address (an IPv6 /64 counts as one); 0: any number."""
    costs: CostLimits = CostLimits()
    """How much processor time peers may cost."""
    max_load: float = 0.9
    """Part of the event loop's time above which nobody else may join; 1: whatever the load."""
    max_handshakes: int = 128
    """Connections that may be unfinished at once, from everywhere."""
    games: tuple[GameRules, ...] = ()
    """What rooms may be made for; none: no rooms at all."""
    read_games: Callable[[], tuple[GameRules, ...]] | None = None
    """Reads the games again, if they stand in a file."""
    events: EventLimits | None = None
    """What the Nostr relay allows; None: there is none."""
    event_search: bool = True
    event_compression: bool = False
    """Compress events for clients that ask for it."""
    announce: str | None = None
    """Where the call can be joined, for the relay to announce it; None: it does not."""
    relay_key: Path | None = None
    """The Nostr key with which groups are signed; None: in the directory, and without one there are no groups."""
    profile: RelayProfile = RelayProfile()
    """What the Nostr relay says of itself."""
    confined_decoding: bool = True
    """Decode HEVC in confined processes, where the system can confine one; False: in a thread of this process."""
    admin_token: str | None = field(default=None, repr=False)
    """What has to be shown to have lists read again over HTTP; None: nobody may."""
    tls: tuple[Path, Path | None] | None = None
    """Certificate and key of the HTTP port; None: no TLS."""
    relay_urls: tuple[OwnName, ...] = ()
    """What clients call this server when they prove something to it, beside what it finds out by itself."""
    trusted_proxies: tuple[Network, ...] = ()
    """Proxies that are believed when they say for whom they ask."""
    origins: tuple[str, ...] = ()
    """Pages of other servers that may connect, as ``https://host``."""
    relay: RelayLimits = RelayLimits()
    rooms: RoomsLimits = RoomsLimits()
    statistics_interval: float = 30.0
    """Seconds between two looks at the counters."""
    logs_statistics: bool = False
    """Counters are logged for a person to see, not only for debugging."""
    sound: SoundSettings = SoundSettings()
    call: CallLimits = CallLimits()
    connection: ConnectionLimits = ConnectionLimits()
