"""The server's options for calls; those for storage, HTTP, rooms and events have modules of their own."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from functools import partial

import click

from teleglyph.cli.option_groups import argument, option
from teleglyph.cli.option_types import Number, check_password
from teleglyph.net import CostLimits
from teleglyph.server.config import DEFAULT_ADDRESSES, DEFAULT_PORT


def check_addresses(
    defaults: tuple[str, ...], _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Addresses to listen on, without brackets; ``defaults`` if there are none."""
    addresses = []
    for value in values:
        literal = value.strip("[]")
        try:
            ipaddress.ip_address(literal)
        except ValueError:
            raise click.BadParameter(
                f"'{value}' is not an IPv4 or IPv6 address. Use '0.0.0.0' and '::' for all of this machine's addresses."
            ) from None
        addresses.append(literal)
    return tuple(addresses) or defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """The server's addresses, and its number of participants."""

    addresses: tuple[str, ...] = argument(
        table="network",
        comment="IPv4 and IPv6 addresses to listen on; by default only this machine can connect.",
        nargs=-1,
        callback=partial(check_addresses, DEFAULT_ADDRESSES),
    )
    port: int = option(
        "-p",
        "--port",
        table="network",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="TCP port for everything: calls, chat, games and pages; 0 picks a free one.",
    )
    http_port: int | None = option(
        "--http-port",
        table="network",
        type=click.IntRange(0, 65535),
        default=None,
        help="A second TCP port, for HTTP only: for a proxy, or to keep pages apart from calls; 0 picks a free one.",
    )
    http: bool = option(
        "--http/--no-http",
        table="network",
        default=True,
        show_default=True,
        help="Serve HTTP: status pages (/health, /statistics), rooms, events and calls over WebSocket.",
    )
    page: bool = option(
        "--page/--no-page",
        table="network",
        default=True,
        show_default=True,
        help="Serve the page with which people join from a browser.",
    )
    max_clients: int = option(
        "--max-clients",
        table="network",
        type=click.IntRange(1, 1000),
        default=32,
        show_default=True,
        help="Maximum number of participants.",
    )
    qr: bool | None = option(
        "--qr/--no-qr",
        table="network",
        default=None,
        help="Print a QR code of the link for guests at the start.  [default: if others can join, and the log goes to "
        "a terminal with enough room]",
    )

    def check(self) -> None:
        """Check that these options fit together.

        Raises:
            click.UsageError: they contradict each other.
        """
        if self.http_port is not None and not self.http:
            raise click.UsageError("--http-port needs HTTP. Remove --no-http.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRoomOptions:
    """Which call rooms there may be, beside the lobby and those of the configuration file."""

    rooms: str = option(
        "--rooms",
        table="network",
        type=click.Choice(["open", "closed"], case_sensitive=False),
        default="open",
        show_default=True,
        help="open: participants open a call room by joining it (HOST/ROOM). closed: there are only the lobby and the "
        "call rooms of the configuration file.",
    )
    max_rooms: int = option(
        "--max-rooms",
        table="network",
        type=click.IntRange(1, 1000),
        default=100,
        show_default=True,
        help="Maximum number of call rooms that participants have opened; those of the configuration file do not "
        "count.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AccessOptions:
    """Who may join, and how the server proves its identity."""

    password: str | None = option(
        "--password",
        table="security",
        callback=check_password,
        help="Password that participants need, 8 to 256 bytes. Set TELEGLYPH_PASSWORD instead to keep it out of the "
        "process list.",
    )
    keys: tuple[str, ...] = option(
        "-K",
        "--key",
        table="security",
        multiple=True,
        metavar="FILE",
        help="Private key (OpenSSH, Ed25519) that identifies this server, or gpg:ID. May be repeated: clients choose "
        "the key they expect.  [default: 'identity' in --data-dir, created on first use]",
    )
    client_keys: tuple[str, ...] = option(
        "--client-keys",
        table="security",
        multiple=True,
        metavar="KEYS",
        help="Only admit clients that prove one of these keys: a file with one key per line, a key, github:USER or "
        "gitlab:USER. May be repeated. SIGHUP reloads them. With --password, clients need both.",
    )
    encrypt: bool = option(
        "--encrypt/--no-encrypt",
        table="security",
        default=True,
        show_default=True,
        help="--no-encrypt also admits clients that do not encrypt. Only for tests on one machine.",
    )
    acip: bool = option(
        "--acip/--no-acip",
        table="security",
        default=True,
        show_default=True,
        help="--no-acip refuses ACIP, the protocol of ascii-chat's programs, so that only Teleglyph's own programs and "
        "its page can join.",
    )
    confined_decoding: bool = option(
        "--confined-decoding/--no-confined-decoding",
        table="security",
        default=True,
        show_default=True,
        help="Decode participants' video in confined processes, if the system supports it. --no-confined-decoding "
        "decodes it in the server's own process.",
    )

    def check(self, *, has_protected_rooms: bool) -> None:
        """Check that these options fit together.

        Args:
            has_protected_rooms: a configured call room has a password or a list of keys.

        Raises:
            click.UsageError: they contradict each other.
        """
        if has_protected_rooms and not self.encrypt:
            raise click.UsageError("Call rooms with a password or keys need encryption. Remove --no-encrypt.")
        if self.password is not None and not self.encrypt:
            raise click.UsageError("--password needs encryption. Remove --no-encrypt.")
        if (self.keys or self.client_keys) and not self.encrypt:
            raise click.UsageError("--key and --client-keys need encryption. Remove --no-encrypt.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Limits on what the server does for one address, and for all."""

    connection_rate: int = option(
        "--connection-rate",
        table="network",
        type=click.IntRange(0),
        default=50,
        show_default=True,
        help="Maximum new connections per minute from one address; 0 for no limit.",
    )
    connections_per_address: int = option(
        "--connections-per-address",
        table="network",
        type=click.IntRange(0),
        default=40,
        show_default=True,
        help="Maximum open connections from one address; 0 for no limit.",
    )
    address_load: int = option(
        "--address-load",
        table="network",
        type=click.IntRange(0, 1000),
        default=40,
        show_default=True,
        metavar="PERCENT",
        help="Processor time that the connections of one address may use, in percent of one processor; 0 for no limit.",
    )
    max_load: int = option(
        "--max-load",
        table="network",
        type=click.IntRange(1, 100),
        default=90,
        show_default=True,
        metavar="PERCENT",
        help="Refuse new participants while the server is busier than this, or viewers miss half of their frames; "
        "100 never refuses.",
    )

    @property
    def costs(self) -> CostLimits:
        """Limits on the processor time of one address and of one peer; 0 for no limits."""
        usual = CostLimits()
        share = self.address_load / 100
        return replace(usual, address_share=share, peer_share=usual.peer_share * (share / usual.address_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixOptions:
    """How listeners' sound is encoded."""

    audio_bitrate: int = option(
        "--audio-bitrate",
        table="audio",
        type=click.IntRange(6_000, 256_000),
        default=32_000,
        show_default=True,
        help="Bit rate of each listener's sound, in bits per second.",
    )
    audio_complexity: int = option(
        "--audio-complexity",
        table="audio",
        type=click.IntRange(0, 10),
        default=5,
        show_default=True,
        help="Effort of the audio encoder; more sounds better and uses more CPU time.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsOptions:
    """How often statistics are logged."""

    statistics_interval: float = option(
        "--statistics-interval",
        table="logging",
        type=Number(0.1, 86400),
        default=30.0,
        help="Minimum seconds between two log lines with statistics; an idle server logs none.  "
        "[default: 30, at log level debug]",
    )
