"""The server's side of WebSockets (RFC 6455), taken over from an HTTP server.

The HTTP server answers requests until a client asks to upgrade.  Then the transport is taken from it, so that only
the connection's writer writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from teleglyph.net.connection import Connection
from teleglyph.net.cost import CostMeter
from teleglyph.net.outbox import OutboxBudget
from teleglyph.net.tcp import ConnectionProtocol
from teleglyph.net.traffic import ConnectionLimits
from teleglyph.net.transport import ByteSession
from teleglyph.net.websocket import FEED_BYTES, WebSocketSession, quiet

if TYPE_CHECKING:
    from aiohttp import web


class ServerWebSocket(WebSocketSession):
    """The server's side of one WebSocket.

    Args:
        request: the head of the HTTP upgrade request, as received.
        origins: allowed origins of web pages; None allows clients that are not web pages.
        subprotocols: supported ones, preferred first.
        max_message: maximum bytes of one message.
        too_large: frames to send before the close when a message is larger than that.
        compresses: accept permessage-deflate (RFC 7692) without context.  A context would cost every connection some
            hundred kilobytes, and connections could not share frames.
    """

    def __init__(
        self,
        request: bytes,
        *,
        origins: Sequence[str | None],
        subprotocols: Sequence[str] = (),
        max_message: int,
        too_large: bytes = b"",
        compresses: bool = False,
    ) -> None:
        deflate = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
        protocol = ServerProtocol(
            extensions=[deflate] if compresses else None,
            origins=[None if origin is None else Origin(origin) for origin in origins],
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            # A client that offers only unknown subprotocols is served without one.
            select_subprotocol=lambda _protocol, offered: next(
                (Subprotocol(name) for name in subprotocols if name in offered), None
            ),
            max_size=max_message,
            logger=quiet,
        )
        super().__init__(protocol, too_large)
        protocol.receive_data(request)
        head = next((event for event in protocol.events_received() if isinstance(event, Request)), None)
        if head is not None:
            response = protocol.accept(head)
            if (sentence := response.body.partition(b";")[0].rstrip(b".\n")) and response.status_code != 101:
                # After the semicolon the library quotes the interpreter's error.
                response.body = sentence + b".\n"
                del response.headers["Content-Length"]
                response.headers["Content-Length"] = str(len(response.body))
            protocol.send_response(response)


class _Takeover(ConnectionProtocol):
    """Takes the HTTP server's place, and tells it when the connection ends."""

    def __init__(self, connection: Connection, http: asyncio.Protocol) -> None:
        super().__init__(connection)
        self._http = http

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._http.connection_lost(exc)


def take_over(
    request: web.Request,
    session: ByteSession,
    limits: ConnectionLimits | None = None,
    budget: OutboxBudget | None = None,
    meter: CostMeter | None = None,
) -> Connection:
    """Take the transport from the HTTP server and run a connection on it.  The handler must outlive it."""
    transport = cast(asyncio.Transport, request.transport)
    peer = request.remote or "unknown"
    connection = Connection(session, peer, limits, budget, meter=meter, feed_bytes=FEED_BYTES)
    protocol = _Takeover(connection, cast(Any, request.protocol))
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return connection


def request_head(request: web.Request) -> bytes:
    """The head of an HTTP request, rebuilt from the parts that the HTTP server keeps.

    An empty list of subprotocols is left out, because the WebSocket library rejects it.
    """
    lines = [f"{request.method} {request.path_qs} HTTP/1.1".encode()]
    lines += [
        name + b": " + value
        for name, value in request.raw_headers
        if name.lower() != b"sec-websocket-protocol" or value.strip(b" \t,")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"
