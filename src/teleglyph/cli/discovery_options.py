"""The options of ``teleglyph discovery-service``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from teleglyph import directories
from teleglyph.cli.option_groups import argument, option
from teleglyph.cli.option_types import check_database
from teleglyph.cli.server_options import check_addresses
from teleglyph.discovery.service.ice import IceSettings
from teleglyph.errors import ConfigurationError, reason_of
from teleglyph.net.addresses import ALL_ADDRESSES, SERVICE_PORT
from teleglyph.text_file import decode_text

_MAX_SERVERS = 4
_MAX_URL = 255
_MAX_SECRET_FILE = 4096
_MAX_LOGIN = 255


def _parse_servers(
    scheme: str, _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """URLs from a list with commas or a repeated option."""
    urls = [url.strip() for value in values for url in value.split(",") if url.strip()]
    for url in urls:
        if not re.fullmatch(rf"{scheme}s?:[!-~]+", url):
            raise click.BadParameter(f"'{url}' is not the URL of a server. Write {scheme}:HOST or {scheme}:HOST:PORT.")
        if len(url) > _MAX_URL:
            raise click.BadParameter(f"'{url[:40]}...' has {len(url)} characters (at most {_MAX_URL}).")
    if len(urls) > _MAX_SERVERS:
        raise click.BadParameter(f"{len(urls)} servers are too many (at most {_MAX_SERVERS}).")
    return tuple(urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryListenOptions:
    """Where the service listens."""

    addresses: tuple[str, ...] = argument(
        table="network",
        comment="IPv4 and IPv6 addresses to listen on.",
        nargs=-1,
        callback=partial(check_addresses, ALL_ADDRESSES),
    )
    port: int = option(
        "-p",
        "--port",
        type=click.IntRange(0, 65535),
        default=SERVICE_PORT,
        show_default=True,
        help="TCP port for everything: hosts, clients, WebSockets and the page; 0 picks a free one.",
    )
    websocket_port: int | None = option(
        "--websocket-port",
        type=click.IntRange(0, 65535),
        default=None,
        help="A second TCP port, for WebSockets and pages only; ascii-chat's programs use 27227.  [default: none, "
        "because --port takes them too]",
    )
    page: bool = option(
        "--page/--no-page",
        default=True,
        show_default=True,
        help="Serve the page with which people join calls from a browser.",
    )
    connection_rate: int = option(
        "--connection-rate",
        type=click.IntRange(0),
        default=50,
        show_default=True,
        help="Maximum new connections per minute from one address; 0 for no limit.",
    )
    connections_per_address: int = option(
        "--connections-per-address",
        type=click.IntRange(0),
        default=40,
        show_default=True,
        help="Maximum open connections from one address; 0 for no limit.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryAccessOptions:
    """Who may use the service, and how it proves its identity."""

    keys: tuple[str, ...] = option(
        "-K",
        "--key",
        multiple=True,
        metavar="FILE",
        help="Private key (OpenSSH, Ed25519) that identifies this service, or gpg:ID.  [default: 'discovery_identity' "
        "in --data-dir, created on first use]",
    )
    allow_plaintext: bool = option(
        "--allow-plaintext",
        is_flag=True,
        help="Also serve ascii-chat's own programs, which do not encrypt: anybody on the way can read names and "
        "passwords of their sessions.",
    )
    requires_server_identity: bool = option(
        "--require-server-identity",
        is_flag=True,
        help="Refuse hosts that do not prove a key. Teleglyph's always do.",
    )
    requires_client_identity: bool = option(
        "--require-client-identity",
        is_flag=True,
        help="Refuse clients that do not prove a key.",
    )
    max_sessions: int = option(
        "--max-sessions",
        type=click.IntRange(1, 10_000_000),
        default=100_000,
        show_default=True,
        help="Maximum number of sessions.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DiscoveryStorageOptions:
    """Where the service stores its data."""

    data_dir: Path | None = option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory where the service stores its identity and sessions.  [default: "
        "~/.local/share/teleglyph-discovery]",
    )
    database: str | None = option(
        "--database",
        metavar="URL",
        callback=check_database,
        help="Store sessions in this PostgreSQL database (postgresql://user@host/name) instead of a file in "
        "--data-dir.",
    )

    @property
    def directory(self) -> Path:
        """The data directory.

        Raises:
            ConfigurationError: there is no default one.
        """
        if self.data_dir is not None:
            return self.data_dir
        try:
            return directories.data() / "teleglyph-discovery"
        except RuntimeError:
            raise ConfigurationError(
                "There is no home directory to store data in. Choose a directory with --data-dir."
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IceOptions:
    """The STUN and TURN servers that hosts get."""

    stun_port: int | None = option(
        "--stun-port",
        type=click.IntRange(0, 65534),
        default=None,
        help="Also run a small STUN server on this UDP port and the next one; the usual one is 3478. Name it to hosts "
        "with --stun-servers.  [default: none]",
    )
    stun_servers: tuple[str, ...] = option(
        "--stun-servers",
        multiple=True,
        metavar="URLS",
        callback=partial(_parse_servers, "stun"),
        help="STUN servers for hosts, such as stun:stun.example.org:3478; separated by commas, at most 4.",
    )
    turn_servers: tuple[str, ...] = option(
        "--turn-servers",
        multiple=True,
        metavar="URLS",
        callback=partial(_parse_servers, "turn"),
        help="TURN servers for hosts, such as turn:turn.example.org:3478; separated by commas, at most 4.",
    )
    turn_username: str = option("--turn-username", default="", help="User name for the TURN servers.")
    turn_credential: str = option(
        "--turn-credential",
        default="",
        help="Password for the TURN servers. Set TELEGLYPH_TURN_CREDENTIAL instead to keep it out of the process list.",
    )
    turn_secret: str = option(
        "--turn-secret",
        default="",
        help="Secret of the TURN servers (coturn: use-auth-secret): each host gets credentials for a day. Set "
        "TELEGLYPH_TURN_SECRET instead to keep it out of the process list.",
    )
    turn_secret_file: Path | None = option(
        "--turn-secret-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File with that secret.",
    )

    def check(self) -> None:
        """Check that these options fit together.

        Raises:
            click.UsageError: they contradict each other.
        """
        has_secret = bool(self.turn_secret) or self.turn_secret_file is not None
        if self.turn_secret and self.turn_secret_file is not None:
            raise click.UsageError("--turn-secret and --turn-secret-file exclude each other. Remove one of them.")
        if has_secret and (self.turn_username or self.turn_credential):
            raise click.UsageError("--turn-secret makes user names and passwords. Remove --turn-username.")
        if bool(self.turn_username) != bool(self.turn_credential):
            raise click.UsageError("--turn-username and --turn-credential belong together. Add the other one.")
        if (has_secret or self.turn_username) and not self.turn_servers:
            raise click.UsageError("There is a login for TURN, but no TURN server. Add --turn-servers.")
        if self.turn_servers and not has_secret and not self.turn_username:
            raise click.UsageError("TURN servers need a login. Add --turn-secret, or --turn-username.")
        for flag, text in (("--turn-username", self.turn_username), ("--turn-credential", self.turn_credential)):
            if len(text.encode()) > _MAX_LOGIN or "\0" in text:
                raise click.UsageError(f"{flag} is too long (at most {_MAX_LOGIN} bytes).")

    @property
    def settings(self) -> IceSettings:
        """The servers.

        Raises:
            ConfigurationError: the file with the secret cannot be read, or is empty.
        """
        secret = self.turn_secret if self.turn_secret_file is None else _read_secret(self.turn_secret_file)
        return IceSettings(
            self.stun_servers, self.turn_servers, self.turn_username, self.turn_credential, secret.encode()
        )


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = decode_text(file.read(_MAX_SECRET_FILE)).strip()
    except OSError as error:
        raise ConfigurationError(f"Cannot read --turn-secret-file '{path}': {reason_of(error)}.") from error
    except ValueError:
        raise ConfigurationError(f"--turn-secret-file '{path}' is not text in UTF-8.") from None
    if not text:
        raise ConfigurationError(f"--turn-secret-file '{path}' is empty.")
    return text
