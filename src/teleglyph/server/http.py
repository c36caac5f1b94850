"""The HTTP port: pages that say whether the server lives and what it does, and the WebSockets of rooms."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import teleglyph
from teleglyph.errors import BindError, ConfigurationError
from teleglyph.net import GuessLimiter, OwnNames, SlidingWindow, charged, network_of
from teleglyph.net.forwarding import Client, client_of, is_trusted
from teleglyph.net.tcp import bind_failure, peer_name
from teleglyph.net.tls_listener import TlsListener
from teleglyph.net.websocket import WebSocketSession, request_head, same_origins, take_over
from teleglyph.rooms.service import TOO_LARGE_FRAMES
from teleglyph.server.front_door import refusal
from teleglyph.server.own_names import KnownNames
from teleglyph.server.room_pages import RoomPages, answer
from teleglyph.wire.rooms.extended import SUBPROTOCOL

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import web

    from teleglyph.events.management import Management
    from teleglyph.net import Connection, ConnectionLimits, OutboxBudget
    from teleglyph.server.app import Server

_log = logging.getLogger(__name__)


ROOM_PATHS = ("/rooms", "/ws/rooms", "/ws")
"""Where the relay answers; the last is where programs of other relays look for it."""
EVENT_PATHS = ("/", "/events")
_INFORMATION = "application/nostr+json"
_MANAGEMENT = "application/nostr+json+rpc"
_FROM_ANYWHERE = {
    "Access-Control-Allow-Origin": "*",
    # The star does not include Authorization (Fetch standard).
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
}
_CLIENT = "client"
"""Where a request keeps who sent it."""
_DEADLINE = "deadline"
"""Where a request keeps until when it has to be answered."""
_LOCAL_ONLY = (
    "only programs on this machine may read this, without a proxy; start the server with --admin-token to read it from "
    "elsewhere"
)
_NO_HOST = re.compile(r"[\s,/@\\?#]")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_WEIGHT = re.compile(r"0(?:\.0*)?")
_KEEPALIVE_SECONDS = 15.0
HEAD_SECONDS = 15.0
"""From the connection, or from the last answer, to the end of the next request's head."""
_IDLE_CONNECTIONS = 1000
"""Connections without a request, from everywhere; the oldest go when there are more."""
_REQUESTS_PER_MINUTE = 1200
"""Of one address; ``--connection-rate 0`` lifts this limit, too."""
_REMEMBERED_ADDRESSES = 1000
_REQUEST_SECONDS = 0.0005
"""Processor time of a request that cannot be measured, because it is spent within aiohttp; roughly."""
_LONGEST_PAUSE = 5.0
"""Seconds for which a request of an address waits that costs more than its share."""


class HttpFront:
    """``GET /health`` (for probes), ``GET /statistics`` (JSON, the same figures as the log's), ``POST /reload``, pages
    and WebSockets for rooms.

    The statistics name people and their addresses: without the administrator's token only programs on this machine
    may read them, and only those that connect without a proxy.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._pages = RoomPages(server)
        self._runner: web.AppRunner | None = None
        self._listeners: list[asyncio.Server | TlsListener] = []
        self._tls: ssl.SSLContext | None = None
        self._names: KnownNames | None = None
        self._guesses = GuessLimiter(burst=3, first=1.0)
        self._guard = HeadGuard()
        self._watcher: asyncio.Task[None] | None = None
        self.port = 0
        limit = _REQUESTS_PER_MINUTE if server.config.connections_per_minute else 0
        self._requests = SlidingWindow(limit, 60.0, max_keys=_REMEMBERED_ADDRESSES)

    async def prepare(self) -> None:
        """Get ready to answer, on whatever port requests arrive.

        Raises:
            ConfigurationError: the certificate cannot be used.
        """
        from aiohttp import web

        app = web.Application(client_max_size=1 << 16, middlewares=[self._limit])
        app.add_routes([web.get(path, self._health) for path in _spellings("/health")])
        app.add_routes([web.get(path, self._statistics) for path in _spellings("/statistics")])
        app.add_routes([web.get(path, self._metrics) for path in _spellings("/metrics")])
        app.add_routes([web.post(path, self._reload) for path in _spellings("/reload")])
        app.add_routes(self._pages.routes())
        app.add_routes([web.get(path, self._rooms) for path in _spellings(*ROOM_PATHS)])
        app.add_routes([web.get(path, self._events) for path in _spellings(*EVENT_PATHS)])
        app.add_routes([web.options(path, self._event_options) for path in _spellings(*EVENT_PATHS)])
        app.add_routes([web.post(path, self._manage_events) for path in _spellings(*EVENT_PATHS)])
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=_KEEPALIVE_SECONDS, shutdown_timeout=0.5
        )
        await self._runner.setup()
        if self._server.config.tls is not None:
            self._tls = await asyncio.to_thread(load_tls, *self._server.config.tls)
        self._names = await asyncio.to_thread(KnownNames, self._server.config)

    def on_call_port(self) -> asyncio.Protocol | bytes:
        """Who goes on with a peer of the call port that speaks HTTP; or what it is told."""
        if self._runner is None or self._runner.server is None:
            return refusal("404 Not Found", "This is a Teleglyph server's port for calls; it serves no pages.")
        if self._tls is not None:
            return refusal(
                "426 Upgrade Required", f"This server speaks HTTPS and wss:// on port {self.port}; here are only calls."
            )
        return self._protocol()

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on the given addresses; one that this machine does not have is reported and left out.

        Raises:
            BindError: the port is in use on one of them, or none of them can be used.
        """
        if self._runner is None:
            raise RuntimeError("prepare comes first")
        handlers = cast("web.Server", self._runner.server)
        failures: list[tuple[str, OSError]] = []
        for address in addresses:
            try:
                port = await self._listen(address, port)
            except OSError as error:
                failures.append((address, error))
        # Another program's port on one of our addresses: half of the clients would talk to that.
        is_taken = any(error.errno == errno.EADDRINUSE for _, error in failures)
        if failures and (is_taken or len(failures) == len(addresses)):
            await self.stop()
            raise BindError(bind_failure(failures, port, "HTTP", "--http-port"))
        for failure in failures:
            _log.warning("%s Going on without it.", bind_failure([failure], port, "HTTP", "--http-port"))
        self.port = port
        self._watcher = asyncio.get_running_loop().create_task(self._watch(handlers), name="http guard")
        _log.info("%s on port %d", "HTTP" if self._tls is None else "HTTP with TLS", self.port)

    async def stop(self) -> None:
        """Close the port."""
        if self._watcher is not None:
            self._watcher.cancel()
        for listener in self._listeners:
            listener.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def reload_tls(self) -> None:
        """Use the certificate as it is now, for connections from now on.

        Raises:
            ConfigurationError: it cannot be used; the one before stays.
        """
        if self._tls is not None and self._server.config.tls is not None:
            load_tls(*self._server.config.tls)
            if self._names is not None:
                self._names.reload()
            load_tls(*self._server.config.tls, context=self._tls)

    def _protocol(self, leave: Callable[[], None] | None = None) -> asyncio.Protocol:
        """What reads the requests of a new connection.

        Args:
            leave: to be called when it is gone, if it is counted already.
        """
        from teleglyph.server.http_requests import RequestHandler

        if self._runner is None or self._runner.server is None:
            raise RuntimeError("prepare comes first")
        no_log = cast(logging.Logger, None)
        loop = asyncio.get_running_loop()
        let_in = self._let_in if leave is None else lambda _: leave
        return RequestHandler(
            let_in,
            self._charge,
            self._runner.server,
            loop=loop,
            access_log=no_log,
            keepalive_timeout=_KEEPALIVE_SECONDS,
        )

    def _let_in(self, peer: str) -> Callable[[], None] | str:
        """Count a connection of HTTP: what to call when it is gone, or why it may not be there."""
        return self._server.gate.let_in(peer, is_proxy=self._is_proxy(peer))

    def _charge(self, peer: str, seconds: float) -> None:
        """Charge work to the address that a connection comes from; what others send through a proxy is theirs."""
        if not self._is_proxy(peer):
            self._server.gate.costs.charge(network_of(peer), seconds, time.monotonic())

    def _is_proxy(self, peer: str) -> bool:
        return is_trusted(peer, self._server.config.trusted_proxies)

    async def _listen(self, address: str, port: int) -> int:
        if self._tls is not None:
            secure = TlsListener(self._tls, self._let_in, self._protocol, HEAD_SECONDS)
            self._listeners.append(secure)
            return secure.listen(address, port)
        listener = await asyncio.get_running_loop().create_server(self._protocol, address, port)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def _watch(self, handlers: web.Server) -> None:
        """Close connections that do not finish asking."""
        while True:
            await asyncio.sleep(1.0)
            self._guard.close_idle(handlers.connections, time.monotonic())

    @property
    def _limit(self) -> Any:
        """Turns addresses away that ask too often; WebSockets have limits of their own once they are open."""
        from aiohttp import web

        from teleglyph.server.http_requests import BAD_BODY, RequestHandler

        @web.middleware
        async def limit(request: web.Request, handler: Any) -> web.StreamResponse:
            with self._guard.busy(request.protocol):
                hosts = request.headers.getall("Host", [])
                if len(hosts) > 1 or (not hosts and request.version >= (1, 1)) or any(map(_NO_HOST.search, hosts)):
                    return answer({"error": "A request has one Host header with a host."}, status=400)
                client = client_of(request.remote or "", request.headers.items(), self._server.config.trusted_proxies)
                request = request.clone(remote=client.address)
                request[_CLIENT] = client
                return await charged(serve(request, handler), cast(RequestHandler, request.protocol).stopwatch)

        async def serve(request: web.Request, handler: Any) -> web.StreamResponse:
            network = network_of(request.remote or "")
            pause = self._server.gate.costs.charge(network, _REQUEST_SECONDS, time.monotonic())
            if pause > _LONGEST_PAUSE or not self._requests.allow(network, time.monotonic()):
                return answer({"error": "too many requests, try again in a minute"}, status=429)
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(HEAD_SECONDS) as request[_DEADLINE]:
                    return cast("web.StreamResponse", await handler(request))
            except web.RequestPayloadError:
                return answer({"error": BAD_BODY}, status=400)
            except TimeoutError:
                return answer({"error": f"the request took longer than {HEAD_SECONDS:g} s"}, status=408)

        return limit

    async def _health(self, _request: web.Request) -> web.Response:
        trouble = await self._server.database_trouble()
        return answer(
            {
                "status": "ok" if trouble is None else "degraded",
                **({} if trouble is None else {"reason": trouble}),
                "version": teleglyph.__version__,
                "protocol": "ACIP 1",
                "uptime_seconds": round(time.monotonic() - self._server.started_at, 1),
                "participants": sum(len(room) for room in self._server.rooms.values()),
            },
            status=200 if trouble is None else 503,
        )

    async def _statistics(self, request: web.Request) -> web.Response:
        if (refusal := self._refuse_reader(request)) is not None:
            return refusal
        return answer(
            {
                "rooms": [asdict(report) for report in self._server.reports()],
                "refused": dict(self._server.gate.refused),
                "rooms_open": len(self._server.relay.rooms),
                "players": len(self._server.players),
                "connections": len(self._server.participants),
                "tasks": len(asyncio.all_tasks()),
                **({} if self._server.events is None else {"events": self._server.events.statistics()}),
            }
        )

    def own_names(self, request: web.Request) -> OwnNames:
        """What this server is called on a request's connection."""
        asked = request.headers.get("Host", "")
        if self._names is None:
            return OwnNames(asked=asked)
        local = request.get_extra_info("sockname")
        return self._names.of(_client(request), str(local[0]) if isinstance(local, tuple) else "", asked)

    def _is_on_this_machine(self, request: web.Request) -> bool:
        """Whether a program on this machine asks, and no page that a browser on this machine has from elsewhere.

        A page can have its own name lead to this machine (DNS rebinding), but then it also asks for that name.
        """
        names, origin = self.own_names(request), request.headers.get("Origin")
        is_page_of_others = origin is not None and not names.is_own_url(origin)
        # HTTP/1.0 needs no Host header, and browsers do not speak it.
        return (
            _client(request).is_local and not is_page_of_others and (not names.asked or names.is_own_host(names.asked))
        )

    def _refuse_reader(self, request: web.Request) -> web.Response | None:
        """What somebody is told who may not read figures; None if they may."""
        if self._is_on_this_machine(request):
            return None
        if self._server.config.admin_token is None:
            return answer({"error": _LOCAL_ONLY}, status=403)
        return self._refuse_administrator(request)

    def _refuse_administrator(self, request: web.Request) -> web.Response | None:
        """What somebody is told who does not show the administrator's token; None if they do."""
        token, network = self._server.config.admin_token, network_of(request.remote or "")
        if token is None:
            return answer({"error": "start the server with --admin-token to allow this"}, status=403)
        wrong = {"error": "wrong token: Authorization: Bearer and the server's --admin-token"}
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return answer(wrong, status=403)
        if self._guesses.attempt(network, time.monotonic()) > 0:
            return answer({"error": "too many wrong tokens, try again later"}, status=429)
        if not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode()):
            self._guesses.failed(network, time.monotonic())
            return answer(wrong, status=403)
        self._guesses.succeeded(network, time.monotonic())
        return None

    async def _reload(self, request: web.Request) -> web.Response:
        """Read again what SIGHUP would."""
        if (refusal := self._refuse_administrator(request)) is not None:
            return refusal
        problems = await self._server.reload()
        return answer(
            {"games": [game.name for game in self._server.relay.games], "problems": problems},
            status=409 if problems else 200,
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        """A few gauges in Prometheus' text format."""
        from aiohttp import web

        if (refusal := self._refuse_reader(request)) is not None:
            return refusal
        server = self._server
        gauges = {
            "participants": sum(len(room) for room in server.rooms.values()),
            "rooms": len(server.relay.rooms),
            "players": len(server.players),
            "connections_refused_total": sum(server.gate.refused.values()),
        }
        text = "".join(f"teleglyph_{name} {value}\n" for name, value in gauges.items())
        return web.Response(text=text, headers={"Cache-Control": "no-store"})

    async def _rooms(self, request: web.Request) -> web.StreamResponse:
        """Upgrade to a WebSocket and play until it ends."""
        server = self._server
        if request.path.rstrip("/") == "/rooms" and "Upgrade" not in request.headers:
            return await self._pages.listed(request)
        if not server.relay.games:
            return answer({"error": "no games are played here: start the server with --game"}, status=404)
        return await self._upgrade(
            request,
            server.players.serve,
            server.players.limits.connection,
            origins=[*self._page_origins(request), *server.config.origins],
            subprotocols=[SUBPROTOCOL],
            max_message=server.players.max_message,
            too_large=TOO_LARGE_FRAMES,
        )

    def _page_origins(self, request: web.Request) -> list[str | None]:
        """Pages of this server, and clients that are not pages."""
        names = self.own_names(request)
        # On this machine a page from elsewhere could have its own name lead here (DNS rebinding).
        if _client(request).is_local and not names.is_own_host(names.asked):
            return [None]
        return same_origins(request)

    async def _upgrade(
        self,
        request: web.Request,
        serve: Callable[[Connection, WebSocketSession, str, OwnNames], Awaitable[None]],
        limits: ConnectionLimits,
        budget: OutboxBudget | None = None,
        **options: Any,
    ) -> web.StreamResponse:
        """Make a WebSocket of a request, if its address may connect, and serve it until it ends.

        Args:
            request: that asks for the WebSocket.
            serve: takes the connection, its session, the address as limits count it, and our names.
            limits: of the connection.
            budget: for its outbox; None for no other bound.
            options: of the session.
        """
        from teleglyph.server.http_requests import RequestHandler

        gate, peer = self._server.gate, request.remote or ""
        is_counted = peer == peer_name(request.transport)
        if (refusal := gate.refuse(peer, is_counted=is_counted)) is not None:
            return answer({"error": refusal}, status=429)
        session = WebSocketSession(request_head(request), **options)
        connection = take_over(request, session, limits, budget, gate.meter(peer))
        connection.stopwatch = stopwatch = cast(RequestHandler, request.protocol).stopwatch
        stopwatch.settle()
        stopwatch.charge = connection.charge
        if session.is_open:
            request[_DEADLINE].reschedule(None)
            with contextlib.ExitStack() as stack:
                if not is_counted:
                    stack.callback(gate.enter(peer))
                await serve(connection, session, network_of(peer), self.own_names(request))
        else:
            await connection.close(half_close=True)
        return _taken_over()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """The Nostr relay: a WebSocket, or what the relay says of itself (NIP-11)."""
        from aiohttp import web

        service, config = self._server.events, self._server.config
        is_upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        if service is None:
            if request.path == "/" and not is_upgrade:
                return _front_page()
            return answer({"error": "no events are kept here: start the server with --events"}, status=404)
        if not is_upgrade:
            if not accepts(request.headers.getall("Accept", []), _INFORMATION):
                return _front_page()
            from teleglyph.events.limits import information

            content = information(
                service.policy.profile(config.profile),
                service.limits,
                version=teleglyph.__version__,
                has_search=service.store.has_search,
                own_key="" if service.groups is None else service.groups.own_key,
                is_managed=service.management is not None,
                is_restricted=service.policy.restricts_writing,
            )
            return web.json_response(content, content_type=_INFORMATION, headers=_FROM_ANYWHERE)
        if service.policy.blocks(network_of(request.remote or "")):
            return answer({"error": "blocked: your address is blocked here"}, status=403)
        # Pages from anywhere may use a relay: whoever publishes signs, and nothing here depends on a cookie.
        return await self._upgrade(
            request,
            service.serve,
            service.limits.connection,
            service.budget,
            origins=[request.headers.get("Origin")],
            max_message=service.limits.max_message_length,
            compresses=config.event_compression,
        )

    async def _manage_events(self, request: web.Request) -> web.Response:
        """Management of the Nostr relay by its administrator (NIP-86)."""
        from aiohttp import web

        from teleglyph.events.http_auth import HttpRequest
        from teleglyph.events.management import ManagementRefusedError

        network, now = network_of(request.remote or ""), time.monotonic()
        try:
            management = self._management(request.content_type)
            if self._guesses.attempt(network, now) > 0:
                raise ManagementRefusedError("Too many wrong authentications came from here; try again later.", 429)
            authorization = request.headers.get("Authorization", "")
            is_guess = False
            try:
                try:
                    body = await request.read()
                except web.HTTPRequestEntityTooLarge:
                    raise ManagementRefusedError("The body is larger than 64 KiB.", 413) from None
                is_own_url = self.own_names(request).is_own_url
                target = HttpRequest(request.method, request.path_qs, authorization, body, is_own_url)
                result = await management.answer(target, time.time(), now)
            except ManagementRefusedError as error:
                is_guess = bool(authorization) and error.status in (401, 403)
                raise
            finally:
                settle = self._guesses.failed if is_guess else self._guesses.succeeded
                settle(network, now)
        except ManagementRefusedError as error:
            headers = {"WWW-Authenticate": "Nostr"} if error.status == 401 else {}
            content, status = {"error": str(error)}, error.status
        else:
            content, status, headers = {"result": result}, 200, {}
        headers = {**_FROM_ANYWHERE, "Cache-Control": "no-store", **headers}
        return web.json_response(content, status=status, headers=headers)

    def _management(self, content_type: str) -> Management:
        from teleglyph.events.management import ManagementRefusedError

        service = self._server.events
        if service is None:
            raise ManagementRefusedError("There is no Nostr relay here; start the server with --events.", 404)
        if content_type != _MANAGEMENT:
            raise ManagementRefusedError(f"The Content-Type of a request to manage the relay is {_MANAGEMENT}.", 415)
        if service.management is None:
            raise ManagementRefusedError("Nobody may manage this relay; start the server with --relay-admin NPUB.", 403)
        return service.management

    async def _event_options(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        return web.Response(status=204, headers=_FROM_ANYWHERE)


class HeadGuard:
    """Closes connections whose next request does not come, or comes too slowly; aiohttp itself waits for ever."""

    def __init__(self) -> None:
        self._since: dict[web.RequestHandler, float] = {}
        """Since when a connection has no request."""
        self._busy: set[web.RequestHandler] = set()

    @contextlib.contextmanager
    def busy(self, connection: web.RequestHandler) -> Iterator[None]:
        """While a request is answered, its connection may live."""
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            self._since.pop(connection, None)

    def close_idle(self, connections: Iterable[web.RequestHandler], now: float) -> None:
        """Close those whose time is over; to be called every second with all that are open."""
        idle = [connection for connection in connections if connection not in self._busy]
        self._since = {connection: self._since.get(connection, now) for connection in idle}
        surplus = len(idle) - _IDLE_CONNECTIONS
        for connection, since in sorted(self._since.items(), key=lambda item: item[1]):
            if now - since < HEAD_SECONDS and surplus <= 0:
                break
            surplus -= 1
            connection.force_close()


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Whether ``Accept`` headers name a media type, with a weight above 0 (RFC 9110, 12.5.1); wildcards do not count.

    Args:
        lines: the headers' values; together they are one list.
        media_type: in lower case, without parameters.
    """
    for element in _QUOTED.sub('""', ", ".join(lines)).split(","):
        name, *parameters = (part.strip(" \t").lower() for part in element.split(";"))
        weights = [value for part in parameters for key, _, value in [part.partition("=")] if key.strip() == "q"]
        if name == media_type and not any(_NO_WEIGHT.fullmatch(weight.strip()) for weight in weights):
            return True
    return False


def load_tls(certificate: Path, key: Path | None, context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """What TLS connections are made with.

    Args:
        certificate: PEM, with those of the authorities between it and the root.
        key: PEM; None if it stands in the same file.
        context: changed, if it is given.

    Raises:
        ConfigurationError: they cannot be read or do not belong together.
    """
    context = context or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty pass phrase rather than a question on the terminal, which would hold the server up.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificate '{certificate}'{f' with the key {str(key)!r}' if key else ''} cannot be used: "
            f"{getattr(error, 'reason', None) or error.strerror or error}"
        ) from error
    return context


def _spellings(*paths: str) -> list[str]:
    """Each path, also with a slash at its end."""
    return [spelling for path in paths for spelling in dict.fromkeys((path, path.rstrip("/") + "/"))]


def _client(request: web.Request) -> Client:
    client: Client = request[_CLIENT]
    return client


def _front_page() -> web.Response:
    from aiohttp import web

    return web.Response(text=f"Teleglyph {teleglyph.__version__}\n", headers={"Cache-Control": "no-store"})


def _taken_over() -> web.StreamResponse:
    """What a handler returns whose transport is gone: a response that is not sent."""
    from aiohttp import web

    class Nothing(web.Response):
        async def prepare(self, request: web.BaseRequest) -> None:
            return None

        async def write_eof(self, data: bytes = b"") -> None:
            return None

    return Nothing()
