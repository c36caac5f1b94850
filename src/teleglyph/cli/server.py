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
from typing import Any

import click
from click.core import ParameterSource

from teleglyph.call.sound import SoundSettings
from teleglyph.cli.event_options import event_options, event_settings
from teleglyph.cli.identity import announce_identities
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.options import Number, ask_passphrase, check_database, check_password
from teleglyph.cli.room_options import room_options, room_settings
from teleglyph.keys import KeyList, load_identity
from teleglyph.net import CostLimits, OwnName, own_addresses
from teleglyph.net.forwarding import Network
from teleglyph.net.own_names import read_relay_url
from teleglyph.server.app import Server
from teleglyph.server.config import DEFAULT_ADDRESSES, DEFAULT_HTTP_PORT, DEFAULT_PORT, ServerConfig
from teleglyph.server.welcome import Welcome

_log = logging.getLogger(__name__)

_ADMIN_TOKEN = 16


def _check_admin_token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and len(value) < _ADMIN_TOKEN:
        raise click.BadParameter(f"a token has at least {_ADMIN_TOKEN} characters")
    return value


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


def _read_relay_urls(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[OwnName, ...]:
    names = []
    for value in values:
        name = read_relay_url(value)
        if name is None:
            raise click.BadParameter(
                f"'{value}' is not a URL of this server. Write wss://HOST, wss://HOST:PORT, or the same with ws://."
            )
        names.append(name)
    return tuple(names)


def _read_networks(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for value in values:
        try:
            network = ipaddress.ip_network(value.strip("[]"), strict=False)
        except ValueError:
            raise click.BadParameter(
                f"'{value}' is not an address or a network. Write for example 127.0.0.1, 10.0.0.0/8 or fd00::/8."
            ) from None
        if network.prefixlen == 0:
            raise click.BadParameter(f"'{value}' is everybody: then anyone could pretend to be anyone.")
        networks.append(network)
    return tuple(networks)


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
    "--confined-decoding/--no-confined-decoding",
    default=True,
    show_default=True,
    envvar="TELEGLYPH_CONFINED_DECODING",
    help="Decode the pictures that participants send in processes that may do nothing else, where this system can "
    "confine them; --no-confined-decoding does it in the server's own process.",
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
    "--address-load",
    type=click.IntRange(0, 1000),
    default=40,
    show_default=True,
    metavar="PERCENT",
    envvar="TELEGLYPH_ADDRESS_LOAD",
    help="Processor time that connections of one address may use, in percent of one processor; 0: any amount.",
)
@click.option(
    "--max-load",
    type=click.IntRange(1, 100),
    default=90,
    show_default=True,
    metavar="PERCENT",
    envvar="TELEGLYPH_MAX_LOAD",
    help="Let nobody else join a call while the server is busier than this, or viewers miss half of their frames; "
    "100: always let others join.",
)
@room_options
@event_options
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
    "--relay-url",
    "relay_urls",
    multiple=True,
    metavar="URL",
    callback=_read_relay_urls,
    envvar="TELEGLYPH_RELAY_URL",
    help="A URL under which clients reach this server, such as wss://relay.example.org. Clients that authenticate to "
    "the Nostr relay or prove an identity in a room must have connected to one of these. The certificate's names, "
    "the address of --announce and the server's numeric address count as well. May be given several times.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="CIDR",
    callback=_read_networks,
    envvar="TELEGLYPH_TRUSTED_PROXY",
    help="Address or network of a proxy in front of this server. Its Forwarded or X-Forwarded-For header says where a "
    "request comes from. May be given several times.",
)
@click.option(
    "--admin-token",
    callback=_check_admin_token,
    envvar="TELEGLYPH_ADMIN_TOKEN",
    help="Anyone who sends this token may read /statistics and /metrics from elsewhere and reload with POST /reload; "
    "at least 16 characters.",
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
    type=Number(0.1, 86400),
    default=30.0,
    envvar="TELEGLYPH_STATISTICS_INTERVAL",
    help="Log statistics at most every so many seconds, while something happens.  "
    "[default: every 30 s, at the level debug]",
)
@click.pass_obj
def server(
    logs: LogOptions,
    /,
    addresses: tuple[str, ...],
    port: int,
    http_port: int,
    http: bool,
    max_clients: int,
    password: str | None,
    keys: tuple[str, ...],
    client_keys: tuple[str, ...],
    encrypt: bool,
    confined_decoding: bool,
    data_dir: Path | None,
    database: str | None,
    connection_rate: int,
    connections_per_address: int,
    address_load: int,
    max_load: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    relay_urls: tuple[OwnName, ...],
    trusted_proxies: tuple[Network, ...],
    admin_token: str | None,
    audio_bitrate: int,
    audio_complexity: int,
    statistics_interval: float,
    **chosen: Any,
) -> int:
    """Host calls for others.

    ADDRESSES are the IPv4 and IPv6 addresses to listen on; without any, only this machine can connect
    (127.0.0.1 and ::1). Use '0.0.0.0 ::' to let others in.
    """
    if password is not None and not encrypt:
        raise click.UsageError("--password needs encryption: leave --no-encrypt out")
    if (keys or client_keys) and not encrypt:
        raise click.UsageError("--key and --client-keys need encryption: leave --no-encrypt out")
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key needs the certificate, too: --tls-cert")
    relay = event_settings(chosen, has_place=bool(data_dir or database), has_http=http)
    logs.apply()
    config = ServerConfig(
        addresses=addresses,
        port=port,
        http_port=http_port if http else None,
        password=password,
        identities=tuple(load_identity(key, ask_passphrase) for key in keys),
        client_keys=KeyList(client_keys) if client_keys else None,
        encrypt=encrypt,
        confined_decoding=confined_decoding,
        data_dir=data_dir,
        database=database,
        connections_per_minute=connection_rate,
        connections_per_address=connections_per_address,
        costs=cost_limits(address_load / 100),
        max_load=max_load / 100,
        relay_urls=relay_urls,
        trusted_proxies=trusted_proxies,
        admin_token=admin_token,
        tls=None if tls_cert is None else (tls_cert, tls_key),
        statistics_interval=statistics_interval,
        logs_statistics=_is_chosen("statistics_interval"),
        sound=SoundSettings(audio_bitrate, audio_complexity),
        **room_settings(chosen),
        **relay,
    )
    config = replace(config, call=replace(config.call, max_participants=max_clients))
    return run(lambda stop: _serve(config, stop))


def cost_limits(share: float) -> CostLimits:
    """Limits for a share of a processor that the connections of one address may use; 0 for no limits."""
    usual = CostLimits()
    part = share / usual.address_share
    return replace(usual, address_share=share, peer_share=usual.peer_share * part)


def _is_chosen(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source is not ParameterSource.DEFAULT


async def _serve(config: ServerConfig, stop: asyncio.Event) -> int:
    service = Server(config)
    # Before anybody can know that the server is there: until then the signal would end it.
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
    if config.games and (config.password is not None or config.client_keys is not None):
        _log.warning("--password and --client-keys guard calls; rooms are open to whoever reaches the HTTP port")
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
