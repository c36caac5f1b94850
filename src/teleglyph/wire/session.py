"""One connection's protocol, without the connection: bytes in, events out, bytes to send.

A :class:`Session` runs the handshake, opens encrypted packets and turns them into messages.  It knows neither
sockets nor time; whoever owns the transport feeds it.  :class:`ServerSession` and :class:`ClientSession` are
its two roles.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass

from teleglyph.errors import BadData, PeerError, ProtocolError
from teleglyph.wire.cipher import SESSION_ID_SIZE, SessionCipher
from teleglyph.wire.client_handshake import ClientHandshake, IdentityCheck
from teleglyph.wire.handshake import Handshake, HandshakeResult, NoHandshake
from teleglyph.wire.messages import (
    AsciiFrame,
    AudioBatch,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientLeave,
    ErrorMessage,
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
from teleglyph.wire.messages.base import Event, Message
from teleglyph.wire.packet import Packet, PacketDecoder, pack_header, parse_packet
from teleglyph.wire.packet_type import HANDSHAKE_TYPES, REKEY_TYPES, PacketType, name_of
from teleglyph.wire.primitives import Identity, RandomBytes
from teleglyph.wire.server_handshake import ServerHandshake


def _by_type(*kinds: type[Message]) -> dict[int, type[Message]]:
    return {int(kind.type): kind for kind in kinds}


_COMMON = (AudioBatch, OpusBatch, Ping, Pong, RemoteLog, ErrorMessage)
_SERVER_ACCEPTS = _by_type(
    *_COMMON,
    *(ProtocolVersion, ImageFrame, HevcFrame, Capabilities, ClientJoin, ClientLeave, StreamStart, StreamStop),
)
_CLIENT_ACCEPTS = _by_type(*_COMMON, AsciiFrame, ServerState, ClearConsole)


class SessionState(enum.Enum):
    """Where a session is."""

    HANDSHAKE = enum.auto()
    ESTABLISHED = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class HandshakeDone(Event):
    """The handshake is complete; from now on messages come and may be sealed.

    Attributes:
        encrypted: packets are sealed.
        identity: the server's proven Ed25519 key, if it showed one.
        authenticated: both sides proved that they know the password.
    """

    encrypted: bool
    identity: bytes | None = None
    authenticated: bool = False


class Session:
    """What both roles share.

    Args:
        handshake: this role's side of the handshake.
        accepted: the application messages this role takes, by packet type (spec acip-wire 4.2).
        recognize_refusal: understand the line of a full server.
        random: source of random bytes.
    """

    def __init__(
        self,
        handshake: Handshake,
        accepted: dict[int, type[Message]],
        *,
        recognize_refusal: bool,
        random: RandomBytes,
    ) -> None:
        self.state = SessionState.HANDSHAKE
        self._handshake = handshake
        self._accepted = accepted
        self._random = random
        self._decoder = PacketDecoder(recognize_refusal=recognize_refusal)
        self._cipher: SessionCipher | None = None
        self._first_packet: Packet | None = None
        self._error: PeerError | None = None

    @property
    def encrypted(self) -> bool:
        """Whether packets are sealed."""
        return self._cipher is not None

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport, in chunks of any size."""
        if self._error is None:
            self._decoder.feed(data)

    def data_to_send(self) -> bytes:
        """Handshake bytes that are to be sent now; each is given out once."""
        data = bytes(self._handshake.outgoing)
        self._handshake.outgoing.clear()
        return data

    def next_event(self) -> Event | None:
        """The next message or step, or None while more bytes are needed.

        Raises:
            PeerError: the peer broke the protocol or refused us; every later call raises the same.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._advance()
        except PeerError as error:
            self._error = error
            self.state = SessionState.FAILED
            raise

    def seal(self, packet: bytes) -> bytes:
        """Bytes for the transport that carry a complete plain packet; only the connection's writer calls this."""
        if self._cipher is None:
            return packet
        payload = self._cipher.seal(packet)
        return pack_header(PacketType.ENCRYPTED, payload) + payload

    def _advance(self) -> Event | None:
        if self.state is SessionState.HANDSHAKE and self._handshake.result is not None:
            return self._establish(self._handshake.result)
        while (packet := self._next_packet()) is not None:
            event: Event | None = None
            if self.state is SessionState.ESTABLISHED:
                event = self._on_packet(packet)
            else:
                self._handshake.receive(packet)
                if self._handshake.result is not None:
                    event = self._establish(self._handshake.result)
            if event is not None:
                return event
        return None

    def _next_packet(self) -> Packet | None:
        first, self._first_packet = self._first_packet, None
        return first or self._decoder.next_packet()

    def _establish(self, result: HandshakeResult) -> HandshakeDone:
        if result.shared_key is not None:
            self._cipher = SessionCipher(result.shared_key, self._random(SESSION_ID_SIZE))
        self._first_packet = result.first_packet
        self.state = SessionState.ESTABLISHED
        return HandshakeDone(self.encrypted, result.identity, result.authenticated)

    def _on_packet(self, packet: Packet) -> Event | None:
        if packet.type in REKEY_TYPES:
            return None
        if self._cipher is None:
            return self._on_message(packet)
        if packet.type != PacketType.ENCRYPTED:
            raise ProtocolError(f"{name_of(packet.type)} came unencrypted")
        inner = parse_packet(self._cipher.open(packet.payload))
        if inner.type == PacketType.ENCRYPTED or inner.type in HANDSHAKE_TYPES:
            raise ProtocolError(f"{name_of(inner.type)} must not be encrypted")
        return self._on_message(inner)

    def _on_message(self, packet: Packet) -> Event | None:
        kind = self._accepted.get(packet.type)
        if kind is None:
            raise ProtocolError(f"{name_of(packet.type)} is not accepted here")
        return kind.decode_payload(packet.payload)


class ServerSession(Session):
    """Answers one client.

    Args:
        password_key: from :func:`~teleglyph.wire.primitives.derive_password_key`; None lets everybody in.
        identities: the server's Ed25519 keys; the first is the default.
        allow_plaintext: also accept clients that do not encrypt.
        random: source of random bytes.
    """

    def __init__(
        self,
        *,
        password_key: bytes | None = None,
        identities: Sequence[Identity] = (),
        allow_plaintext: bool = False,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._server_handshake = ServerHandshake(password_key, identities, allow_plaintext, random)
        super().__init__(self._server_handshake, _SERVER_ACCEPTS, recognize_refusal=False, random=random)
        self._has_capabilities = False

    @property
    def waiting_for_hello(self) -> bool:
        """The client may say which of several identities it expects; see :meth:`hello_timeout`."""
        return self._server_handshake.waiting_for_hello

    def hello_timeout(self) -> None:
        """The client has said nothing for about 250 ms: go on with the default identity."""
        self._server_handshake.hello_timeout()

    def _on_message(self, packet: Packet) -> Event | None:
        if not self._has_capabilities and packet.type not in (
            PacketType.CLIENT_CAPABILITIES,
            PacketType.PING,
        ):
            raise ProtocolError(f"{name_of(packet.type)} came before CLIENT_CAPABILITIES")
        message = super()._on_message(packet)
        self._has_capabilities = self._has_capabilities or isinstance(message, Capabilities)
        if isinstance(message, RemoteLog) and message.direction != LogDirection.CLIENT_TO_SERVER:
            raise BadData(f"REMOTE_LOG direction mismatch: {message.direction}")
        return message


class ClientSession(Session):
    """Joins one server.

    Args:
        password_key: from :func:`~teleglyph.wire.primitives.derive_password_key`, or None.
        encrypt: False sends no handshake at all; only for servers that were told to allow it.
        check_identity: decides about the server's identity.
        random: source of random bytes.
    """

    def __init__(
        self,
        *,
        password_key: bytes | None = None,
        encrypt: bool = True,
        check_identity: IdentityCheck | None = None,
        random: RandomBytes = os.urandom,
    ) -> None:
        handshake = ClientHandshake(password_key, check_identity, random) if encrypt else NoHandshake()
        super().__init__(handshake, _CLIENT_ACCEPTS, recognize_refusal=True, random=random)
