"""``teleglyph discovery-service``: knows calls by three words."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import click
from click.core import ParameterSource

from teleglyph.cli.discovery_options import (
    DiscoveryAccessOptions,
    DiscoveryListenOptions,
    DiscoveryStorageOptions,
    IceOptions,
)
from teleglyph.cli.http_options import TlsOptions
from teleglyph.cli.lifecycle import run
from teleglyph.cli.logs import LogOptions
from teleglyph.cli.option_groups import source_of, with_options
from teleglyph.cli.option_types import ask_passphrase
from teleglyph.cli.server_options import StatisticsOptions
from teleglyph.discovery.service.limits import ServiceLimits
from teleglyph.discovery.service.state import ServiceSettings
from teleglyph.keys import fingerprint, load_identity, load_or_create_identity
from teleglyph.net import own_addresses
from teleglyph.server.data_directory import open_data_directory
from teleglyph.server.discovery_app import DiscoveryServer
from teleglyph.server.discovery_config import DISCOVERY_IDENTITY_FILE, DiscoveryConfig
from teleglyph.server.discovery_welcome import DiscoveryWelcome
from teleglyph.server.own_names import names_for_links

_log = logging.getLogger(__name__)


@click.command("discovery-service", context_settings={"auto_envvar_prefix": "TELEGLYPH"})
@with_options(
    listen=DiscoveryListenOptions,
    access=DiscoveryAccessOptions,
    storage=DiscoveryStorageOptions,
    ice=IceOptions,
    web=TlsOptions,
    statistics=StatisticsOptions,
)
@click.pass_obj
def discovery_service(
    logs: LogOptions,
    listen: DiscoveryListenOptions,
    access: DiscoveryAccessOptions,
    storage: DiscoveryStorageOptions,
    ice: IceOptions,
    web: TlsOptions,
    statistics: StatisticsOptions,
) -> int:
    """Run a discovery service: hosts register calls with it, and friends find them by three words.

    ADDRESSES are the IPv4 and IPv6 addresses to listen on; by default all of this machine's ('0.0.0.0 ::').
    """
    ice.check()
    web.check()
    logs.apply()
    directory = storage.directory
    # Locked before anything in it is read, created or opened.
    with open_data_directory(directory, is_needed=True):
        identities = tuple(load_identity(key, ask_passphrase) for key in access.keys) or (
            load_or_create_identity(directory / DISCOVERY_IDENTITY_FILE, ask_passphrase),
        )
        config = DiscoveryConfig(
            addresses=listen.addresses,
            port=listen.port,
            websocket_port=listen.websocket_port,
            page=listen.page,
            stun_port=ice.stun_port,
            identities=identities,
            tls=web.tls,
            data_dir=directory,
            database=storage.database,
            service=ServiceSettings(
                ServiceLimits(max_sessions=access.max_sessions),
                ice.settings,
                requires_server_identity=access.requires_server_identity,
                requires_client_identity=access.requires_client_identity,
            ),
            allow_plaintext=access.allow_plaintext,
            connections_per_minute=listen.connection_rate,
            connections_per_address=listen.connections_per_address,
            trusted_proxies=web.trusted_proxies,
            admin_token=web.admin_token,
            statistics_interval=statistics.statistics_interval,
            logs_statistics=source_of("statistics_interval") not in (None, ParameterSource.DEFAULT),
        )
        return run(lambda stop: _serve(config, stop))


async def _serve(config: DiscoveryConfig, stop: asyncio.Event) -> int:
    server = DiscoveryServer(config)
    _reload_on_hangup(server, stop)
    await server.start()
    welcome = DiscoveryWelcome(
        bound=server.bound,
        machine=await asyncio.to_thread(own_addresses),
        names=names_for_links(config),
        fingerprints=[fingerprint(identity.public_key) for identity in config.identities],
        config=config,
    )
    for line in welcome.lines():
        _log.info("%s", line)
    for line in welcome.warnings():
        _log.warning("%s", line)
    await stop.wait()
    await server.stop()
    return 0


def _reload_on_hangup(server: DiscoveryServer, stop: asyncio.Event) -> None:
    """Reload the certificate on SIGHUP, unless the signal means that the terminal has gone: then stop."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    had_terminal = os.isatty(2)
    tasks: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        if had_terminal and not os.isatty(2):
            stop.set()
            return
        task = asyncio.get_running_loop().create_task(server.reload(), name="reload")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)
