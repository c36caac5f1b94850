"""ACIP in the messages of a WebSocket (docs/protocol/websocket.md)."""

from __future__ import annotations

import asyncio
import enum

from websockets.frames import CloseCode

from teleglyph.errors import (
    AuthenticationError,
    ConnectionLostError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
    RateLimitError,
    ServerFullError,
    VerificationError,
)
from teleglyph.net.websocket import BinaryMessage, PartialMessage, TextMessage, WebSocketSession
from teleglyph.net.websocket_client import Upgraded
from teleglyph.wire.acip import MAX_PAYLOAD, ClientSession, Event, HandshakeDone, Session
from teleglyph.wire.acip.packet import HEADER, split_packets
from teleglyph.wire.acip.session import ServerRole

SERVER_FIRST, LIKE_TCP = "acip", "acip.tcp"
"""The sub-protocols: ascii-chat's, in which the server speaks first, and ours, which is the conversation of TCP."""
SUBPROTOCOLS = (LIKE_TCP, SERVER_FIRST)
"""Those of programs, preferred first."""
PAGE = "teleglyph.page"
"""The sub-protocol of our own page (docs/protocol/page.md)."""
MAX_MESSAGE = HEADER.size + MAX_PAYLOAD
"""Bytes of the largest message that any session may send."""

_CODES: tuple[tuple[type[BaseException], CloseCode], ...] = (
    (RateLimitError, CloseCode.TRY_AGAIN_LATER),
    (ServerFullError, CloseCode.TRY_AGAIN_LATER),
    (AuthenticationError, CloseCode.POLICY_VIOLATION),
    (VerificationError, CloseCode.POLICY_VIOLATION),
    (PeerTimeoutError, CloseCode.POLICY_VIOLATION),
    (ConnectionLostError, CloseCode.POLICY_VIOLATION),
    (PeerError, CloseCode.PROTOCOL_ERROR),
    (asyncio.CancelledError, CloseCode.GOING_AWAY),
)
"""Codes of close frames (docs/protocol/websocket.md#the-end); the first class that fits decides."""


class TextRefusedError(ProtocolError):
    """The peer sent a text message."""


class AcipWebSocket:
    """An ACIP session on a WebSocket (a :class:`~teleglyph.net.transport.ByteSession`).

    Each packet is sent as one binary message.  A received message may have several packets, but only whole ones.

    Args:
        websocket: a server's accepted one, or a client's that waits for its answer.
        acip: the session.  A server's speaks first if the sub-protocol is :data:`SERVER_FIRST`, or there is none.
    """

    def __init__(self, websocket: WebSocketSession, acip: Session) -> None:
        self._websocket = websocket
        self._acip = acip
        self._head = websocket.data_to_send()
        """The HTTP request or response; it precedes all packets."""
        self._has_begun = websocket.is_open
        self._error: PeerError | None = None
        # A server's messages may be long right after its last one of the handshake, so a client limits only packets.
        if isinstance(acip, ServerRole) and not acip.admits_plaintext:
            websocket.limit_message(acip.max_packet)

    @property
    def state(self) -> enum.Enum:
        """The state of the ACIP session."""
        return self._acip.state

    @property
    def is_finished(self) -> bool:
        """Whether the close frame was returned, so that nothing may follow it."""
        return not self._head and self._websocket.is_finished

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport."""
        self._websocket.receive_data(data)

    def data_to_send(self) -> bytes:
        """The handshake's packets, and the WebSocket's own bytes."""
        head, self._head = self._head, b""
        packets = split_packets(self._acip.data_to_send()) if self._has_begun else []
        return b"".join((head, *map(self._websocket.seal, packets), self._websocket.data_to_send()))

    def next_event(self) -> Event | None:
        """The next event, or None while more bytes are needed.

        Raises:
            PeerError: the peer broke a protocol or left.  Every later call raises the same error.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        try:
            return self._next_packet_event() or self._next_message_event()
        except PeerError as error:
            self._error = error
            raise

    def seal(self, packet: bytes) -> bytes:
        """Turn a complete unencrypted packet into one message."""
        return self._websocket.seal(self._acip.seal(packet))

    def ping(self) -> None:
        """Add a ping of the WebSocket to the bytes of :meth:`data_to_send`."""
        self._websocket.ping()

    def closing_bytes(self, ending: BaseException | None) -> bytes:
        """The close frame.

        Args:
            ending: why the connection is closed; None if there is no reason.
        """
        ending = ending or self._error
        if ending is None:
            return self._websocket.close(CloseCode.NORMAL_CLOSURE)
        if isinstance(ending, TextRefusedError):
            return self._websocket.close(CloseCode.UNSUPPORTED_DATA, "Send packets in binary messages.")
        codes = (code for kind, code in _CODES if isinstance(ending, kind))
        return self._websocket.close(next(codes, CloseCode.INTERNAL_ERROR))

    def _next_message_event(self) -> Event | None:
        """Handle messages of the WebSocket until one causes an event."""
        while (message := self._websocket.next_event()) is not None:
            match message:
                case BinaryMessage(data) if data:
                    self._acip.receive_data(data)
                    if (event := self._next_packet_event()) is not None:
                        return event
                case BinaryMessage():
                    return PartialMessage()
                case TextMessage():
                    raise TextRefusedError("The peer sent a text message; packets come in binary messages.")
                case Upgraded():
                    self._begin()
                    return message
                case _:
                    return message
        return None

    def _next_packet_event(self) -> Event | None:
        if not self._has_begun:
            return None
        event = self._acip.next_event()
        if isinstance(event, HandshakeDone):
            self._websocket.limit_message(self._acip.max_packet)
        if event is None and self._acip.has_partial_packet:
            raise ProtocolError("A message of the WebSocket ended inside a packet.")
        return event

    def _begin(self) -> None:
        """Start the client's part, now that the server has selected the order."""
        if isinstance(self._acip, ClientSession) and self._websocket.subprotocol != LIKE_TCP:
            self._acip.wait_for_server()
        self._has_begun = True
