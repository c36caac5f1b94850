"""The HTTP pages of a discovery service: WebSockets for clients, and its figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, cast

import teleglyph
from teleglyph.discovery.names import is_name
from teleglyph.discovery.service.service import DiscoveryService
from teleglyph.discovery.stun import StunResponder
from teleglyph.errors import RateLimitError
from teleglyph.net.acip_websocket import SERVER_FIRST, AcipWebSocket
from teleglyph.net.forwarding import is_trusted
from teleglyph.net.websocket_server import ServerWebSocket, request_head, take_over
from teleglyph.server.access import HttpAccess
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.discovery_config import DiscoveryConfig
from teleglyph.server.discovery_door import DiscoveryDoor
from teleglyph.server.http import HttpFront
from teleglyph.server.http_answers import client_of_request, json_answer, with_trailing_slash
from teleglyph.server.tls_certificate import ServerTls
from teleglyph.server.upgrades import Upgrader
from teleglyph.server.web_pages import WebPages
from teleglyph.wire.acip import HEADER
from teleglyph.wire.discovery import MAX_DISCOVERY_PAYLOAD
from teleglyph.wire.discovery.server_session import DiscoveryServerSession

if TYPE_CHECKING:
    from aiohttp import web

PATH = "/discovery"
DISCOVERY_PAGE = "teleglyph.discovery"
"""The sub-protocol of our own page."""
PAGE_MARK = b'<meta name="teleglyph-discovery" content="1" />'
"""By this the page learns that it comes from a discovery service."""
_NOT_FOUND = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Not found</title>
<p>There is no such page. The name of a call has three words, such as /quiet-river-stone.</p>
<p><a href="/">Enter the three words</a></p>
"""


class DiscoveryServices(Protocol):
    """A running discovery service, as its pages see it."""

    config: DiscoveryConfig
    gate: AddressGate
    service: DiscoveryService
    door: DiscoveryDoor
    stun: list[StunResponder]
    """STUN servers, one for each address."""
    started_at: float
    """On the monotonic clock."""

    async def database_trouble(self) -> str | None:
        """Why the database does not work, as a sentence for people; None if it works."""


def discovery_http(services: DiscoveryServices, tls: ServerTls) -> HttpFront:
    """The HTTP of a discovery service.

    Args:
        services: that the pages show.
        tls: its certificate.
    """
    access = HttpAccess(services.config)
    upgrader = Upgrader(services.gate, access)
    clients = ClientPages(services, access, upgrader)
    web_pages = WebPages(services.config.page, tls, PAGE_MARK, _check_name, _NOT_FOUND)
    pages = (clients, DiscoveryStatusPages(services, access, web_pages), web_pages)
    return HttpFront(services.config, services.gate, tls, access, pages, web_pages, [clients.by_subprotocol])


def _check_name(name: str) -> None:
    if not is_name(name):
        raise ValueError(name)


class ClientPages:
    """WebSockets of clients: our page at ``/discovery``, and ascii-chat's programs at any path.

    Args:
        services: have the door.
        access: knows the origins that may connect.
        upgrader: runs WebSockets.
    """

    def __init__(self, services: DiscoveryServices, access: HttpAccess, upgrader: Upgrader) -> None:
        self._services = services
        self._access = access
        self._upgrader = upgrader

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application; :attr:`by_subprotocol` serves ascii-chat's programs elsewhere."""
        from aiohttp import web

        return [web.get(path, self._connect) for path in with_trailing_slash(PATH)]

    @property
    def by_subprotocol(self) -> Any:
        """Middleware that takes WebSockets of ascii-chat's programs on any path; they use ``/``."""
        from aiohttp import web

        @web.middleware
        async def by_subprotocol(request: web.Request, handler: Any) -> web.StreamResponse:
            if _is_upgrade(request) and SERVER_FIRST in _offered(request):
                return await self._connect(request)
            return cast("web.StreamResponse", await handler(request))

        return by_subprotocol

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        services, peer = self._services, request.remote or ""
        if (refusal := services.door.refuse(peer, is_counted=self._upgrader.is_counted(request))) is not None:
            return json_answer({"error": str(refusal)}, status=429 if isinstance(refusal, RateLimitError) else 503)
        if not _is_upgrade(request):
            return json_answer({"error": "The discovery service needs a WebSocket here."}, status=426)
        is_private = self._is_private(request)
        offered = _offered(request)
        if DISCOVERY_PAGE in offered and not is_private:
            text = "The page needs https here. Start the service with --tls-cert, or put a proxy in front of it."
            return json_answer({"error": text}, status=403)
        websocket = ServerWebSocket(
            request_head(request),
            origins=self._access.origins(request),
            subprotocols=(DISCOVERY_PAGE, SERVER_FIRST),
            max_message=HEADER.size + MAX_DISCOVERY_PAYLOAD,
        )
        if websocket.subprotocol == DISCOVERY_PAGE:
            acip = DiscoveryServerSession.over_page()
        else:
            config = services.config
            acip = DiscoveryServerSession.over_acip(
                config.identities, allow_plaintext=is_private or config.allow_plaintext
            )
        session = AcipWebSocket(websocket, acip)
        connection = take_over(request, session, services.config.connection, meter=services.gate.meter(peer))
        connection.envelope = session

        async def serve() -> None:
            await services.door.start(connection, acip, is_private=is_private)

        return await self._upgrader.run(request, connection, websocket, serve)

    def _is_private(self, request: web.Request) -> bool:
        """Whether nobody else reads the connection: TLS, this machine, or a trusted proxy that says https."""
        from teleglyph.server.http_requests import RequestHandler

        if request.secure or client_of_request(request).is_local:
            return True
        neighbour = cast(RequestHandler, request.protocol).client.address
        is_proxied = is_trusted(neighbour, self._services.config.trusted_proxies)
        forwarded = request.headers.getall("X-Forwarded-Proto", [])
        return is_proxied and bool(forwarded) and all(value.strip().lower() == "https" for value in forwarded)


class DiscoveryStatusPages:
    """``/``, and ``GET /health``, ``/statistics`` and ``/metrics``.

    Args:
        services: that they report on.
        access: decides who may read figures.
        page: has the front page.
    """

    def __init__(self, services: DiscoveryServices, access: HttpAccess, page: WebPages) -> None:
        self._services = services
        self._access = access
        self._page = page

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application."""
        from aiohttp import web

        return [
            web.get("/", self._front),
            *(web.get(path, self._health) for path in with_trailing_slash("/health")),
            *(web.get(path, self._statistics) for path in with_trailing_slash("/statistics")),
            *(web.get(path, self._metrics) for path in with_trailing_slash("/metrics")),
        ]

    async def _front(self, request: web.Request) -> web.Response:
        return self._page.front(request)

    async def _health(self, _request: web.Request) -> web.Response:
        trouble = await self._services.database_trouble()
        return json_answer(
            {
                "status": "ok" if trouble is None else "degraded",
                **({} if trouble is None else {"reason": trouble}),
                "version": teleglyph.__version__,
                "service": "discovery",
                "uptime_seconds": round(time.monotonic() - self._services.started_at, 1),
            },
            status=200 if trouble is None else 503,
        )

    async def _statistics(self, request: web.Request) -> web.Response:
        if (refusal := self._access.refuse_reader(request)) is not None:
            return refusal
        service = self._services.service
        counters = {one.name: getattr(service.state.counters, one.name) for one in fields(service.state.counters)}
        return json_answer({**service.gauges(), **counters, "connections_refused": dict(self._services.gate.refused)})

    async def _metrics(self, request: web.Request) -> web.Response:
        """Prometheus's text format."""
        from aiohttp import web

        if (refusal := self._access.refuse_reader(request)) is not None:
            return refusal
        text = "".join(line + "\n" for line in metrics(self._services))
        return web.Response(text=text, headers={"Cache-Control": "no-store"})


def metrics(services: DiscoveryServices) -> Iterator[str]:
    """The lines of ``/metrics``."""
    service = services.service
    for name, value in service.gauges().items():
        yield f"teleglyph_discovery_{name} {value}"
    yield f"teleglyph_discovery_sessions_max {service.state.limits.max_sessions}"
    counters = service.state.counters
    yield from _labelled("requests_total", "kind", counters.requests)
    yield from _labelled("refused_total", "reason", counters.refused)
    yield from _labelled("relayed_total", "type", counters.relayed)
    yield from _labelled("probes_total", "result", counters.probes)
    yield from _labelled("connections_refused_total", "reason", services.gate.refused)
    for name in ("created", "reregistered", "ended", "expired"):
        yield f"teleglyph_discovery_sessions_{name}_total {getattr(counters, name)}"
    yield f"teleglyph_discovery_hosts_lost_total {counters.hosts_lost}"
    yield f"teleglyph_discovery_relayed_bytes_total {counters.relayed_bytes}"
    yield f"teleglyph_discovery_undelivered_total {counters.undelivered}"
    if services.stun:
        names = ("answered", "refused", "invalid", "limited", "dropped")
        totals = {name: sum(getattr(one.counters, name) for one in services.stun) for name in names}
        yield from _labelled("stun_total", "result", totals)


def _labelled(name: str, label: str, values: Mapping[str, int]) -> Iterator[str]:
    for key, value in sorted(values.items()):
        yield f'teleglyph_discovery_{name}{{{label}="{key}"}} {value}'


def _is_upgrade(request: web.Request) -> bool:
    return "websocket" in request.headers.get("Upgrade", "").lower()


def _offered(request: web.Request) -> list[str]:
    """The sub-protocols that a client offers."""
    names = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    return [name.strip() for name in names if name.strip()]
