"""WebSocket (RFC 6455) below :class:`~teleglyph.net.connection.Connection`, taken over from an HTTP server.

The ``websockets`` package implements the protocol, driven by bytes.  The HTTP server answers requests until a client
asks to upgrade.  Then the transport is taken from it, so that only the connection's writer writes.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import DATA_OPCODES, Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from teleglyph.errors import ConnectionLostError, ProtocolError
from teleglyph.net import websockets_internals as internals
from teleglyph.net.connection import Connection
from teleglyph.net.cost import CostMeter
from teleglyph.net.outbox import OutboxBudget
from teleglyph.net.tcp import configure_socket
from teleglyph.net.traffic import ConnectionLimits
from teleglyph.wire.acip import Event

if TYPE_CHECKING:
    from aiohttp import web

_TEXT, _COMPRESSED = 0x81, 0x40
_COMPRESSION = 1
"""zlib's level: the fastest one is nearly as good as the others for messages of a kilobyte."""
_MAX_REASON = 123
_quiet = logging.getLogger(f"{__name__}.frames")
"""At debug level the package would log whole messages, including players' tokens."""
_quiet.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class BinaryMessage(Event):
    """A whole binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartialMessage(Event):
    """A frame that is not a whole message: a ping, a pong or a fragment.  It counts like a message for limits."""


@dataclass(frozen=True, slots=True)
class TextMessage(Event):
    """A whole text message as received; its UTF-8 is not checked."""

    data: bytes


def frame_binary(data: bytes) -> bytes:
    """The bytes of a server's binary message.  They are equal for all clients: build them once for a broadcast."""
    return internals.serialize(Opcode.BINARY, data)


def frame_text(data: bytes) -> bytes:
    """The bytes of a server's text message."""
    return text_head(len(data)) + data


def frame_compressed_text(data: bytes, window_bits: int) -> bytes:
    """The bytes of a server's text message, compressed without context (RFC 7692, 7.2.1).

    Args:
        data: the text, in UTF-8.
        window_bits: the agreed size of the window, as a power of two, 9 to 15 (RFC 7692, 7.1.2.1).
    """
    deflate = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -window_bits)
    body = (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    return text_head(len(body), _TEXT | _COMPRESSED) + body


def text_head(size: int, first: int = 0x81) -> bytes:
    """The frame header of a server's text message of ``size`` bytes (RFC 6455, 5.2)."""
    if size < 126:
        return bytes([first, size])
    if size < 1 << 16:
        return bytes([first, 126]) + size.to_bytes(2, "big")
    return bytes([first, 127]) + size.to_bytes(8, "big")


def frame_close(code: int, reason: str) -> bytes:
    """The bytes of a close frame with a code and a reason, which is cut if it is too long."""
    text = reason.encode()[:_MAX_REASON].decode("utf-8", "ignore")
    return internals.serialize(Opcode.CLOSE, Close(code, text).serialize())


CLOSE_FRAME = internals.serialize(Opcode.CLOSE, b"")
"""A close frame without a code or a reason."""


_PARTIAL = PartialMessage()
_FEED_BYTES = 4096
"""Bytes parsed at once: at most about 700 frames, since the smallest one has 6 bytes."""


class WebSocketSession:
    """The server's side of one WebSocket (a :class:`~teleglyph.net.transport.ByteSession`).

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
        self._protocol = ServerProtocol(
            extensions=[deflate] if compresses else None,
            origins=[None if origin is None else Origin(origin) for origin in origins],
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            # A client that offers only unknown subprotocols is served without one.
            select_subprotocol=lambda _protocol, offered: next(
                (Subprotocol(name) for name in subprotocols if name in offered), None
            ),
            max_size=max_message,
            logger=_quiet,
        )
        self._too_large = too_large
        self._is_handling = False
        """Whether the last message returned may still be answered."""
        self._parts = bytearray()
        self._opcode = Opcode.CONT
        """Opcode of the fragmented message being received; CONT between messages."""
        self._protocol.receive_data(request)
        head = next((event for event in self._protocol.events_received() if isinstance(event, Request)), None)
        if head is not None:
            response = self._protocol.accept(head)
            if (sentence := response.body.partition(b";")[0].rstrip(b".\n")) and response.status_code != 101:
                # After the semicolon the library quotes the interpreter's error.
                response.body = sentence + b".\n"
                del response.headers["Content-Length"]
                response.headers["Content-Length"] = str(len(response.body))
            self._protocol.send_response(response)

    @property
    def state(self) -> State:
        """The state of the WebSocket."""
        return self._protocol.state

    @property
    def is_open(self) -> bool:
        """Whether the request was accepted and neither side has closed yet."""
        return self._protocol.state is State.OPEN

    @property
    def is_finished(self) -> bool:
        """Whether the close frame was returned, so that nothing may follow it (RFC 6455, 5.5.1)."""
        return self._protocol.state is not State.OPEN and not internals.has_output(self._protocol)

    @property
    def window_bits(self) -> int:
        """The size of the window for compressing messages, as a power of two; 0: messages must not be compressed."""
        return internals.window_bits(self._protocol)

    @property
    def subprotocol(self) -> str | None:
        """The agreed subprotocol, or None."""
        return self._protocol.subprotocol

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport."""
        self._protocol.receive_data(data)

    def data_to_send(self) -> bytes:
        """The protocol's own bytes: the response to the request, pongs, the answer to a close.

        A close waits until earlier messages are handled, because their answers have to precede it.
        """
        protocol = self._protocol
        if not internals.has_output(protocol):
            return b""
        if protocol.state is not State.OPEN and (self._is_handling or internals.has_data_frames(protocol)):
            return b""
        data = b"".join(protocol.data_to_send())
        return self._too_large + data if internals.is_too_large(protocol) else data

    def next_event(self) -> Event | None:
        """The next message, or None while more bytes are needed.

        Raises:
            ConnectionLostError: the client closed.
            ProtocolError: it violated the protocol; ``data_to_send`` returns the close frame.
        """
        protocol = self._protocol
        self._is_handling = False
        if (frame := internals.take_frame(protocol)) is not None:
            message = self._collect(frame)
            self._is_handling = message is not None
            return message or _PARTIAL
        if (error := internals.parse_error(protocol)) is not None:
            raise ProtocolError(f"The peer violated the WebSocket protocol: {error}")
        if protocol.state is not State.OPEN:
            raise ConnectionLostError("The client closed the WebSocket")
        return None

    def seal(self, packet: bytes) -> bytes:
        """The bytes of a binary message."""
        return frame_binary(packet)

    def ping(self) -> None:
        """Add a ping to the bytes of :meth:`data_to_send`."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def _collect(self, frame: Frame) -> Event | None:
        if frame.opcode not in DATA_OPCODES:
            return None
        if frame.fin and frame.opcode is not Opcode.CONT:
            return (BinaryMessage if frame.opcode is Opcode.BINARY else TextMessage)(bytes(frame.data))
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        # The parser has checked the size of all fragments together.  Their number does not matter: only their bytes
        # take memory.
        self._parts += frame.data
        if not frame.fin:
            return None
        data, self._parts = bytes(self._parts), bytearray()
        return BinaryMessage(data) if self._opcode is Opcode.BINARY else TextMessage(data)


class _Takeover(asyncio.Protocol):
    """Takes the HTTP server's place, and tells it when the connection ends."""

    def __init__(self, connection: Connection, http: asyncio.BaseProtocol) -> None:
        self._connection = connection
        self._http = http

    def data_received(self, data: bytes) -> None:
        self._connection.bytes_received(data)

    def pause_writing(self) -> None:
        self._connection.writing_paused()

    def resume_writing(self) -> None:
        self._connection.writing_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.closed()
        self._http.connection_lost(exc)


def take_over(
    request: web.Request,
    session: WebSocketSession,
    limits: ConnectionLimits | None = None,
    budget: OutboxBudget | None = None,
    meter: CostMeter | None = None,
) -> Connection:
    """Take the transport from the HTTP server and run a connection on it.  The handler must outlive it."""
    transport = cast(asyncio.Transport, request.transport)
    peer = request.remote or "unknown"
    connection = Connection(session, peer, limits, budget, meter=meter, feed_bytes=_FEED_BYTES)
    transport.set_protocol(_Takeover(connection, cast(Any, request.protocol)))
    configure_socket(transport)
    connection.opened(transport)
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


def same_origins(request: web.Request) -> list[str | None]:
    """The origins of this server's own pages, and None for clients that are not web pages."""
    host = request.headers.get("Host", "")
    return [None, f"http://{host}", f"https://{host}"]
