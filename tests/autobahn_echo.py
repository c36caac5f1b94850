"""A WebSocket echo server made of the relay's own classes, for the Autobahn test suite.

``python tests/autobahn_echo.py`` prints its port and serves until it is stopped.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from teleglyph.errors import ConnectionLostError, PeerError
from teleglyph.net import Connection, ConnectionLimits, OutboxLimits
from teleglyph.net.websocket import (
    BinaryMessage,
    TextMessage,
    WebSocketSession,
    frame_binary,
    frame_close,
    frame_compressed_text,
    frame_text,
)
from teleglyph.net.websocket_server import ServerWebSocket, request_head, take_over

MAX_MESSAGE = 32 << 20
LIMITS = ConnectionLimits(
    packets_per_second=1e9,
    packet_burst=1e9,
    bytes_per_second=1e12,
    byte_burst=1e12,
    outbox=OutboxLimits(control_bytes=1 << 30, control_messages=1 << 30, soft_bytes=1 << 30, soft_messages=1 << 30),
)


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer every message with itself."""
    session = ServerWebSocket(
        request_head(request), origins=[request.headers.get("Origin")], max_message=MAX_MESSAGE, compresses=True
    )
    connection = take_over(request, session, LIMITS)
    try:
        async for message in connection:
            if isinstance(message, TextMessage):
                answer_text(connection, session, message.data)
            elif isinstance(message, BinaryMessage):
                connection.outbox.queue_raw(frame_binary(message.data))
    except (ConnectionLostError, PeerError):
        pass
    finally:
        await connection.close(half_close=True)
    return _Nothing()


def answer_text(connection: Connection, session: WebSocketSession, data: bytes) -> None:
    """Like the relay: text that is not UTF-8 closes the connection; messages are compressed if negotiated."""
    outbox = connection.outbox
    try:
        data.decode()
    except UnicodeDecodeError:
        outbox.queue_last(frame_close(1007, "a text is not UTF-8"))
        return
    framed = frame_compressed_text(data, session.window_bits) if session.window_bits else frame_text(data)
    outbox.queue_raw(framed)


class _Nothing(web.Response):
    """A response that satisfies aiohttp, whose transport was taken over."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def main() -> None:
    """Serve until cancelled."""
    app = web.Application()
    app.add_routes([web.get("/", echo)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
