"""WebSocket (RFC 6455) below :class:`~teleglyph.net.connection.Connection`, taken over from an HTTP server.

The protocol itself is the ``websockets`` package's, driven by bytes.  The HTTP server only answers the requests before:
once a client asks to upgrade, the transport is taken from it, so that here, too, nobody but the connection's writer
writes.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from teleglyph.errors import ConnectionLostError, ProtocolError
from teleglyph.net.connection import Connection, ConnectionLimits
from teleglyph.net.cost import CostMeter
from teleglyph.net.outbox import OutboxBudget
from teleglyph.net.tcp import tune
from teleglyph.wire.acip import Event

if TYPE_CHECKING:
    from aiohttp import web

_TEXT, _COMPRESSED = 0x81, 0x40
_COMPRESSION = 1
"""zlib's level: the fastest one takes most of what there is to take from a message of a kilobyte."""
_MAX_REASON = 123
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_quiet = logging.getLogger(f"{__name__}.frames")
"""At its debug level the package writes messages into the log, and with them players' tokens."""
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
    """A whole text message, as it came: UTF-8 is not checked."""

    data: bytes


def frame_binary(data: bytes) -> bytes:
    """The bytes of a server's binary message; equal for all clients, so make them once for a broadcast."""
    return Frame(Opcode.BINARY, data).serialize(mask=False)


def frame_text(data: bytes) -> bytes:
    """The bytes of a server's text message."""
    return text_head(len(data)) + data


def frame_compressed_text(data: bytes, window_bits: int) -> bytes:
    """The bytes of a server's text message that is compressed for itself (RFC 7692, 7.2.1).

    Args:
        data: the text in UTF-8.
        window_bits: size of the window that was agreed on, as a power of two, 9 to 15 (RFC 7692, 7.1.2.1).
    """
    deflate = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -window_bits)
    body = (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    return text_head(len(body), _TEXT | _COMPRESSED) + body


def text_head(size: int, first: int = 0x81) -> bytes:
    """What stands in front of a server's text message of so many bytes (RFC 6455, 5.2)."""
    if size < 126:
        return bytes([first, size])
    if size < 1 << 16:
        return bytes([first, 126]) + size.to_bytes(2, "big")
    return bytes([first, 127]) + size.to_bytes(8, "big")


def frame_close(code: int, reason: str) -> bytes:
    """The bytes of a close with a code and a reason, which is cut to what fits."""
    text = reason.encode()[:_MAX_REASON].decode("utf-8", "ignore")
    return Frame(Opcode.CLOSE, Close(code, text).serialize()).serialize(mask=False)


CLOSE_FRAME = Frame(Opcode.CLOSE, b"").serialize(mask=False)
"""A close without a code or a reason."""


_PARTIAL = PartialMessage()
_FEED_BYTES = 4096
"""That are parsed at once: at most some 700 frames, the smallest of which has 6 bytes."""


class WebSocketSession:
    """The server's side of one WebSocket, in the shape that a connection drives.

    Args:
        request: head of the HTTP request that asks for it, as it came.
        origins: where pages may come from that connect; None is a client that is no page.
        subprotocols: that are understood, the best first.
        max_message: bytes of one message.
        too_large: bytes of frames that are sent before the close when a message is larger than that.
        compresses: agree to permessage-deflate (RFC 7692) when the client offers it, each message for itself: a memory
            of earlier ones would cost every connection some hundred kilobytes, and no two could share a frame.

    Attributes:
        subprotocol: what was agreed on, or None.
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
            # A client that names only subprotocols unknown here is served all the same, without one.
            select_subprotocol=lambda _protocol, offered: next(
                (Subprotocol(name) for name in subprotocols if name in offered), None
            ),
            max_size=max_message,
            logger=_quiet,
        )
        self._too_large = too_large
        self._is_handling = False
        """The message that was given out last may still be answered."""
        self._parts = bytearray()
        self._opcode = Opcode.CONT
        """Of the message whose pieces come in; CONT between messages."""
        self._protocol.receive_data(request)
        head = next((event for event in self._protocol.events_received() if isinstance(event, Request)), None)
        if head is not None:
            response = self._protocol.accept(head)
            if (sentence := response.body.partition(b";")[0].rstrip(b".\n")) and response.status_code != 101:
                # Behind the semicolon the library repeats what the interpreter says.
                response.body = sentence + b".\n"
                del response.headers["Content-Length"]
                response.headers["Content-Length"] = str(len(response.body))
            self._protocol.send_response(response)

    @property
    def state(self) -> State:
        """Where the WebSocket is in its life."""
        return self._protocol.state

    @property
    def is_open(self) -> bool:
        """The client's request was accepted, and nobody closed yet."""
        return self._protocol.state is State.OPEN

    @property
    def is_finished(self) -> bool:
        """The close is among the bytes that were given out: nothing may follow it (RFC 6455, 5.5.1)."""
        return self._protocol.state is not State.OPEN and not self._protocol.writes

    @property
    def window_bits(self) -> int:
        """Size of the window that messages may be compressed with, as a power of two; 0: they may not be."""
        for extension in self._protocol.extensions:
            if isinstance(extension, PerMessageDeflate):
                return extension.local_max_window_bits
        return 0

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on, or None."""
        return self._protocol.subprotocol

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport."""
        self._protocol.receive_data(data)

    def data_to_send(self) -> bytes:
        """What the protocol itself has to say: the response to the request, pongs, the answer to a close.

        A close waits until the messages that came before it were handled, for their answers have to precede it.
        """
        protocol = self._protocol
        is_early = self._is_handling or self._has_messages
        if not protocol.writes or (protocol.state is not State.OPEN and is_early):
            return b""
        data = b"".join(protocol.data_to_send())
        return self._too_large + data if isinstance(protocol.parser_exc, PayloadTooBig) else data

    @property
    def _has_messages(self) -> bool:
        return any(isinstance(event, Frame) and event.opcode in _DATA for event in self._protocol.events)

    def next_event(self) -> Event | None:
        """The next message, or None while more bytes are needed.

        Raises:
            ConnectionLostError: the client closed.
            ProtocolError: it broke the protocol; ``data_to_send`` says so to it.
        """
        protocol = self._protocol
        self._is_handling = False
        while protocol.events:
            frame = protocol.events.pop(0)
            if not isinstance(frame, Frame):
                continue
            message = self._collect(frame)
            self._is_handling = message is not None
            return message or _PARTIAL
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            raise ProtocolError(f"the WebSocket protocol was broken: {protocol.parser_exc}")
        if protocol.state is not State.OPEN:
            raise ConnectionLostError("The client closed the WebSocket")
        return None

    def seal(self, packet: bytes) -> bytes:
        """The bytes of a binary message."""
        return frame_binary(packet)

    def ping(self) -> None:
        """Ask for a sign of life; it is among the bytes of :meth:`data_to_send`."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def _collect(self, frame: Frame) -> Event | None:
        if frame.opcode not in _DATA:
            return None
        if frame.fin and frame.opcode is not Opcode.CONT:
            return (BinaryMessage if frame.opcode is Opcode.BINARY else TextMessage)(bytes(frame.data))
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        # The parser has checked that all pieces together have no more bytes than a message may have; how many pieces
        # there are does not matter, for they take no other memory.
        self._parts += frame.data
        if not frame.fin:
            return None
        data, self._parts = bytes(self._parts), bytearray()
        return BinaryMessage(data) if self._opcode is Opcode.BINARY else TextMessage(data)


class _Takeover(asyncio.Protocol):
    """Stands where the HTTP server stood, which still has to learn of the end."""

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
    """Take the transport from the HTTP server and run a connection on it; the handler must stay until it is closed."""
    transport = cast(asyncio.Transport, request.transport)
    peer = request.remote or "unknown"
    connection = Connection(session, peer, limits, budget, meter=meter, feed_bytes=_FEED_BYTES)
    transport.set_protocol(_Takeover(connection, cast(Any, request.protocol)))
    tune(transport)
    connection.opened(transport)
    return connection


def request_head(request: web.Request) -> bytes:
    """The head of an HTTP request as it came, as far as the HTTP server kept it.

    A list of subprotocols without any is left out: it is an error for the WebSocket library, but not for us.
    """
    lines = [f"{request.method} {request.path_qs} HTTP/1.1".encode()]
    lines += [
        name + b": " + value
        for name, value in request.raw_headers
        if name.lower() != b"sec-websocket-protocol" or value.strip(b" \t,")
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def same_origins(request: web.Request) -> list[str | None]:
    """Pages of this very server, and clients that are no pages."""
    host = request.headers.get("Host", "")
    return [None, f"http://{host}", f"https://{host}"]
