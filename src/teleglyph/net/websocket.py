"""WebSocket (RFC 6455) below :class:`~teleglyph.net.connection.Connection`, for both roles.

The ``websockets`` package implements the protocol, driven by bytes.  ``websocket_server`` and ``websocket_client``
have the roles.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass

from websockets.frames import DATA_OPCODES, Close, Frame, Opcode
from websockets.protocol import CLIENT, Protocol, State

from teleglyph.errors import ConnectionLostError, ProtocolError
from teleglyph.net import websockets_internals as internals
from teleglyph.wire.acip import Event

_TEXT, _COMPRESSED = 0x81, 0x40
_COMPRESSION = 1
"""zlib's level: the fastest one is nearly as good as the others for messages of a kilobyte."""
_MAX_REASON = 123
quiet = logging.getLogger(f"{__name__}.frames")
"""At debug level the package would log whole messages, including players' tokens."""
quiet.setLevel(logging.WARNING)


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


def frame_binary(data: bytes, *, mask: bool = False) -> bytes:
    """The bytes of a binary message.  A server's are equal for all clients: build them once for a broadcast.

    Args:
        data: the message.
        mask: for a client's message (RFC 6455, 5.3).
    """
    return internals.serialize(Opcode.BINARY, data, mask=mask)


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
    return internals.serialize(Opcode.CLOSE, Close(code, _fitting(reason)).serialize())


def _fitting(reason: str) -> str:
    """A reason, cut to the size that a close frame can carry."""
    return reason.encode()[:_MAX_REASON].decode("utf-8", "ignore")


CLOSE_FRAME = internals.serialize(Opcode.CLOSE, b"")
"""A close frame without a code or a reason."""


_PARTIAL = PartialMessage()
FEED_BYTES = 4096
"""Bytes parsed at once: at most about 700 frames, since the smallest one has 6 bytes."""


class WebSocketSession:
    """One side of a WebSocket (a :class:`~teleglyph.net.transport.ByteSession`); its two roles are subclasses.

    Args:
        protocol: of the role.
        too_large: frames to send before the close when a message is larger than the protocol allows.
    """

    def __init__(self, protocol: Protocol, too_large: bytes = b"") -> None:
        self._protocol = protocol
        self._too_large = too_large
        self._is_handling = False
        """Whether the last message returned may still be answered."""
        self._parts = bytearray()
        self._opcode = Opcode.CONT
        """Opcode of the fragmented message being received; CONT between messages."""

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
        return (
            self._protocol.state is not State.OPEN and not self.is_opening and not internals.has_output(self._protocol)
        )

    @property
    def is_opening(self) -> bool:
        """Whether the other side has not answered our request yet."""
        return self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None

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
            ConnectionLostError: the peer closed.
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
            raise ConnectionLostError(self._describe_close())
        return None

    def seal(self, packet: bytes) -> bytes:
        """The bytes of a binary message."""
        return frame_binary(packet, mask=self._protocol.side is CLIENT)

    def ping(self) -> None:
        """Add a ping to the bytes of :meth:`data_to_send`."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def limit_message(self, size: int) -> None:
        """Set the maximum bytes of messages whose first bytes have not arrived yet."""
        internals.set_max_message(self._protocol, size)

    def close(self, code: int, reason: str = "") -> bytes:
        """Close at once, without handling received messages; returns the last bytes to send.

        Args:
            code: of the close frame (RFC 6455, 7.4).
            reason: is cut if it is too long.
        """
        if self.is_open:
            self._protocol.send_close(code, _fitting(reason))
        return b"".join(self._protocol.data_to_send())

    def _describe_close(self) -> str:
        return "The client closed the WebSocket"

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
