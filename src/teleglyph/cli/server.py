"""``teleglyph server``: hosts calls."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from teleglyph.call.sound import SoundSettings
from teleglyph.cli.call_room_tables import rooms_of
from teleglyph.cli.config_file import CALL_ROOMS, Configuration, chosen_file
from teleglyph.cli.event_options import EventOptions
from teleglyph.cli.http_options import HttpOptions
from teleglyph.cli.identity import announce_identities
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import source_of, with_options
from teleglyph.cli.option_types import ask_passphrase
from teleglyph.cli.room_options import RoomOptions, rules_of
from teleglyph.cli.server_options import (
    AccessOptions,
    CallRoomOptions,
    ListenOptions,
    LoadOptions,
    MixOptions,
    StatisticsOptions,
    StorageOptions,
)
from teleglyph.keys import KeyList, load_identity
from teleglyph.net import own_addresses
from teleglyph.rooms.relay import RelayLimits
from teleglyph.rooms.room import GameRules
from teleglyph.server.app import Server
from teleglyph.server.config import CallRoomSettings, ServerConfig
from teleglyph.server.welcome import Welcome

_log = logging.getLogger(__name__)


@click.command(context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@with_options(
    listen=ListenOptions,
    call_rooms=CallRoomOptions,
    access=AccessOptions,
    storage=StorageOptions,
    load=LoadOptions,
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
    rooms: RoomOptions,
    relay: EventOptions,
    web: HttpOptions,
    mix: MixOptions,
    statistics: StatisticsOptions,
) -> int:
    """Host calls.

    ADDRESSES are the IPv4 and IPv6 addresses to listen on. By default, only this machine can connect (127.0.0.1 and
    ::1). Use '0.0.0.0 ::' to let others in.
    """
    configured_rooms = rooms_of(_room_tables())
    access.check(has_protected_rooms=any(room.is_private for room in configured_rooms.values()))
    web.check()
    relay.check(has_storage=bool(storage.data_dir or storage.database), has_http=listen.http)
    logs.apply()
    config = ServerConfig(
        addresses=listen.addresses,
        port=listen.port,
        http_port=listen.http_port if listen.http else None,
        password=access.password,
        identities=tuple(load_identity(key, ask_passphrase) for key in access.keys),
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
        statistics_interval=statistics.statistics_interval,
        logs_statistics=source_of("statistics_interval") not in (None, ParameterSource.DEFAULT),
    )
    config = replace(config, call=replace(config.call, max_participants=listen.max_clients))
    return run(lambda stop: _serve(config, stop))


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


async def _serve(config: ServerConfig, stop: asyncio.Event) -> int:
    service = Server(config)
    # Before anyone can know that the server runs: until then the signal would end it.
    _reload_on_hangup(service, stop)
    await service.start()
    welcome = Welcome(
        service.bound,
        await asyncio.to_thread(own_addresses),
        service.http_port,
        config.password is not None,
        config.client_keys is not None,
        bool(config.identities),
    )
    for level, line in welcome.lines():
        _log.log(level, "%s", line)
    announce_identities(config.identities)
    if config.call_rooms:
        _log.info("Configured call rooms: %s", ", ".join(config.call_rooms))
    if config.games and (config.password is not None or config.client_keys is not None):
        _log.warning("--password and --client-keys protect calls only; anyone who reaches the HTTP port can use rooms")
    await stop.wait()
    await service.stop()
    return 0


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
