"""The client's side of a connection to a discovery service, without I/O (docs/protocol/discovery.md#transport)."""

from __future__ import annotations

import os

from teleglyph.errors import HandshakeError, ProtocolError
from teleglyph.wire.acip.client_handshake import ClientHandshake, IdentityCheck
from teleglyph.wire.acip.handshake import HandshakeResult, NoHandshake
from teleglyph.wire.acip.messages.base import Event
from teleglyph.wire.acip.messages.handshake import CryptoMode, Feature, ProtocolVersion
from teleglyph.wire.acip.messages.text import RemoteLog
from teleglyph.wire.acip.packet import Packet
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import RandomBytes
from teleglyph.wire.acip.refusal import RefusableHandshake
from teleglyph.wire.acip.session import HandshakeDone, Session
from teleglyph.wire.discovery.messages import MAX_DISCOVERY_PAYLOAD, decode_discovery
from teleglyph.wire.discovery.server_session import REQUESTS
from teleglyph.wire.link2.channel import Channel
from teleglyph.wire.link2.client_handshake import LinkClientHandshake

_RELAYED = frozenset(
    {PacketType.RENDEZVOUS, PacketType.WEBRTC_SDP, PacketType.WEBRTC_ICE}
    | {PacketType.NETWORK_QUALITY, PacketType.HOST_LOST}
)
"""What a service passes on from others."""


class ShortHandshake(ClientHandshake):
    """The handshake of ascii-chat's discovery mode: it proves the service's key, but nothing is encrypted after it.

    Args:
        check_identity: decides about the service's identity.
        random: source of random bytes.
    """

    def __init__(self, check_identity: IdentityCheck | None, random: RandomBytes) -> None:
        super().__init__(None, None, check_identity, None, random)
        self.wait_for_server()
        self.send(ProtocolVersion(CryptoMode.ENCRYPT))

    def receive(self, packet: Packet) -> None:
        if packet.type == PacketType.PROTOCOL_VERSION:
            raise HandshakeError(
                "The discovery service takes no plaintext, so it is one of Teleglyph's. Connect to it without "
                "--discovery-insecure."
            )
        super().receive(packet)

    def _finish(self, *, authenticated: bool) -> None:
        super()._finish(authenticated=authenticated)
        self.result = HandshakeResult(None, self._identity)


class DiscoveryClientSession(Session):
    """A conversation with a service.

    Args:
        handshake: the client's side of it; None for a connection without one.
        random: source of random bytes.
    """

    def __init__(self, handshake: RefusableHandshake | None, random: RandomBytes = os.urandom) -> None:
        super().__init__(handshake or NoHandshake(), {}, {}, recognize_refusal=True, random=random)
        self._refusable = handshake

    @classmethod
    def over_link(cls, channel: Channel, check_identity: IdentityCheck | None) -> DiscoveryClientSession:
        """The session of a connection with link 2.

        Args:
            channel: the TLS connection.
            check_identity: receives the service's proven identity, or None without one, and raises a PeerError to
                refuse it.
        """
        return cls(
            LinkClientHandshake(channel, None, None, check_identity, None, "", Feature.NONE, os.urandom),
        )

    @classmethod
    def in_plaintext(cls, check_identity: IdentityCheck | None) -> DiscoveryClientSession:
        """The session of a connection to a service of ascii-chat, which encrypts nothing."""
        return cls(ShortHandshake(check_identity, os.urandom))

    def _shake_hands(self) -> HandshakeDone | None:
        done = super()._shake_hands()
        if self._refusable is not None and (refusal := self._refusable.refusal) is not None:
            raise refusal
        return done

    def _establish(self, result: HandshakeResult) -> HandshakeDone:
        done = super()._establish(result)
        self._decoder.max_payload = MAX_DISCOVERY_PAYLOAD
        return done

    def _on_message(self, packet: Packet) -> Event | None:
        if packet.type == PacketType.REMOTE_LOG:
            return RemoteLog.decode_payload(packet.payload)
        if packet.type in REQUESTS - _RELAYED:
            raise ProtocolError(f"The service sent {PacketType(packet.type).name}, which only clients send.")
        return decode_discovery(packet.type, packet.payload)
