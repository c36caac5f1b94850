"""Starts and stops one discovery service."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Coroutine

from teleglyph.discovery.service.service import DiscoveryService
from teleglyph.discovery.stun import StunResponder
from teleglyph.errors import BindError, ConfigurationError, StoreError
from teleglyph.net import Listener, StallDetector, authority, own_addresses, raise_descriptor_limit, seconds_in_queue
from teleglyph.net.addresses import ALL_ADDRESSES
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.background import start_task
from teleglyph.server.database_health import trouble_of
from teleglyph.server.discovery_config import (
    DISCOVERY_DATABASE_FILE,
    DiscoveryConfig,
)
from teleglyph.server.discovery_door import DiscoveryDoor
from teleglyph.server.discovery_pages import discovery_http
from teleglyph.server.front_door import FrontDoor
from teleglyph.server.garbage import collect_less_often, collect_while_few
from teleglyph.server.listening import listen_on
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.store import Database, open_database
from teleglyph.store.sessions import SessionStore

_log = logging.getLogger(__name__)

_TICK = 1.0
_WATCH_INTERVAL = 0.1


class DiscoveryServer:
    """One discovery service with its ports.

    Use::

        server = DiscoveryServer(config)
        await server.start()
        ...
        await server.stop()

    Args:
        config: its settings.

    Attributes:
        bound: addresses and ports that it listens on.
        service: answers requests; there after :meth:`start`.
        door: has the connections; there after :meth:`start`.
    """

    service: DiscoveryService
    door: DiscoveryDoor

    def __init__(self, config: DiscoveryConfig) -> None:
        self.config = config
        self.bound: list[tuple[str, int]] = []
        self.websocket_port: int | None = None
        """The port for WebSocket only; None without one."""
        self.started_at = time.monotonic()
        self.gate = AddressGate(
            config.connections_per_address,
            config.connections_per_minute,
            config.costs,
            raise_descriptor_limit(),
            self._is_known,
        )
        """Limits the connections of each address."""
        self.stun: list[StunResponder] = []
        """STUN servers, one for each address."""
        self._tls = ServerTls(config.tls, config.identities[0] if config.identities else None)
        self._database: Database | None = None
        self._background: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            BindError: the service cannot listen on a configured address.
            StoreError: its database cannot be used.
        """
        config = self.config
        place = config.database or (config.data_dir and config.data_dir / DISCOVERY_DATABASE_FILE)
        if not place:
            raise ConfigurationError("A discovery service needs a data directory or a database.")
        self._database = await asyncio.to_thread(open_database, place)
        self.service = DiscoveryService(SessionStore(self._database), config.service)
        await self.service.open()
        self.door = DiscoveryDoor(config, self.service, self.gate)
        await asyncio.to_thread(self._tls.load)
        self._http = discovery_http(self, self._tls)
        await self._http.prepare()
        front = FrontDoor(
            self.gate, config.trusted_proxies, self._tls, self._http.protocol_for, self.door, config.max_handshakes
        )
        listener = self._listener(front, "discovery", "--port")
        self.bound += listen_on(listener, config.addresses, config.port, (ALL_ADDRESSES,))
        if config.websocket_port is not None:
            await self._listen_for_websockets(config.websocket_port)
        if config.stun_port is not None:
            await self._serve_stun(config.stun_port)
        _log.info("Discovery service is listening on %s", ", ".join(authority(*one) for one in self.bound))
        self._spawn(self._watch(), "watch")
        self._spawn(self._keep_time(), "time")
        self._spawn(self._report(), "statistics")
        collect_less_often()
        self._spawn(collect_while_few(lambda: len(self.gate)), "garbage")

    async def stop(self) -> None:
        """Stop listening, end all connections and release everything."""
        for listener in self._listeners:
            listener.close()
        for responder in self.stun:
            await responder.close()
        await self.door.close()
        await self._http.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self.service.close()
        if self._database is not None:
            await asyncio.to_thread(self._database.close)

    async def reload(self) -> None:
        """Reload the certificate; the old one stays if that fails."""
        try:
            await asyncio.to_thread(self._http.reload_tls)
        except ConfigurationError as error:
            _log.error("Not reloaded: %s", error)
        else:
            _log.info("Certificate reloaded")

    async def database_trouble(self) -> str | None:
        """Why the database does not work, as a sentence for people; None if it works."""
        return await trouble_of(self._database)

    def _listener(self, front: FrontDoor, service: str, option: str) -> Listener:
        listener = Listener(front, self.config.timeouts.handshake, service, option)
        self._listeners.append(listener)
        return listener

    async def _listen_for_websockets(self, port: int) -> None:
        front = FrontDoor(
            self.gate,
            self.config.trusted_proxies,
            self._tls,
            self._http.protocol_for,
            None,
            self.config.max_handshakes,
        )
        try:
            self._http.listen(self._listener(front, "WebSocket", "--websocket-port"), self.config.addresses, port)
        except BindError:
            await self.stop()
            raise
        self.websocket_port = self._http.port

    async def _serve_stun(self, port: int) -> None:
        own = await asyncio.to_thread(own_addresses)
        try:
            for address in self.config.addresses:
                # A wildcard address means nothing to others.
                public = next((one for one in own if (":" in one) == (":" in address)), address)
                is_any = ipaddress.ip_address(address).is_unspecified
                if is_any and public == address:
                    continue  # no network of this kind
                responder = StunResponder()
                self.stun.append(responder)
                await responder.start(
                    address, port, alternate_port=port and port + 1, public_host=public if is_any else None
                )
                port = responder.port
        except BindError:
            await self.stop()
            raise
        _log.info("STUN server is listening on UDP port %d", port)

    def _is_known(self, network: str) -> bool:
        return self.service.is_present(network)

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        self._background.append(start_task(coroutine, name))

    # --- background -----------------------------------------------------------------------------------

    async def _watch(self) -> None:
        stalls = StallDetector(_WATCH_INTERVAL)
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            now = time.monotonic()
            if (stalled := stalls.sample(now)) > 0:
                _log.warning("Service was suspended or starved for %.1f s; deadlines extended", stalled)
                self.door.postpone(stalled)
            self.gate.costs.load.sample(now, time.thread_time(), seconds_in_queue())
            self.gate.refusals.flush(now)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.door.watch(time.monotonic())
            try:
                await self.service.tick()
            except StoreError as error:
                _log.error("Sessions not updated; retrying: %s", error)

    async def _report(self) -> None:
        """Log the figures at intervals, if they have changed."""
        level = logging.INFO if self.config.logs_statistics else logging.DEBUG
        reported: object = None
        while True:
            await asyncio.sleep(self.config.statistics_interval)
            counters, gauges = self.service.state.counters, self.service.gauges()
            current = (gauges, dict(counters.requests), dict(counters.refused), dict(self.gate.refused))
            if current != reported:
                reported = current
                _log.log(level, "statistics: %s requests=%s refused=%s refused_connections=%s", *current)
