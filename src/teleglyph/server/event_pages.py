"""The Nostr relay over HTTP: its WebSocket, its information document (NIP-11) and its management (NIP-86)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import teleglyph
from teleglyph.net import network_of
from teleglyph.server.accept_header import accepts
from teleglyph.server.access import HttpAccess
from teleglyph.server.http_answers import json_answer, with_trailing_slash
from teleglyph.server.services import Services
from teleglyph.server.upgrades import Upgrader

if TYPE_CHECKING:
    from aiohttp import web

    from teleglyph.events.management import Management

_PATHS = ("/", "/events")
_INFORMATION = "application/nostr+json"
_MANAGEMENT = "application/nostr+json+rpc"
_FROM_ANYWHERE = {
    "Access-Control-Allow-Origin": "*",
    # The star does not include Authorization (Fetch standard).
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
}


class EventPages:
    """The pages; :meth:`routes` has their addresses.

    Args:
        services: have the relay.
        access: limits wrong authentications, and knows the server's names.
        upgrader: opens WebSockets.
        front: answers requests for ``/`` that are not for the relay.
    """

    def __init__(
        self,
        services: Services,
        access: HttpAccess,
        upgrader: Upgrader,
        front: Callable[[web.Request], web.Response],
    ) -> None:
        self._services = services
        self._access = access
        self._upgrader = upgrader
        self._front = front

    def routes(self) -> list[web.RouteDef]:
        """The routes, for an aiohttp application."""
        from aiohttp import web

        return [
            *(web.get(path, self._events) for path in with_trailing_slash(*_PATHS)),
            *(web.options(path, self._options) for path in with_trailing_slash(*_PATHS)),
            *(web.post(path, self._manage) for path in with_trailing_slash(*_PATHS)),
        ]

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Serve the relay's WebSocket, or its information document (NIP-11)."""
        from aiohttp import web

        service, config = self._services.events, self._services.config
        is_upgrade = "websocket" in request.headers.get("Upgrade", "").lower()
        if service is None:
            if request.path == "/" and not is_upgrade:
                return self._front(request)
            return json_answer(
                {"error": "There is no Nostr relay here. To run one, start the server with --events."}, status=404
            )
        if not is_upgrade:
            if not accepts(request.headers.getall("Accept", []), _INFORMATION):
                return self._front(request)
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
            return json_answer({"error": "blocked: your address is blocked here"}, status=403)
        # Pages of any origin may use a relay: events are signed, and nothing here depends on cookies.
        return await self._upgrader.upgrade(
            request,
            service.serve,
            service.limits.connection,
            service.budget,
            origins=[request.headers.get("Origin")],
            max_message=service.limits.max_message_length,
            compresses=config.event_compression,
        )

    async def _manage(self, request: web.Request) -> web.Response:
        """Handle a management request of the relay's administrator (NIP-86)."""
        from aiohttp import web

        from teleglyph.events.http_auth import HttpRequest
        from teleglyph.events.management import ManagementRefusedError

        network, now = network_of(request.remote or ""), time.monotonic()
        try:
            management = self._management(request.content_type)
            if self._access.guesses.attempt(network, now) > 0:
                raise ManagementRefusedError("Too many wrong authentications from your address; try again later.", 429)
            authorization = request.headers.get("Authorization", "")
            is_guess = False
            try:
                try:
                    body = await request.read()
                except web.HTTPRequestEntityTooLarge:
                    raise ManagementRefusedError("The body is larger than 64 KiB.", 413) from None
                is_own_url = self._access.own_names(request).is_own_url
                target = HttpRequest(request.method, request.path_qs, authorization, body, is_own_url)
                result = await management.answer(target, time.time(), now)
            except ManagementRefusedError as error:
                is_guess = bool(authorization) and error.status in (401, 403)
                raise
            finally:
                record = self._access.guesses.failed if is_guess else self._access.guesses.succeeded
                record(network, now)
        except ManagementRefusedError as error:
            headers = {"WWW-Authenticate": "Nostr"} if error.status == 401 else {}
            content, status = {"error": str(error)}, error.status
        else:
            content, status, headers = {"result": result}, 200, {}
        headers = {**_FROM_ANYWHERE, "Cache-Control": "no-store", **headers}
        return web.json_response(content, status=status, headers=headers)

    def _management(self, content_type: str) -> Management:
        from teleglyph.events.management import ManagementRefusedError

        service = self._services.events
        if service is None:
            raise ManagementRefusedError("There is no Nostr relay here; start the server with --events.", 404)
        if content_type != _MANAGEMENT:
            raise ManagementRefusedError(f"The Content-Type of a management request must be {_MANAGEMENT}.", 415)
        if service.management is None:
            raise ManagementRefusedError("Nobody may manage this relay; start the server with --relay-admin NPUB.", 403)
        return service.management

    async def _options(self, _request: web.Request) -> web.Response:
        from aiohttp import web

        return web.Response(status=204, headers=_FROM_ANYWHERE)
