"""The service's side of a connection without I/O: packets in, requests out (docs/protocol/discovery.md#transport)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from teleglyph.errors import BadDataError, HandshakeError, ProtocolError, SessionNameError
from teleglyph.wire.acip.handshake import Handshake, HandshakeResult, NoHandshake
from teleglyph.wire.acip.messages.base import Event
from teleglyph.wire.acip.messages.handshake import Feature, ProtocolVersion
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet import Packet
from teleglyph.wire.acip.packet_type import PacketType, name_of
from teleglyph.wire.acip.primitives import Identity, RandomBytes
from teleglyph.wire.acip.server_handshake import Admission, ServerHandshake, ServerStep
from teleglyph.wire.acip.session import HandshakeDone, Session
from teleglyph.wire.discovery.messages import MAX_DISCOVERY_PAYLOAD, decode_discovery
from teleglyph.wire.link2.channel import Channel
from teleglyph.wire.link2.server_handshake import LinkServerHandshake

REQUESTS = frozenset(
    {
        *(PacketType.SESSION_CREATE, PacketType.SESSION_LOOKUP, PacketType.SESSION_JOIN, PacketType.SESSION_LEAVE),
        *(PacketType.SESSION_END, PacketType.SESSION_RECONNECT, PacketType.WEBRTC_SDP, PacketType.WEBRTC_ICE),
        *(PacketType.STRING_RESERVE, PacketType.STRING_RENEW, PacketType.STRING_RELEASE),
        *(PacketType.NETWORK_QUALITY, PacketType.HOST_ANNOUNCEMENT, PacketType.HOST_LOST),
        *(PacketType.RENDEZVOUS, PacketType.NAT_PROBE),
    }
)
"""What clients may send to a service, besides signs of life."""
MAX_INVALID = 20
"""Invalid requests on one connection, after which it ends."""
_SIGNS = frozenset({PacketType.PING, PacketType.PONG})
_SEALING = 128
"""Bytes that encryption adds to a packet, at most."""
PLAINTEXT_REFUSED = (
    "This discovery service takes no plaintext. Use a program that encrypts, such as Teleglyph's, or ask its operator "
    "to start it with --allow-plaintext."
)


@dataclass(frozen=True, slots=True)
class InvalidRequest(Event):
    """A request that cannot be understood, which gets an answer.

    Attributes:
        kind: the number of its packet type.
        text: what is wrong.
        is_name: the name of the session is wrong.
    """

    kind: int
    text: str
    is_name: bool


class DiscoveryServerHandshake(ServerHandshake):
    """ACIP's handshake, or one of the forms of ascii-chat's programs, which do not encrypt afterwards.

    Its discovery mode begins with PROTOCOL_VERSION and waits for CRYPTO_PARAMETERS.  Its servers begin with a request.

    Args:
        identities: of the service.
        allow_plaintext: accept the two forms without encryption.
        random: source of random bytes.
    """

    def __init__(self, identities: Sequence[Identity], *, allow_plaintext: bool, random: RandomBytes) -> None:
        super().__init__(None, identities, None, False, random)
        self._allows_short = allow_plaintext
        self._is_short = False

    def receive(self, packet: Packet) -> None:
        if self.step is ServerStep.VERSION and (packet.type >= PacketType.SESSION_CREATE or packet.type in _SIGNS):
            if not self._allows_short:
                self.explain(PLAINTEXT_REFUSED)
                raise HandshakeError("The client sends requests in plaintext, which needs --allow-plaintext.")
            self._finish(HandshakeResult(None, first_packet=packet))
        elif self.step is ServerStep.VERSION and self._allows_short and packet.type == PacketType.PROTOCOL_VERSION:
            self._on_short_version(ProtocolVersion.decode_payload(packet.payload))
        else:
            super().receive(packet)

    def explain(self, text: str) -> None:
        """Send an error before the handshake fails."""
        self.send(ErrorMessage(HandshakeError.exit_code, text))

    def _on_short_version(self, message: ProtocolVersion) -> None:
        if message.features:
            # Only Teleglyph's programs have features, and they do the whole handshake.
            self._on_version(message)
            return
        self._is_short = True
        self._send_parameters()
        self._send_key(ServerStep.KEY_OR_HELLO)

    def _finish(self, result: HandshakeResult) -> None:
        super()._finish(HandshakeResult(None) if self._is_short else result)


class DiscoveryServerSession(Session):
    """A conversation with one client.

    Args:
        handshake: the service's side of it.
        random: source of random bytes.
    """

    def __init__(self, handshake: Handshake, random: RandomBytes = os.urandom) -> None:
        super().__init__(handshake, {}, {}, recognize_refusal=False, random=random)
        self._invalid = 0

    @classmethod
    def over_link(cls, channel: Channel, identities: Sequence[Identity]) -> DiscoveryServerSession:
        """The session of a connection with link 2."""
        return cls(LinkServerHandshake(channel, identities, lambda _room: _Open(), Feature.NONE, None, os.urandom))

    @classmethod
    def over_acip(cls, identities: Sequence[Identity], *, allow_plaintext: bool) -> DiscoveryServerSession:
        """The session of a connection without TLS of its own, or of a WebSocket of ascii-chat's programs."""
        return cls(DiscoveryServerHandshake(identities, allow_plaintext=allow_plaintext, random=os.urandom))

    @classmethod
    def over_page(cls) -> DiscoveryServerSession:
        """The session of a page, which needs no handshake: https protects it."""
        return cls(NoHandshake())

    def explain_timeout(self) -> None:
        """Tell a client that did not finish its handshake what may be wrong; send the bytes of ``data_to_send``."""
        if isinstance(self._handshake, DiscoveryServerHandshake) and self._handshake.step is ServerStep.CAPABILITIES:
            self._handshake.explain(PLAINTEXT_REFUSED)

    def _establish(self, result: HandshakeResult) -> HandshakeDone:
        done = super()._establish(result)
        self._decoder.max_payload = MAX_DISCOVERY_PAYLOAD + (_SEALING if self.encrypted else 0)
        return done

    def _on_message(self, packet: Packet) -> Event:
        try:
            if packet.type not in REQUESTS | _SIGNS:
                raise ProtocolError(f"{name_of(packet.type)} is not a request to a discovery service.")
            return decode_discovery(packet.type, packet.payload)
        except ProtocolError as error:
            self._invalid += 1
            if self._invalid > MAX_INVALID:
                raise BadDataError(f"More than {MAX_INVALID} invalid requests. {error}") from None
            return InvalidRequest(packet.type, str(error), isinstance(error, SessionNameError))


@dataclass(frozen=True, slots=True)
class _Open:
    """Everybody may use the service."""

    password_key: bytes | None = None
    admits: Admission | None = None
