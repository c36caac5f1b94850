"""Calls over WebSocket (docs/protocol/websocket.md, docs/protocol/page.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teleglyph.errors import CallRoomError
from teleglyph.net.acip_websocket import LIKE_TCP, MAX_MESSAGE, PAGE, SUBPROTOCOLS, AcipWebSocket
from teleglyph.net.websocket_server import ServerWebSocket, request_head, take_over
from teleglyph.server.access import HttpAccess
from teleglyph.server.http_answers import json_answer, with_trailing_slash
from teleglyph.server.services import Services
from teleglyph.server.upgrades import Upgrader
from teleglyph.wire.acip.session import ServerRole

if TYPE_CHECKING:
    from aiohttp import web

PATH = "/call"


class CallPages:
    """The WebSockets of calls; :meth:`routes` has their addresses.

    Args:
        services: have the calls.
        access: knows the origins that may connect.
        upgrader: runs WebSockets.
    """

    def __init__(self, services: Services, access: HttpAccess, upgrader: Upgrader) -> None:
        self._services = services
        self._access = access
        self._upgrader = upgrader

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application; :attr:`by_subprotocol` serves any other path."""
        from aiohttp import web

        return [
            *(web.get(path, self._lobby) for path in with_trailing_slash(PATH)),
            *(web.get(path, self._room) for path in with_trailing_slash(f"{PATH}/{{room}}")),
        ]

    @property
    def by_subprotocol(self) -> Any:
        """Middleware that takes requests for calls on paths of other services; ascii-chat's client uses ``/``."""
        from aiohttp import web

        @web.middleware
        async def by_subprotocol(request: web.Request, handler: Any) -> web.StreamResponse:
            is_own_path = request.path == PATH or request.path.startswith(f"{PATH}/")
            if is_own_path or not (_is_upgrade(request) and _offers_call(request)):
                response: web.StreamResponse = await handler(request)
                return response
            return await self._lobby(request)

        return by_subprotocol

    async def _lobby(self, request: web.Request) -> web.StreamResponse:
        return await self._join(request, "")

    async def _room(self, request: web.Request) -> web.StreamResponse:
        return await self._join(request, request.match_info["room"])

    async def _join(self, request: web.Request, room: str) -> web.StreamResponse:
        calls, peer = self._services.calls, request.remote or ""
        # Scripts of pages cannot read the answer to an upgrade, so a plain request learns the reason, too.
        if (refusal := calls.refuse(peer, is_counted=self._upgrader.is_counted(request))) is not None:
            return json_answer({"error": f"{refusal.text.rstrip('.')}."}, status=429 if refusal.is_silent else 503)
        if not _is_upgrade(request):
            text = "Calls need a WebSocket. Join with a client: teleglyph client ws://HOST:PORT."
            return json_answer({"error": text}, status=426)
        has_page, offered = self._services.config.page, _offered(request)
        if not has_page and offered and all(name == PAGE for name in offered):
            return json_answer({"error": "This server does not admit browsers: it runs with --no-page."}, status=403)
        websocket = ServerWebSocket(
            request_head(request),
            origins=self._access.origins(request),
            subprotocols=(PAGE, *SUBPROTOCOLS) if has_page else SUBPROTOCOLS,
            max_message=MAX_MESSAGE,
        )
        guard = calls.guard(peer)
        acip: ServerRole
        if websocket.subprotocol == PAGE:
            acip = calls.page_session(guard, room)
        else:
            if websocket.is_open and (reason := calls.refuse_acip(peer)) is not None:
                return json_answer({"error": reason}, status=403)
            try:
                access = calls.access(room)
            except CallRoomError as error:
                return json_answer({"error": str(error)}, status=404)
            acip = calls.session(guard, access, speaks_first=websocket.subprotocol != LIKE_TCP)
        session = AcipWebSocket(websocket, acip)
        limits = self._services.config.connection
        connection = take_over(request, session, limits, meter=self._services.gate.meter(peer))
        connection.envelope = session
        guard.connection = connection

        async def serve() -> None:
            await calls.start(connection, acip, guard, room=room)

        return await self._upgrader.run(request, connection, websocket, serve)


def _is_upgrade(request: web.Request) -> bool:
    return "websocket" in request.headers.get("Upgrade", "").lower()


def _offered(request: web.Request) -> list[str]:
    """The sub-protocols that a client offers."""
    names = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    return [name.strip() for name in names if name.strip()]


def _offers_call(request: web.Request) -> bool:
    return any(name in SUBPROTOCOLS for name in _offered(request))
