"""The protocol of one connection, without I/O: bytes in, events out, bytes to send out.

A :class:`Session` belongs to one reader, which calls everything but :meth:`Session.seal`, and one writer, which calls
only that.
"""

from __future__ import annotations

import enum
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from teleglyph.errors import BadData, HandshakeError, PeerError, ProtocolError
from teleglyph.wire.cipher import MAX_SEALED, SESSION_ID_SIZE, SessionCipher
from teleglyph.wire.client_handshake import ClientHandshake, IdentityCheck
from teleglyph.wire.handshake import Handshake, HandshakeResult
from teleglyph.wire.messages import (
    AsciiFrame,
    AudioBatch,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientLeave,
    ErrorMessage,
    Event,
    HevcFrame,
    ImageFrame,
    LogDirection,
    OpusBatch,
    Ping,
    Pong,
    ProtocolVersion,
    RemoteLog,
    ServerState,
    StreamStart,
    StreamStop,
)
from teleglyph.wire.messages.video import MAX_FRAME_TEXT
from teleglyph.wire.packet import MAX_PAYLOAD, Packet, PacketDecoder, parse_packet
from teleglyph.wire.packet_type import HANDSHAKE_TYPES, REKEY_TYPES, PacketType, name_of
from teleglyph.wire.primitives import Identity, RandomBytes
from teleglyph.wire.server_handshake import ServerHandshake

Decoder = Callable[[bytes], Event | None]
"""Parses a payload; None for a packet that is allowed but means nothing here."""

_MAX_HANDSHAKE_PAYLOAD = 1024
"""No handshake packet comes near; nobody may make us buffer more before it is let in."""
_MAX_IGNORED = 1000
"""Packets without effect that a peer may send; they escape the limits that its messages are subject to."""


class SessionState(enum.Enum):
    """How far a session is."""

    HANDSHAKE = enum.auto()
    ESTABLISHED = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class HandshakeDone(Event):
    """The session is established; messages follow.

    Attributes:
        encrypted: False only on sessions in plaintext, which both sides have to allow.
        authenticated: both sides proved that they know the password.
        identity: the server's proven Ed25519 key, on the client's side and if it has one.
    """

    encrypted: bool
    authenticated: bool = False
    identity: bytes | None = None


class Session:
    """One side of one connection; build a :class:`ServerSession` or a :class:`ClientSession`."""

    def __init__(
        self,
        handshake: Handshake | None,
        decoders: Mapping[int, Decoder],
        random: RandomBytes,
        *,
        recognize_refusal: bool = False,
    ) -> None:
        self.state = SessionState.HANDSHAKE
        self._handshake = handshake
        self._decoders = decoders
        self._random = random
        self._packets = PacketDecoder(
            max_payload=_MAX_HANDSHAKE_PAYLOAD, recognize_refusal=recognize_refusal
        )
        self._cipher: SessionCipher | None = None
        self._result: HandshakeResult | None = None
        self._first_packet: Packet | None = None
        self._ignored = 0
        self._error: PeerError | None = None

    @property
    def encrypted(self) -> bool:
        """Packets are encrypted from now on."""
        return self._cipher is not None

    @property
    def shared_key(self) -> bytes | None:
        """The session key, for tools that open recorded packets; None without encryption.  A secret."""
        return self._result.shared_key if self._result else None

    # --- the reader's side ----------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the transport.

        Raises:
            PeerError: the session has failed before.
        """
        self._raise_error()
        self._packets.feed(data)

    def next_event(self) -> Event | None:
        """The next message or :class:`HandshakeDone`; None while more bytes are needed.

        Raises:
            PeerError: the peer broke a rule or refused us.  All that came before was delivered; from now on every
                call raises the same error.
        """
        self._raise_error()
        try:
            return self._advance()
        except PeerError as error:
            self._error = error
            self.state = SessionState.FAILED
            raise

    def data_to_send(self) -> bytes:
        """Handshake bytes to write as they are, each once; also after an error."""
        if self._handshake is None:
            return b""
        data = bytes(self._handshake.outgoing)
        self._handshake.outgoing.clear()
        return data

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)

    def _advance(self) -> Event | None:
        while self.state is SessionState.HANDSHAKE:
            done = self._shake_hands()
            if done is None:
                return None
            if isinstance(done, HandshakeDone):
                return done
        while (packet := self._next_packet()) is not None:
            event = self._receive(packet)
            if event is not None:
                return event
            self._count_ignored()
        return None

    # --- the writer's side ----------------------------------------------------------------------------

    def seal(self, packet: bytes) -> bytes:
        """Turn a complete plain packet into the bytes for the transport; works on a failed session too.

        Raises:
            ValueError: the packet is too large to be encrypted.
            RuntimeError: the handshake is not over.
        """
        if self._cipher is not None:
            return self._cipher.seal(packet)
        if self._result is None:
            raise RuntimeError("a session cannot send messages before its handshake is over")
        return packet
