"""``teleglyph server``: hosts calls."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from teleglyph.call.sound import SoundSettings
from teleglyph.cli.call_room_tables import rooms_of
from teleglyph.cli.config_file import CALL_ROOMS, Configuration, chosen_file
from teleglyph.cli.event_options import EventOptions
from teleglyph.cli.http_options import HttpOptions
from teleglyph.cli.identity import draw_identities
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions, has_text_console
from teleglyph.cli.option_groups import source_of, with_options
from teleglyph.cli.option_types import ask_passphrase
from teleglyph.cli.qr_code import QrCode
from teleglyph.cli.registration_options import RegistrationOptions
from teleglyph.cli.room_options import RoomOptions, rules_of
from teleglyph.cli.server_options import (
    AccessOptions,
    CallRoomOptions,
    ListenOptions,
    LoadOptions,
    MixOptions,
    StatisticsOptions,
)
from teleglyph.cli.storage_options import StorageOptions
from teleglyph.client.session_address import Service, SessionAddress
from teleglyph.errors import StoreError
from teleglyph.keys import KeyList, fingerprint, load_identity, load_or_create_identity
from teleglyph.net import own_addresses
from teleglyph.net.addresses import ALL_ADDRESSES
from teleglyph.rooms.relay import RelayLimits
from teleglyph.rooms.room import GameRules
from teleglyph.server.app import Server
from teleglyph.server.config import CallRoomSettings, ServerConfig
from teleglyph.server.data_directory import IDENTITY_FILE, open_data_directory
from teleglyph.server.own_names import names_for_links
from teleglyph.server.running_server import RunningServer, page_link
from teleglyph.server.welcome import Welcome
from teleglyph.wire.acip import Identity

_log = logging.getLogger(__name__)

_LINES_BESIDE_QR = 24
"""What else a server prints at its start, with the picture of its fingerprint."""


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@with_options(
    listen=ListenOptions,
    call_rooms=CallRoomOptions,
    access=AccessOptions,
    storage=StorageOptions,
    load=LoadOptions,
    discovery=RegistrationOptions,
    rooms=RoomOptions,
    relay=EventOptions,
    web=HttpOptions,
    mix=MixOptions,
    statistics=StatisticsOptions,
)
@click.pass_obj
def server(
    logs: LogOptions,
    listen: ListenOptions,
    call_rooms: CallRoomOptions,
    access: AccessOptions,
    storage: StorageOptions,
    load: LoadOptions,
    discovery: RegistrationOptions,
    rooms: RoomOptions,
    relay: EventOptions,
    web: HttpOptions,
    mix: MixOptions,
    statistics: StatisticsOptions,
) -> int:
    """Host calls, with chat.

    ADDRESSES are the IPv4 and IPv6 addresses to listen on. By default, only this machine can connect (127.0.0.1 and
    ::1). Use '0.0.0.0 ::' to let others in.
    """
    listen.check()
    configured_rooms = rooms_of(_room_tables())
    access.check(has_protected_rooms=any(room.is_private for room in configured_rooms.values()))
    web.check()
    storage = storage.resolved()
    has_private_room = any(room.is_private for room in configured_rooms.values())
    discovery.check(
        is_protected=access.password is not None or bool(access.client_keys) or has_private_room,
        has_identity=bool(access.keys) or (storage.data_dir is not None and access.encrypt),
    )
    relay = relay.resolved(has_storage=not storage.ephemeral, has_http=listen.http)
    logs.apply()
    # Locked before anything in it is read, created or opened.
    with nullcontext() if storage.data_dir is None else open_data_directory(storage.data_dir):
        config = ServerConfig(
            addresses=_addresses(listen, discovery),
            port=listen.port,
            http=listen.http,
            http_port=listen.http_port,
            page=listen.page,
            lan=listen.lan,
            acip=access.acip,
            password=access.password,
            identities=_identities(access, storage.data_dir),
            client_keys=KeyList(access.client_keys) if access.client_keys else None,
            call_rooms=configured_rooms,
            read_call_rooms=call_room_reader(),
            new_call_rooms=call_rooms.rooms == "open",
            max_call_rooms=call_rooms.max_rooms,
            encrypt=access.encrypt,
            confined_decoding=access.confined_decoding,
            data_dir=storage.data_dir,
            database=storage.database,
            connections_per_minute=load.connection_rate,
            connections_per_address=load.connections_per_address,
            costs=load.costs,
            max_load=load.max_load / 100,
            games=rooms.rules,
            read_games=game_reader(rooms),
            origins=rooms.origins,
            relay=RelayLimits(rooms_per_address=rooms.rooms_per_address),
            events=relay.limits,
            event_search=relay.event_search,
            event_compression=relay.event_compression,
            announce=relay.announce,
            relay_key=relay.relay_key,
            profile=relay.profile,
            relay_urls=web.relay_urls,
            trusted_proxies=web.trusted_proxies,
            admin_token=web.admin_token,
            tls=web.tls,
            sound=SoundSettings(mix.audio_bitrate, mix.audio_complexity),
            discovery=discovery.settings(),
            statistics_interval=statistics.statistics_interval,
            logs_statistics=source_of("statistics_interval") not in (None, ParameterSource.DEFAULT),
        )
        config = replace(config, call=replace(config.call, max_participants=listen.max_clients))
        keys = tuple(key if key.startswith("gpg:") else str(Path(key).expanduser().absolute()) for key in access.keys)
        return run(lambda stop: _serve(config, stop, keys, listen.qr))


def _addresses(listen: ListenOptions, discovery: RegistrationOptions) -> tuple[str, ...]:
    """The addresses to listen on: with a discovery service all of them by default, because others are to join."""
    is_default = source_of("addresses") in (None, ParameterSource.DEFAULT)
    return ALL_ADDRESSES if is_default and discovery.discovery is not None else listen.addresses


def _identities(access: AccessOptions, data_dir: Path | None) -> tuple[Identity, ...]:
    """The keys of ``--key``; without that option, the data directory's."""
    if access.keys:
        return tuple(load_identity(key, ask_passphrase) for key in access.keys)
    if data_dir is None or not access.encrypt:
        return ()
    return (load_or_create_identity(data_dir / IDENTITY_FILE, ask_passphrase),)


def game_reader(rooms: RoomOptions) -> Callable[[], tuple[GameRules, ...]] | None:
    """A function that reads the games again; None unless they come from a configuration file."""
    if source_of("games") is not ParameterSource.DEFAULT_MAP:
        return None
    return partial(_read_games, Configuration(click.get_current_context().find_root().command), rooms.given())


def _read_games(configuration: Configuration, given: dict[str, Any]) -> tuple[GameRules, ...]:
    """Read the games from the configuration file as it is now.

    Args:
        configuration: the program's.
        given: values that override the file's.

    Raises:
        ConfigurationError: the file cannot be read, or has invalid settings.
    """
    return rules_of({**_read_defaults(configuration), **given})


def call_room_reader() -> Callable[[], dict[str, CallRoomSettings]] | None:
    """A function that reads the configured call rooms again; None without a configuration file."""
    context = click.get_current_context()
    if not context.default_map:
        return None
    return partial(_read_call_rooms, Configuration(context.find_root().command))


def _read_call_rooms(configuration: Configuration) -> dict[str, CallRoomSettings]:
    """Read the call rooms from the configuration file as it is now.

    Raises:
        ConfigurationError, KeyFetchError: the file or a list of keys cannot be read, or has invalid settings.
    """
    return rooms_of(_read_defaults(configuration).get(CALL_ROOMS, {}))


def _room_tables() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = (click.get_current_context().default_map or {}).get(CALL_ROOMS, {})
    return tables


def _read_defaults(configuration: Configuration) -> dict[str, Any]:
    """The server's settings in the configuration file as it is now, by parameter."""
    settings = configuration.load(chosen_file(sys.argv[1:]))
    defaults: dict[str, Any] = configuration.default_map(settings, ["server"]).get("server", {})
    return defaults


async def _serve(
    config: ServerConfig, stop: asyncio.Event, keys: tuple[str, ...] = (), wants_qr: bool | None = None
) -> int:
    service = Server(config)
    # Before anyone can know that the server runs: until then the signal would end it.
    _reload_on_hangup(service, stop)
    await service.start()
    welcome = Welcome(
        bound=service.bound,
        machine=await asyncio.to_thread(own_addresses),
        http_port=service.http_port,
        has_password=config.password is not None,
        has_keys=config.client_keys is not None,
        fingerprints=[fingerprint(identity.public_key) for identity in config.identities],
        has_chat=service.events is not None,
        has_rooms=bool(config.games),
        data_dir=config.data_dir,
        has_database=config.database is not None,
        names=names_for_links(config),
        has_certificate=config.tls is not None,
        has_page=config.http and config.page,
        is_announced=service.lan is not None,
        is_found_by_name=service.discovery is not None,
    )
    service.on_reload = partial(_record, service, welcome, keys)
    said: list[str] = []

    def on_name(_: str) -> None:
        _record(service, welcome, keys)
        # The connection to the service may be lost and come back.
        if said[-1:] != [_session(service)]:
            said.append(_session(service))
            _announce_name(service, wants_qr)

    service.on_name = on_name
    has_name = bool(_session(service))
    _record(service, welcome, keys)
    for line in welcome.lines():
        _log.info("%s", line)
    draw_identities([] if welcome.is_local else config.identities)
    if config.discovery is None:
        _draw_link(welcome.link, wants_qr, is_local=welcome.is_local)
    if has_name:
        on_name(_session(service))
    if config.call_rooms:
        _log.info("Configured call rooms: %s", ", ".join(config.call_rooms))
    for line in welcome.warnings():
        _log.warning("%s", line)
    await stop.wait()
    await service.stop()
    _record(service, welcome, keys, is_running=False)
    return 0


def _announce_name(service: Server, wants_qr: bool | None) -> None:
    """Tell the host under which name others find this server."""
    _log.info("Friends anywhere join with: teleglyph client %s", _session(service))
    if link := _session_link(service):
        _log.info("Or in a browser: %s", link)
        _draw_link(link, wants_qr, is_local=False)


def _record(service: Server, welcome: Welcome, keys: tuple[str, ...], *, is_running: bool = True) -> None:
    """Tell ``teleglyph invite`` about this server, in its data directory."""
    config = service.config
    if config.data_dir is None:
        return
    found = RunningServer(
        hosts=welcome.hosts,
        port=welcome.bound[0][1],
        has_certificate=welcome.has_certificate,
        identities=tuple(identity.public_key.hex() for identity in config.identities),
        keys=keys,
        rooms=None if config.new_call_rooms else tuple(service.configured_rooms),
        is_running=is_running,
        session=_session(service),
    )
    try:
        found.write(config.data_dir)
    except StoreError as error:
        _log.warning("'teleglyph invite' cannot be used: %s", error)


def _session(service: Server) -> str:
    """Under which name and at which service others find this server; empty if they do not."""
    settings, found = service.config.discovery, service.discovery
    if settings is None or found is None or not found.name:
        return ""
    return SessionAddress(found.name, Service(settings.host, settings.port)).as_typed


def _session_link(service: Server) -> str:
    """The URL of this server's page at the discovery service; empty if browsers would not open it."""
    settings, found = service.config.discovery, service.discovery
    if settings is None or found is None or not found.name or not found.has_page:
        return ""
    return page_link(settings.host, settings.port, has_certificate=True, room=found.name)


def _draw_link(link: str, wanted: bool | None, *, is_local: bool) -> None:
    """Draw a link for guests as a QR code, if wanted; by default if others can join and the window has the room."""
    if not link or wanted is False or (wanted is None and (is_local or not has_text_console())):
        return
    code = QrCode(link)
    if wanted or code.fits(lines_beside=_LINES_BESIDE_QR):
        code.draw()


def _reload_on_hangup(service: Server, stop: asyncio.Event) -> None:
    """Reload on SIGHUP, unless the signal means that the terminal has gone: then the server shuts down cleanly."""
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
