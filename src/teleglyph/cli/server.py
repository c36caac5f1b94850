"""``teleglyph server``: hosts calls."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from teleglyph.call.sound import SoundSettings
from teleglyph.cli import config_file
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.options import ask_passphrase, check_database, check_password
from teleglyph.errors import KeyFileError
from teleglyph.events.limits import EventLimits, RelayProfile
from teleglyph.keys import KeyList, fingerprint, format_public_key, load_identity
from teleglyph.rooms.room import GameRules
from teleglyph.server.app import Server
from teleglyph.server.config import DEFAULT_ADDRESSES, DEFAULT_HTTP_PORT, DEFAULT_PORT, ServerConfig

_log = logging.getLogger(__name__)

_PUBLIC = ":public"
_ADMIN_TOKEN = 16


def _rules(games: tuple[tuple[str, int, bool], ...], grace: float, max_message: int) -> tuple[GameRules, ...]:
    return tuple(GameRules(name, most, grace, max_message, is_public) for name, most, is_public in games)


def _is_configured(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.DEFAULT_MAP


def _read_games() -> tuple[GameRules, ...]:
    """The games of the configuration as it is now.

    Raises:
        ConfigurationError: it cannot be read, or says what cannot be.
    """
    chosen = config_file.chosen_file(sys.argv[1:])
    values = config_file.default_map(config_file.load(chosen), ["server"]).get("server", {})
    defaults = GameRules("")
    return _rules(
        tuple(map(_parse_game, values.get("games", ()))),
        float(values.get("room_grace", defaults.grace)),
        int(values.get("room_message_bytes", defaults.max_message)),
    )


def _parse_game(text: str) -> tuple[str, int, bool]:
    name, is_public = (text[: -len(_PUBLIC)], True) if text.endswith(_PUBLIC) else (text, False)
    name, _, most = name.rpartition(":") if ":" in name else (name, "", "0")
    if not name or not name.isprintable() or not most.isdecimal() or int(most) > 65535:
        raise click.BadParameter(
            f"'{text}' is no game: write NAME, or NAME:MAX with a number of players up to 65535; "
            f"'{_PUBLIC}' behind it has its rooms listed"
        )
    return name, int(most), is_public


def _check_admin_token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and len(value) < _ADMIN_TOKEN:
        raise click.BadParameter(f"a token has at least {_ADMIN_TOKEN} characters")
    return value


def _check_relay_admin(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from teleglyph.wire.nostr_keys import decode_key

    try:
        return decode_key(value, "npub").hex()
    except KeyFileError as error:
        raise click.BadParameter(str(error)) from None


def _event_limits(rate: float, auth: bool, work: int) -> EventLimits:
    return EventLimits(
        events_per_second=rate,
        event_burst=5 * rate,
        requests_per_second=EventLimits().requests_per_second if rate else 0.0,
        auth_required=auth,
        min_pow_difficulty=work,
    )


def _check_addresses(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    addresses = []
    for value in values:
        literal = value.strip("[]")
        try:
            ipaddress.ip_address(literal)
        except ValueError:
            raise click.BadParameter(
                f"'{value}' is not an IPv4 or IPv6 address; '0.0.0.0' and '::' mean all of this machine's"
            ) from None
        addresses.append(literal)
    return tuple(addresses) or DEFAULT_ADDRESSES


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@click.argument("addresses", nargs=-1, callback=_check_addresses, envvar="TELEGLYPH_ADDRESSES")
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    envvar="TELEGLYPH_PORT",
    help="TCP port for calls; 0 lets the system choose.",
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_HTTP_PORT,
    show_default=True,
    envvar="TELEGLYPH_HTTP_PORT",
    help="Port of the status pages (/health, /statistics).",
)
@click.option("--http/--no-http", default=True, show_default=True, envvar="TELEGLYPH_HTTP", help="Serve HTTP.")
@click.option(
    "--max-clients",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    envvar="TELEGLYPH_MAX_CLIENTS",
    help="Participants at once.",
)
@click.option(
    "--password",
    callback=check_password,
    envvar="TELEGLYPH_PASSWORD",
    help="Password everybody has to know, 8 to 256 bytes. The environment variable TELEGLYPH_PASSWORD keeps "
    "it out of the process list.",
)
@click.option(
    "-K",
    "--key",
    "keys",
    multiple=True,
    metavar="FILE",
    envvar="TELEGLYPH_KEY",
    help="Private key (OpenSSH, Ed25519) that proves who this server is, or gpg:ID; 'teleglyph keygen' makes one. "
    "May be given several times: clients say which they expect.",
)
@click.option(
    "--client-keys",
    multiple=True,
    metavar="KEYS",
    envvar="TELEGLYPH_CLIENT_KEYS",
    help="Only let in who proves one of these keys: a file with a key on each line, keys themselves, github:USER, "
    "gitlab:USER. SIGHUP reads them again. With --password both must hold.",
)
@click.option(
    "--encrypt/--no-encrypt",
    default=True,
    show_default=True,
    envvar="TELEGLYPH_ENCRYPT",
    help="--no-encrypt also lets in peers that do not encrypt. Only for tests on one machine.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TELEGLYPH_DATA_DIR",
    help="Directory for everything the server keeps.",
)
@click.option(
    "--database",
    metavar="URL",
    callback=check_database,
    envvar="TELEGLYPH_DATABASE",
    help="Keep records in this PostgreSQL database (postgresql://user@host/name) instead of a file in --data-dir.",
)
@click.option(
    "--connection-rate",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    envvar="TELEGLYPH_CONNECTION_RATE",
    help="New connections per minute from one address; 0: any number.",
)
@click.option(
    "--connections-per-address",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    envvar="TELEGLYPH_CONNECTIONS_PER_ADDRESS",
    help="Connections that one address may have open at once; 0: any number.",
)
@click.option(
    "--game",
    "games",
    multiple=True,
    metavar="NAME[:MAX][:public]",
    callback=lambda _ctx, _param, values: tuple(map(_parse_game, values)),
    envvar="TELEGLYPH_GAME",
    help="Relay rooms for this game (or whatever it is) over WebSocket, for at most MAX players, the host included; "
    "with ':public' GET /rooms lists them.",
)
@click.option(
    "--room-grace",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    envvar="TELEGLYPH_ROOM_GRACE",
    help="Seconds for which a room waits for its host, and a seat for its player.",
)
@click.option(
    "--room-message-bytes",
    type=click.IntRange(64, 16 << 20),
    default=64 << 10,
    show_default=True,
    envvar="TELEGLYPH_ROOM_MESSAGE_BYTES",
    help="The largest message in a room.",
)
@click.option(
    "--rooms-per-address",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    envvar="TELEGLYPH_ROOMS_PER_ADDRESS",
    help="Rooms that one address may have open at once; 0: any number.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    envvar="TELEGLYPH_ORIGIN",
    help="Let pages of this address use rooms as well (https://example.org); pages of this server always may.",
)
@click.option(
    "--events/--no-events",
    default=False,
    show_default=True,
    envvar="TELEGLYPH_EVENTS",
    help="Be a Nostr relay on the HTTP port; needs --data-dir or --database.",
)
@click.option(
    "--event-rate",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    envvar="TELEGLYPH_EVENT_RATE",
    help="Events a second from one connection and from one address, five times as many at once; 0: any number.",
)
@click.option(
    "--event-auth/--no-event-auth",
    default=False,
    show_default=True,
    envvar="TELEGLYPH_EVENT_AUTH",
    help="Only who authenticates (NIP-42) may publish and ask.",
)
@click.option(
    "--event-work",
    type=click.IntRange(0, 256),
    default=0,
    show_default=True,
    envvar="TELEGLYPH_EVENT_WORK",
    help="Least proof of work of an event (NIP-13), in bits.",
)
@click.option(
    "--event-search/--no-event-search",
    default=True,
    show_default=True,
    envvar="TELEGLYPH_EVENT_SEARCH",
    help="Let words in events be searched for (NIP-50).",
)
@click.option(
    "--event-compression/--no-event-compression",
    default=False,
    show_default=True,
    envvar="TELEGLYPH_EVENT_COMPRESSION",
    help="Compress events for clients that offer permessage-deflate: fewer bytes, more CPU.",
)
@click.option(
    "--announce",
    metavar="ADDRESS",
    envvar="TELEGLYPH_ANNOUNCE",
    help="Announce the call on the relay (NIP-53), as to be joined at this HOST or HOST:PORT.",
)
@click.option(
    "--relay-name", default="Teleglyph", show_default=True, envvar="TELEGLYPH_RELAY_NAME", help="Name of the relay."
)
@click.option(
    "--relay-key",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TELEGLYPH_RELAY_KEY",
    help="The relay's own Nostr key, with which it keeps groups; made on first use.  "
    "[default: relay.key in --data-dir]",
)
@click.option(
    "--relay-admin",
    metavar="NPUB",
    callback=_check_relay_admin,
    envvar="TELEGLYPH_RELAY_ADMIN",
    help="Who answers for the relay and runs its own groups: a public Nostr key.",
)
@click.option("--relay-description", default="", envvar="TELEGLYPH_RELAY_DESCRIPTION", help="What the relay is for.")
@click.option(
    "--relay-contact",
    default="",
    metavar="URI",
    envvar="TELEGLYPH_RELAY_CONTACT",
    help="Whom to ask about the relay: mailto:... or https://...",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TELEGLYPH_TLS_CERT",
    help="Serve HTTP and WebSockets with TLS: a PEM file with the certificate and those between it and the root. "
    "SIGHUP reads it again.",
)
@click.option(
    "--tls-key",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="TELEGLYPH_TLS_KEY",
    help="The certificate's private key, PEM without a pass phrase; without it, it stands beside the certificate.",
)
@click.option(
    "--admin-token",
    callback=_check_admin_token,
    envvar="TELEGLYPH_ADMIN_TOKEN",
    help="Let POST /reload do what SIGHUP does, for who shows this token; at least 16 characters.",
)
@click.option(
    "--audio-bitrate",
    type=click.IntRange(6_000, 256_000),
    default=32_000,
    show_default=True,
    envvar="TELEGLYPH_AUDIO_BITRATE",
    help="Bits a second of the sound for each listener.",
)
@click.option(
    "--audio-complexity",
    type=click.IntRange(0, 10),
    default=5,
    show_default=True,
    envvar="TELEGLYPH_AUDIO_COMPLEXITY",
    help="CPU time spent on the sound's quality.",
)
@click.option(
    "--statistics-interval",
    type=click.FloatRange(0.1, 86400),
    default=30.0,
    show_default=True,
    envvar="TELEGLYPH_STATISTICS_INTERVAL",
    help="Seconds between two lines of statistics in the log.",
)
@click.pass_obj
def server(
    logs: LogOptions,
    addresses: tuple[str, ...],
    port: int,
    http_port: int,
    http: bool,
    max_clients: int,
    password: str | None,
    keys: tuple[str, ...],
    client_keys: tuple[str, ...],
    encrypt: bool,
    data_dir: Path | None,
    database: str | None,
    connection_rate: int,
    connections_per_address: int,
    games: tuple[tuple[str, int, bool], ...],
    room_grace: float,
    room_message_bytes: int,
    rooms_per_address: int,
    origins: tuple[str, ...],
    events: bool,
    event_rate: float,
    event_auth: bool,
    event_work: int,
    event_search: bool,
    event_compression: bool,
    announce: str | None,
    relay_name: str,
    relay_key: Path | None,
    relay_admin: str | None,
    relay_description: str,
    relay_contact: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    admin_token: str | None,
    audio_bitrate: int,
    audio_complexity: int,
    statistics_interval: float,
) -> int:
    """Host calls for others.

    ADDRESSES are the IPv4 and IPv6 addresses to listen on; without any, only this machine can connect
    (127.0.0.1 and ::1). Use '0.0.0.0 ::' to let others in.
    """
    if password is not None and not encrypt:
        raise click.UsageError("--password needs encryption: leave --no-encrypt out")
    if (keys or client_keys) and not encrypt:
        raise click.UsageError("--key and --client-keys need encryption: leave --no-encrypt out")
    if events and data_dir is None and database is None:
        raise click.UsageError("--events needs a place to keep them: --data-dir or --database")
    if announce is not None and not events:
        raise click.UsageError("--announce needs the relay: --events")
    if events and not http:
        raise click.UsageError("--events needs HTTP: leave --no-http out")
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key needs the certificate, too: --tls-cert")
    logs.apply()
    config = ServerConfig(
        addresses=addresses,
        port=port,
        http_port=http_port if http else None,
        password=password,
        identities=tuple(load_identity(key, ask_passphrase) for key in keys),
        client_keys=KeyList(client_keys) if client_keys else None,
        encrypt=encrypt,
        data_dir=data_dir,
        database=database,
        connections_per_minute=connection_rate,
        connections_per_address=connections_per_address,
        games=_rules(games, room_grace, room_message_bytes),
        read_games=_read_games if _is_configured("games") else None,
        origins=origins,
        events=_event_limits(event_rate, event_auth, event_work) if events else None,
        event_search=event_search,
        event_compression=event_compression,
        announce=announce,
        relay_key=relay_key,
        profile=RelayProfile(relay_name, relay_description, relay_contact, relay_admin or ""),
        admin_token=admin_token,
        tls=None if tls_cert is None else (tls_cert, tls_key),
        statistics_interval=statistics_interval,
        sound=SoundSettings(audio_bitrate, audio_complexity),
    )
    config = replace(
        config,
        call=replace(config.call, max_participants=max_clients),
        relay=replace(config.relay, rooms_per_address=rooms_per_address),
    )
    return run(lambda stop: _serve(config, stop))


async def _serve(config: ServerConfig, stop: asyncio.Event) -> int:
    service = Server(config)
    await service.start()
    for identity in config.identities:
        _log.info("this server is %s (%s)", fingerprint(identity.public_key), format_public_key(identity.public_key))
    if config.games and (config.password is not None or config.client_keys is not None):
        _log.warning("--password and --client-keys guard calls; rooms are open to whoever reaches the HTTP port")
    _reload_on_hangup(service, stop)
    await stop.wait()
    await service.stop()
    return 0


def _reload_on_hangup(service: Server, stop: asyncio.Event) -> None:
    """SIGHUP reads keys again; but when it says that our terminal is gone, the server ends in good order."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    had_terminal = os.isatty(2)
    tasks: set[asyncio.Task[object]] = set()

    def on_hangup() -> None:
        if had_terminal and not os.isatty(2):
            stop.set()
            return
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(service.reload(), name="reload")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)
