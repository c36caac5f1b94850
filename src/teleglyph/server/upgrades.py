"""Turns HTTP requests into WebSocket connections."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from teleglyph.net import Connection, ConnectionLimits, OutboxBudget, OwnNames, network_of
from teleglyph.net.websocket import WebSocketSession
from teleglyph.net.websocket_server import ServerWebSocket, request_head, take_over
from teleglyph.server.access import HttpAccess
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.http_answers import DEADLINE, json_answer

if TYPE_CHECKING:
    from aiohttp import web


class Upgrader:
    """Upgrades requests to WebSockets.

    Args:
        gate: limits the connections of each address.
        access: knows the server's names.
    """

    def __init__(self, gate: AddressGate, access: HttpAccess) -> None:
        self._gate = gate
        self._access = access

    async def upgrade(
        self,
        request: web.Request,
        serve: Callable[[Connection, WebSocketSession, str, OwnNames], Awaitable[None]],
        limits: ConnectionLimits,
        budget: OutboxBudget | None = None,
        **options: Any,
    ) -> web.StreamResponse:
        """Upgrade a request to a WebSocket, if its address may connect, and serve it until it closes.

        Args:
            request: for a WebSocket.
            serve: gets the connection, its session, the address as limits count it, and the server's names.
            limits: of the connection.
            budget: of the connection's outbox; None for no shared budget.
            **options: of the session.
        """
        from teleglyph.server.http_requests import RequestHandler

        gate, peer = self._gate, request.remote or ""
        if (refusal := gate.refuse(peer, is_counted=self.is_counted(request))) is not None:
            return json_answer({"error": refusal}, status=429)
        session = ServerWebSocket(request_head(request), **options)
        connection = take_over(request, session, limits, budget, gate.meter(peer))
        connection.use_stopwatch(cast(RequestHandler, request.protocol).stopwatch)
        own_names = self._access.own_names(request)
        return await self.run(
            request,
            connection,
            session,
            lambda: serve(connection, session, network_of(peer), own_names),
        )

    def is_counted(self, request: web.Request) -> bool:
        """Whether a request's connection counts for its address already: no proxy's header names another one."""
        from teleglyph.server.http_requests import RequestHandler

        return request.remote == cast(RequestHandler, request.protocol).client.address

    async def run(
        self,
        request: web.Request,
        connection: Connection,
        websocket: WebSocketSession,
        serve: Callable[[], Awaitable[None]],
    ) -> web.StreamResponse:
        """Serve a request whose transport was taken over until its WebSocket closes, without the request's deadline.

        Args:
            request: for the WebSocket.
            connection: on the request's transport.
            websocket: the WebSocket of the connection.
            serve: called if the request was accepted.
        """
        if websocket.is_open:
            request[DEADLINE].reschedule(None)
            with contextlib.ExitStack() as stack:
                if not self.is_counted(request):
                    stack.callback(self._gate.enter(request.remote or ""))
                await serve()
        else:
            await connection.close(half_close=True)
        return _taken_over()


def _taken_over() -> web.StreamResponse:
    """A response that is not sent, for a handler whose transport was taken over."""
    from aiohttp import web

    class Nothing(web.Response):
        async def prepare(self, request: web.BaseRequest) -> None:
            return None

        async def write_eof(self, data: bytes = b"") -> None:
            return None

    return Nothing()
