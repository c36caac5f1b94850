"""One ACIP conversation without I/O: bytes in, events out, bytes to send.

A :class:`Session` runs the handshake, decrypts packets and decodes messages.  It has no socket and no clock; the owner
of the transport feeds it.  :class:`ServerSession` and :class:`ClientSession` are its two roles.  A session has one
reader, which calls everything but :meth:`Session.seal`, and one writer, which calls only that.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from teleglyph.errors import BadDataError, HandshakeError, PeerError, ProtocolError
from teleglyph.wire.acip.cipher import MAX_SEALED, SESSION_ID_SIZE, SessionCipher
from teleglyph.wire.acip.client_handshake import ClientHandshake, IdentityCheck
from teleglyph.wire.acip.handshake import Handshake, HandshakeResult, NoHandshake
from teleglyph.wire.acip.messages import (
    AsciiFrame,
    AudioBatch,
    Capabilities,
    ClearConsole,
    ClientJoin,
    ClientLeave,
    CodedPicture,
    ErrorMessage,
    Feature,
    HevcFrame,
    ImageFrame,
    LogDirection,
    OpusBatch,
    PictureRequest,
    Ping,
    Pong,
    ProtocolVersion,
    RemoteLog,
    Roster,
    ScreenAck,
    ScreenUpdate,
    ServerState,
    StreamStart,
    StreamStop,
    ViewSettings,
    ViewState,
)
from teleglyph.wire.acip.messages.base import Event, Message
from teleglyph.wire.acip.messages.video import MAX_FRAME_TEXT
from teleglyph.wire.acip.packet import HEADER, MAX_PAYLOAD, Packet, PacketDecoder, pack_header, parse_packet
from teleglyph.wire.acip.packet_type import HANDSHAKE_TYPES, REKEY_TYPES, PacketType, name_of
from teleglyph.wire.acip.primitives import Identity, RandomBytes
from teleglyph.wire.acip.refusal import RefusableHandshake
from teleglyph.wire.acip.server_handshake import Admission, ProofGuard, ServerHandshake

PayloadDecoder = Callable[[bytes], Event | None]
"""Decodes a payload; None for a packet that is allowed, but ignored."""

MAX_HANDSHAKE_PAYLOAD = 1024
"""More than any packet of a handshake has.  A peer that was not admitted cannot make us buffer more, in bytes."""
MAX_IGNORED = 1000
"""Ignored packets in one session.  They are not events, so no limit of the caller counts them."""


class SessionState(enum.Enum):
    """The state of a session."""

    HANDSHAKE = enum.auto()
    ESTABLISHED = enum.auto()
    FAILED = enum.auto()


@dataclass(frozen=True, slots=True)
class HandshakeDone(Event):
    """The handshake is complete; messages may be sent and received.

    Attributes:
        encrypted: packets are encrypted.
        identity: the server's proven Ed25519 key, if it showed one.
        authenticated: the client proved the password, its key, or both.
        client_identity: on a server that asks for keys, the client's proven Ed25519 key.
        features: the extensions that both sides support; their messages are accepted.
        room: the call room that the client joins; empty for the lobby, and always with version 1 of the protocol.
        view_only: the client joins with an invitation that lets it watch and listen, not send.
    """

    encrypted: bool
    identity: bytes | None = None
    authenticated: bool = False
    client_identity: bytes | None = None
    features: Feature = Feature.NONE
    room: str = ""
    view_only: bool = False


class Session:
    """The common part of both roles.

    Args:
        handshake: this role's side of the handshake.
        accepted: decoders of the packet types that this role accepts (docs/protocol/messages.md#packet-types).
        extended: the same for the types that need a feature on both sides.
        recognize_refusal: understand the line of a full server.
        random: source of random bytes.
    """

    def __init__(
        self,
        handshake: Handshake,
        accepted: Mapping[int, PayloadDecoder],
        extended: Mapping[Feature, Mapping[int, PayloadDecoder]],
        *,
        recognize_refusal: bool,
        random: RandomBytes,
    ) -> None:
        self.state = SessionState.HANDSHAKE
        self._handshake = handshake
        self._accepted = accepted
        self._extended = extended
        self._random = random
        self._decoder = PacketDecoder(max_payload=MAX_HANDSHAKE_PAYLOAD, recognize_refusal=recognize_refusal)
        self._cipher: SessionCipher | None = None
        self._first_packet: Packet | None = None
        self._ignored = 0
        self._error: PeerError | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing may be sent any more; never true, since ACIP has no closing packet."""
        return False

    @property
    def encrypted(self) -> bool:
        """Whether packets are encrypted."""
        return self._cipher is not None

    @property
    def max_packet(self) -> int:
        """Size of the largest packet that the peer may send now, header included."""
        return HEADER.size + self._decoder.max_payload

    @property
    def has_partial_packet(self) -> bool:
        """Whether bytes were fed that ``next_event`` has not used yet: the end of their packet is missing."""
        return self._decoder.buffered > 0

    @property
    def shared_key(self) -> bytes | None:
        """The secret session key, for tools that decrypt packets themselves; None without one."""
        return self._handshake.result.shared_key if self._handshake.result else None

    def receive_data(self, data: bytes) -> None:
        """Feed bytes from the transport, in chunks of any size.  A failed session drops them."""
        if self._error is None:
            self._decoder.feed(data)

    def data_to_send(self) -> bytes:
        """Bytes of the handshake to send as they are; each is returned once.  Call it after an error, too."""
        data = bytes(self._handshake.outgoing)
        self._handshake.outgoing.clear()
        return data

    def next_event(self) -> Event | None:
        """The next event, or None if more bytes are needed.

        Raises:
            PeerError: the peer broke the protocol or refused us.  All earlier events were returned.  Every later call
                raises the same error.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        try:
            return self._advance()
        except PeerError as error:
            self._error = error
            self.state = SessionState.FAILED
            raise

    def seal(self, packet: bytes) -> bytes:
        """Turn a complete unencrypted packet into bytes for the transport.  It works on a failed session, too.

        Raises:
            ValueError: the packet is too large to be encrypted.
            RuntimeError: the handshake is not complete.
        """
        if self._cipher is not None:
            nonce, sealed = self._cipher.seal(packet)
            return b"".join((pack_header(PacketType.ENCRYPTED, nonce, sealed), nonce, sealed))
        if self._handshake.result is None or self._handshake.result.shared_key is not None:
            raise RuntimeError("A session cannot send messages before its handshake is complete.")
        return packet

    def _advance(self) -> Event | None:
        if self.state is SessionState.HANDSHAKE:
            return self._shake_hands()
        while (packet := self._next_packet()) is not None:
            event = self._on_packet(packet)
            if event is not None:
                return event
            self._count_ignored()
        return None

    def _shake_hands(self) -> HandshakeDone | None:
        while self._handshake.result is None:
            packet = self._decoder.next_packet()
            if packet is None:
                return None
            self._handshake.receive(packet)
        return self._establish(self._handshake.result)

    def _establish(self, result: HandshakeResult) -> HandshakeDone:
        if result.shared_key is not None:
            self._cipher = SessionCipher(result.shared_key, self._random(SESSION_ID_SIZE))
        self._decoder.max_payload = MAX_SEALED if self._cipher else MAX_PAYLOAD
        self._first_packet = result.first_packet
        for feature, decoders in self._extended.items():
            if feature in result.features:
                self._accepted = {**self._accepted, **decoders}
        self.state = SessionState.ESTABLISHED
        return HandshakeDone(
            self.encrypted or result.is_link,
            result.identity,
            result.authenticated,
            result.client_identity,
            result.features,
            result.room,
            result.view_only,
        )

    def _next_packet(self) -> Packet | None:
        first, self._first_packet = self._first_packet, None
        return first or self._decoder.next_packet()

    def _on_packet(self, packet: Packet) -> Event | None:
        if packet.type in REKEY_TYPES:
            return None
        if packet.type in HANDSHAKE_TYPES:
            raise self._late_handshake(packet)
        if self._cipher is not None:
            packet = self._open(self._cipher, packet)
        return self._on_message(packet)

    def _open(self, cipher: SessionCipher, packet: Packet) -> Packet:
        if packet.type != PacketType.ENCRYPTED:
            raise ProtocolError(f"{name_of(packet.type)} came unencrypted.")
        inner = parse_packet(cipher.open(packet.payload))
        if inner.type == PacketType.ENCRYPTED or inner.type in HANDSHAKE_TYPES:
            raise ProtocolError(f"{name_of(inner.type)} must not be encrypted.")
        return inner

    def _on_message(self, packet: Packet) -> Event | None:
        decode = self._accepted.get(packet.type)
        if decode is None:
            raise ProtocolError(f"{name_of(packet.type)} is not accepted here.")
        return decode(packet.payload)

    def _late_handshake(self, packet: Packet) -> PeerError:
        return HandshakeError(f"{name_of(packet.type)} came after the handshake.")

    def _count_ignored(self) -> None:
        self._ignored += 1
        if self._ignored > MAX_IGNORED:
            raise ProtocolError(f"The peer sent more than {MAX_IGNORED} packets without effect.")


class ServerRole(Session):
    """The server's side of a connection, after any handshake.

    Args:
        handshake: the server's side.
        random: source of random bytes.
    """

    def __init__(self, handshake: Handshake, random: RandomBytes = os.urandom) -> None:
        super().__init__(handshake, _SERVER_ACCEPTS, _SERVER_EXTENDED, recognize_refusal=False, random=random)
        self._has_capabilities = False
        self.admits_plaintext = False
        """Whether a client may skip the handshake, so that its first packet may be of any size."""

    @property
    def waiting_for_hello(self) -> bool:
        """The client may still choose one of several identities; see :meth:`hello_timeout`."""
        return False

    def hello_timeout(self) -> None:
        """Go on with the default identity.  Call it if the client sends nothing for about 250 ms."""

    def _on_message(self, packet: Packet) -> Event | None:
        is_first = packet.type in (PacketType.CLIENT_CAPABILITIES, PacketType.VIEW_SETTINGS, PacketType.PING)
        if not self._has_capabilities and not is_first:
            raise ProtocolError(f"{name_of(packet.type)} came before CLIENT_CAPABILITIES.")
        message = super()._on_message(packet)
        self._has_capabilities = self._has_capabilities or isinstance(message, Capabilities)
        return message

    def _late_handshake(self, packet: Packet) -> PeerError:
        reason = _LATE_HANDSHAKE.get(packet.type)
        return BadDataError(reason) if reason else super()._late_handshake(packet)


class ServerSession(ServerRole):
    """The server's side of a connection with the handshake of ACIP.

    Args:
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`; None for no password.
        identities: the server's Ed25519 keys; the first is the default.
        admits: decides which client keys are admitted; None asks for no key.
        allow_plaintext: also accept clients that do not encrypt.
        features: the extensions that this server supports.
        guard: limits how often passwords are tried; None for no limit.
        speaks_first: begin the handshake, as ascii-chat's servers do over WebSocket (docs/protocol/websocket.md#acip).
            The client's first messages may then be in plaintext.
        random: source of random bytes.
    """

    def __init__(
        self,
        *,
        password_key: bytes | None = None,
        identities: Sequence[Identity] = (),
        admits: Admission | None = None,
        allow_plaintext: bool = False,
        features: Feature = Feature.NONE,
        guard: ProofGuard | None = None,
        speaks_first: bool = False,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._server_handshake = ServerHandshake(
            password_key, identities, admits, allow_plaintext, random, features, guard, speaks_first=speaks_first
        )
        super().__init__(self._server_handshake, random)
        self._may_introduce = speaks_first
        """Whether the client's first messages may still come in plaintext."""
        self.admits_plaintext = allow_plaintext and not speaks_first and password_key is None and admits is None

    @property
    def waiting_for_hello(self) -> bool:
        return self._server_handshake.waiting_for_hello

    def hello_timeout(self) -> None:
        self._server_handshake.hello_timeout()

    def _open(self, cipher: SessionCipher, packet: Packet) -> Packet:
        # ascii-chat's browser client encrypts only what follows these two (docs/protocol/websocket.md#plaintext).
        if self._may_introduce and packet.type in (PacketType.CLIENT_CAPABILITIES, PacketType.STREAM_START):
            return packet
        self._may_introduce = False
        return super()._open(cipher, packet)


class ClientRole(Session):
    """The client's side of a connection, after any handshake.

    Args:
        handshake: the client's side; None for a connection without one.
        random: source of random bytes.
        max_frame_text: a frame with a longer text is dropped, in bytes.
        accepted: decoders of the packet types that it accepts, if not those of a call.
    """

    def __init__(
        self,
        handshake: RefusableHandshake | None,
        random: RandomBytes = os.urandom,
        max_frame_text: int = MAX_FRAME_TEXT,
        accepted: Mapping[int, PayloadDecoder] | None = None,
    ) -> None:
        extended: Mapping[Feature, Mapping[int, PayloadDecoder]] = {}
        if accepted is None:
            decode_frame = partial(AsciiFrame.decode_payload, max_text=max_frame_text)
            accepted, extended = {**_CLIENT_ACCEPTS, PacketType.ASCII_FRAME: decode_frame}, _CLIENT_EXTENDED
        super().__init__(handshake or NoHandshake(), accepted, extended, recognize_refusal=True, random=random)
        self._refusable = handshake

    def _shake_hands(self) -> HandshakeDone | None:
        done = super()._shake_hands()
        # Only now, so that texts after the refusal are part of it.
        if self._refusable is not None and (refusal := self._refusable.refusal) is not None:
            raise refusal
        return done


class ClientSession(ClientRole):
    """The client's side of a connection with the handshake of ACIP.

    Args:
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`, or None.
        client_key: our own identity for servers that ask for one, or None.
        encrypt: False skips the handshake; only for servers that allow it.
        check_identity: receives the server's proven identity, or None without one, and raises a PeerError to refuse the
            server.  Without it every identity is accepted.
        hello: the identity that a server with several must show; None for any.
        features: the extensions that this client supports.
        random: source of random bytes.
        max_frame_text: a frame with a longer text is dropped, in bytes.
    """

    def __init__(
        self,
        *,
        password_key: bytes | None = None,
        client_key: Identity | None = None,
        encrypt: bool = True,
        check_identity: IdentityCheck | None = None,
        hello: bytes | None = None,
        features: Feature = Feature.NONE,
        random: RandomBytes = os.urandom,
        max_frame_text: int = MAX_FRAME_TEXT,
    ) -> None:
        self._client_handshake = (
            ClientHandshake(password_key, client_key, check_identity, hello, random, features) if encrypt else None
        )
        super().__init__(self._client_handshake, random, max_frame_text)

    @property
    def has_handshake(self) -> bool:
        """Whether there is a handshake: the client encrypts."""
        return self._client_handshake is not None

    def wait_for_server(self) -> None:
        """Let the server begin the handshake.  Call it before :meth:`data_to_send`; there are no features then.

        Raises:
            HandshakeError: this client does not encrypt, but such a server has no other way.
        """
        if self._client_handshake is None:
            raise HandshakeError(
                "The server only takes encrypted calls at this address. Leave out --no-encrypt, or join without ws://."
            )
        self._client_handshake.wait_for_server()

    @property
    def features(self) -> Feature:
        """The extensions that both sides support, as far as the handshake got; none with ascii-chat."""
        return Feature.NONE if self._client_handshake is None else self._client_handshake.features


def _log_from_client(payload: bytes) -> RemoteLog:
    message = RemoteLog.decode_payload(payload)
    if message.direction != LogDirection.CLIENT_TO_SERVER:
        raise BadDataError(f"REMOTE_LOG direction mismatch: {message.direction}")
    return message


def _check_version(payload: bytes) -> None:
    ProtocolVersion.decode_payload(payload)


def _ignore(_payload: bytes) -> None:
    return None


def _by_type(*kinds: type[Message]) -> dict[int, PayloadDecoder]:
    return {int(kind.type): kind.decode_payload for kind in kinds}


_COMMON = (AudioBatch, OpusBatch, Ping, Pong, RemoteLog, ErrorMessage)
_SERVER_ACCEPTS: Mapping[int, PayloadDecoder] = {
    **_by_type(*_COMMON, ImageFrame, HevcFrame, Capabilities, ClientJoin, ClientLeave, StreamStart, StreamStop),
    PacketType.REMOTE_LOG: _log_from_client,
    PacketType.PROTOCOL_VERSION: _check_version,
}
_CLIENT_ACCEPTS: Mapping[int, PayloadDecoder] = {
    **_by_type(*_COMMON, AsciiFrame, ServerState, ClearConsole),
    PacketType.SESSION_JOINED: _ignore,
    PacketType.WEBRTC_SDP: _ignore,
    PacketType.WEBRTC_ICE: _ignore,
}
_SERVER_EXTENDED: Mapping[Feature, Mapping[int, PayloadDecoder]] = {
    Feature.SCREEN_UPDATES: _by_type(ScreenAck, ViewSettings),
    Feature.CODED_PICTURES: _by_type(CodedPicture),
}
_CLIENT_EXTENDED: Mapping[Feature, Mapping[int, PayloadDecoder]] = {
    Feature.SCREEN_UPDATES: _by_type(ScreenUpdate, PictureRequest, ViewState),
    Feature.ROSTER: _by_type(Roster),
}
_LATE_HANDSHAKE: Mapping[int, str] = {
    PacketType.CRYPTO_KEY_EXCHANGE_RESP: "Crypto handshake auth challenge failed",
    PacketType.CRYPTO_AUTH_RESPONSE: "Crypto handshake complete failed",
    PacketType.CRYPTO_NO_ENCRYPTION: "Encryption mode mismatch - server requires encryption",
}
"""The reasons for a handshake packet after the handshake (docs/protocol/messages.md#bad-values)."""
