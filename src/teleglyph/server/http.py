"""HTTP on all ports: its connections and request limits; other modules have the pages, and put them together."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from teleglyph.errors import BindError
from teleglyph.net import SlidingWindow, charged, network_of
from teleglyph.net.forwarding import Client, client_of, is_trusted
from teleglyph.net.listener import Listener
from teleglyph.server.access import HttpAccess
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.front_door import refusal
from teleglyph.server.head_guard import HEAD_SECONDS, HeadGuard
from teleglyph.server.http_answers import CLIENT, DEADLINE, json_answer
from teleglyph.server.http_config import HttpConfig
from teleglyph.server.own_names import KnownNames
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.server.web_pages import WebPages

if TYPE_CHECKING:
    from aiohttp import web

_log = logging.getLogger(__name__)

_INVALID_HOST = re.compile(r"[\s,/@\\?#]")
_KEEPALIVE_SECONDS = 15.0
_REQUESTS_PER_MINUTE = 1200
"""From one address; ``--connection-rate 0`` lifts this limit too."""
_REMEMBERED_ADDRESSES = 1000
_REQUEST_SECONDS = 0.0005
"""Estimated processor time of a request inside aiohttp, where it cannot be measured."""
_MAX_PAUSE = 5.0
"""The longest time in seconds that a request is delayed because its address is over its share."""


class Pages(Protocol):
    """Some pages of a server."""

    def routes(self) -> list[web.RouteDef]:
        """Their addresses."""


class HttpFront:
    """Serves HTTP, on the main port and perhaps on one of its own.

    Args:
        config: of the server.
        gate: has the accounts of all addresses.
        tls: the server's certificate.
        access: learns the server's names.
        pages: all of them, including ``web_pages``.
        web_pages: read their files first.
        middlewares: of aiohttp, which see each request after its limits.
    """

    def __init__(
        self,
        config: HttpConfig,
        gate: AddressGate,
        tls: ServerTls,
        access: HttpAccess,
        pages: Sequence[Pages],
        web_pages: WebPages,
        middlewares: Sequence[Any] = (),
    ) -> None:
        self._config = config
        self._gate = gate
        self._tls = tls
        self._access = access
        self._pages = pages
        self._web_pages = web_pages
        self._middlewares = middlewares
        self._runner: web.AppRunner | None = None
        self._guard = HeadGuard()
        self._watcher: asyncio.Task[None] | None = None
        self.port = 0
        """The port for HTTP only; 0 without one."""
        limit = _REQUESTS_PER_MINUTE if config.connections_per_minute else 0
        self._requests = SlidingWindow(limit, 60.0, max_keys=_REMEMBERED_ADDRESSES)

    async def prepare(self) -> None:
        """Set up the pages.

        Raises:
            ConfigurationError: the certificate's names cannot be read.
        """
        from aiohttp import web

        app = web.Application(client_max_size=1 << 16, middlewares=[self._limit, *self._middlewares])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=_KEEPALIVE_SECONDS, shutdown_timeout=0.5
        )
        await self._runner.setup()
        await self._web_pages.prepare()
        self._access.names = await asyncio.to_thread(KnownNames, self._config)
        handlers = cast("web.Server", self._runner.server)
        self._watcher = asyncio.get_running_loop().create_task(self._watch(handlers), name="http guard")

    def routes(self) -> list[web.RouteDef]:
        """The routes of all pages."""
        return [route for pages in self._pages for route in pages.routes()]

    def protocol_for(self, client: Client, is_secure: bool, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a peer that speaks HTTP, or the response that refuses it.

        Args:
            client: the peer.
            is_secure: it speaks TLS.
            leave: called when its connection has ended.
        """
        if self._runner is None or self._runner.server is None:
            return refusal("404 Not Found", "This is a Teleglyph server for calls; it serves no pages.")
        if self._tls.is_public and not is_secure and not self._is_proxy(client.address):
            return refusal("426 Upgrade Required", "This server speaks TLS. Use https:// or wss:// on this port.")
        from teleglyph.server.http_requests import RequestHandler

        return RequestHandler(
            client,
            leave,
            self._charge,
            self._runner.server,
            loop=asyncio.get_running_loop(),
            access_log=cast(logging.Logger, None),
            keepalive_timeout=_KEEPALIVE_SECONDS,
        )

    def listen(self, listener: Listener, addresses: Sequence[str], port: int) -> None:
        """Listen on a port for HTTP only; addresses that this machine does not have are logged and skipped.

        Raises:
            BindError: the port is in use on one of the addresses, or none of them can be used.
        """
        failures: list[BindError] = []
        for address in addresses:
            try:
                port = listener.listen(address, port)[1]
            except BindError as error:
                failures.append(error)
        # Another program has the port on one of our addresses; half of the clients would reach that program.
        is_taken = any(cast(OSError, failure.__cause__).errno == errno.EADDRINUSE for failure in failures)
        if failures and (is_taken or len(failures) == len(addresses)):
            listener.close()
            raise failures[0]
        for failure in failures:
            _log.warning("%s Continuing without it.", failure)
        self.port = port
        _log.info("Serving HTTP on port %d as well", port)

    async def stop(self) -> None:
        """Close all connections."""
        if self._watcher is not None:
            self._watcher.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    def reload_tls(self) -> None:
        """Reload the certificate and its names; new connections use it.

        Raises:
            ConfigurationError: it cannot be used; the old one stays.
        """
        names = self._access.names
        self._tls.load(names.reload if names is not None else lambda: None)

    def _charge(self, peer: str, seconds: float) -> None:
        """Charge work to the address of a connection, except to a proxy, whose clients are charged instead."""
        if not self._is_proxy(peer):
            self._gate.charge(peer, seconds)

    def _is_proxy(self, peer: str) -> bool:
        return is_trusted(peer, self._config.trusted_proxies)

    async def _watch(self, handlers: web.Server) -> None:
        """Close connections whose next request is late."""
        while True:
            await asyncio.sleep(1.0)
            self._guard.close_idle(handlers.connections, time.monotonic())

    @property
    def _limit(self) -> Any:
        """Middleware that limits the requests of each address; open WebSockets have their own limits."""
        from aiohttp import web

        from teleglyph.server.http_requests import BAD_BODY, RequestHandler

        @web.middleware
        async def limit(request: web.Request, handler: Any) -> web.StreamResponse:
            with self._guard.busy(request.protocol):
                hosts = request.headers.getall("Host", [])
                if len(hosts) > 1 or (not hosts and request.version >= (1, 1)) or any(map(_INVALID_HOST.search, hosts)):
                    return json_answer({"error": "A request must have one valid Host header."}, status=400)
                peer = cast(RequestHandler, request.protocol).client
                client = client_of(peer.address, request.headers.items(), self._config.trusted_proxies)
                if not peer.is_direct:
                    client = Client(client.address, is_direct=False)
                request = request.clone(remote=client.address)
                request[CLIENT] = client
                return await charged(serve(request, handler), cast(RequestHandler, request.protocol).stopwatch)

        async def serve(request: web.Request, handler: Any) -> web.StreamResponse:
            network = network_of(request.remote or "")
            pause = self._gate.costs.charge(network, _REQUEST_SECONDS, time.monotonic())
            if pause > _MAX_PAUSE or not self._requests.allow(network, time.monotonic()):
                return json_answer({"error": "Too many requests. Try again in a minute."}, status=429)
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(HEAD_SECONDS) as request[DEADLINE]:
                    return cast("web.StreamResponse", await handler(request))
            except web.RequestPayloadError:
                return json_answer({"error": BAD_BODY}, status=400)
            except TimeoutError:
                return json_answer({"error": f"The request took longer than {HEAD_SECONDS:g} s."}, status=408)

        return limit
