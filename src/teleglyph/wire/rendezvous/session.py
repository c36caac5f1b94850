"""A rendezvous without I/O: relayed messages in, events out, messages to relay.

Both sessions have the same few methods.  Feed a message, read events until there are none, send what there is to send,
also after an error: it may say why.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from teleglyph.errors import PeerError, ProtocolError
from teleglyph.wire.acip.client_handshake import IdentityCheck
from teleglyph.wire.acip.handshake import Handshake
from teleglyph.wire.acip.messages.base import Event, Message, encode
from teleglyph.wire.acip.messages.handshake import Feature
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet import HEADER, split_packets
from teleglyph.wire.acip.primitives import Identity, RandomBytes
from teleglyph.wire.acip.server_handshake import ProofGuard
from teleglyph.wire.acip.session import ClientRole, PayloadDecoder, Session, SessionState
from teleglyph.wire.discovery.messages.rendezvous import Ways, WaysAnswer, WaysOffer
from teleglyph.wire.invitation import Invitation, InvitationCheck
from teleglyph.wire.link2.client_handshake import LinkClientHandshake
from teleglyph.wire.link2.server_handshake import LinkServerHandshake, Requirements
from teleglyph.wire.page.server_handshake import PageRequirements, PageServerHandshake
from teleglyph.wire.rendezvous.sealed import MAX_SEALED_PACKETS, JoinerKind, SealedHost, SealedJoiner

MAX_MESSAGES = 64
"""Messages of one peer in one rendezvous; a join needs fewer than ten."""

_FROM_HOST: Mapping[int, PayloadDecoder] = {
    int(kind.type): kind.decode_payload for kind in (Ways, WaysAnswer, ErrorMessage)
}
_FROM_JOINER: Mapping[int, PayloadDecoder] = {int(kind.type): kind.decode_payload for kind in (WaysOffer, ErrorMessage)}


class RendezvousRequirements(Requirements, PageRequirements, Protocol):
    """What a room asks of those who join it, from terminals and pages."""


class RoomLookup(Protocol):
    """The requirements of a room by its name, empty for the lobby.  Raises a PeerError if there is no such room."""

    def __call__(self, name: str, /) -> RendezvousRequirements:
        """Look a room up."""


class _RendezvousSession(ABC):
    """The common part of both sides.

    Args:
        sealed: this side's end of the channel.
    """

    def __init__(self, sealed: SealedJoiner | SealedHost) -> None:
        self._sealed = sealed
        self._inner: Session | None = None
        self._outgoing: list[bytes] = []
        self._received = 0
        self._error: PeerError | None = None

    @property
    def is_established(self) -> bool:
        """Whether the handshake is complete, and nothing went wrong since."""
        return self._error is None and self._inner is not None and self._inner.state is SessionState.ESTABLISHED

    def receive(self, message: bytes) -> None:
        """Feed one relayed message.  A failed session drops it."""
        if self._error is not None:
            return
        try:
            self._received += 1
            if self._received > MAX_MESSAGES:
                raise ProtocolError(f"The peer sent more than {MAX_MESSAGES} messages in one rendezvous.")
            packets = self._open(message)
            if self._inner is not None and packets:
                self._inner.receive_data(_require_whole(packets))
        except PeerError as error:
            self._error = error

    def next_event(self) -> Event | None:
        """The next event, or None if more messages are needed.

        Returns:
            :class:`~teleglyph.wire.acip.HandshakeDone` first, then the peer's messages.

        Raises:
            PeerError: the peer broke the protocol, refused us or is not who it should be; or somebody changed a
                message on the way.  All earlier events were returned.  Every later call raises the same error.
        """
        if self._inner is not None:
            try:
                event = self._inner.next_event()
            except PeerError as error:
                self._error = error
                raise
            if event is not None:
                return event
        if self._error is not None:
            raise self._error.with_traceback(None)
        return None

    def send(self, message: Message) -> None:
        """Append a message to those to send.

        Args:
            message: before the end of the handshake only an ErrorMessage, which refuses the peer.

        Raises:
            RuntimeError: the handshake is not complete.
            ValueError: the message is too large.
        """
        if not self.is_established and not (isinstance(message, ErrorMessage) and self._sealed.is_open):
            raise RuntimeError(f"A rendezvous cannot send {message.type.name} before its handshake is complete.")
        # The answers of the handshake come first.
        self._seal_answers()
        self._outgoing.append(self._sealed.seal(encode(message)))

    def messages_to_send(self) -> list[bytes]:
        """Messages for the relay, of at most 16384 bytes; each is returned once."""
        self._seal_answers()
        messages, self._outgoing = self._outgoing, []
        return messages

    @abstractmethod
    def _open(self, message: bytes) -> bytes:
        """The packets of a message; none if it belongs to the channel itself."""

    def _seal_answers(self) -> None:
        if self._inner is None or not self._sealed.is_open:
            return
        pending = b""
        for packet in split_packets(self._inner.data_to_send()):
            if pending and len(pending) + len(packet) > MAX_SEALED_PACKETS:
                self._outgoing.append(self._sealed.seal(pending))
                pending = b""
            pending += packet
        if pending:
            self._outgoing.append(self._sealed.seal(pending))


class RendezvousClientSession(_RendezvousSession):
    """The joiner's side, for a terminal.

    Its events after the handshake are :class:`Ways`, :class:`WaysAnswer` and :class:`ErrorMessage`.

    Args:
        session_id: 16 bytes, from the discovery service.
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`, or None.
        client_key: our own identity for hosts that ask for one, or None.
        check_identity: receives the host's proven identity and raises a PeerError to refuse the host.  Without it
            every identity is accepted, also one of the discovery service.
        expected: the identity that a host with several must show; None for any.
        room: the call room to join; empty for the lobby.
        invitation: to the room, instead of a password and a key; None without one.
        random: source of random bytes.
    """

    def __init__(
        self,
        session_id: bytes,
        *,
        password_key: bytes | None = None,
        client_key: Identity | None = None,
        check_identity: IdentityCheck | None = None,
        expected: bytes | None = None,
        room: str = "",
        invitation: Invitation | None = None,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._joiner = SealedJoiner(session_id, JoinerKind.TERMINAL, random)
        super().__init__(self._joiner)
        self._password_key = password_key
        self._client_key = client_key
        self._check_identity = check_identity
        self._expected = expected
        self._room = room
        self._invitation = invitation
        self._random = random
        self._outgoing.append(self._joiner.first_message())

    def _open(self, message: bytes) -> bytes:
        packets = self._joiner.receive(message)
        if self._inner is None:
            handshake = LinkClientHandshake(
                self._joiner.channel,
                self._password_key,
                self._client_key,
                self._check_identity,
                self._expected,
                self._room,
                Feature.NONE,
                self._random,
                self._invitation,
            )
            self._inner = ClientRole(handshake, self._random, accepted=_FROM_HOST)
        return packets


class RendezvousServerSession(_RendezvousSession):
    """The host's side, for one joiner: a terminal or a page.

    Its events after the handshake are :class:`WaysOffer` and :class:`ErrorMessage`.

    Args:
        session_id: 16 bytes, from the discovery service.
        identities: the host's Ed25519 keys; the first one created the session.
        find_room: the requirements of rooms.
        guard: limits how often passwords are tried; None for no limit.
        admit_invited: checks invitations; None if this host takes none.
        random: source of random bytes.
    """

    def __init__(
        self,
        session_id: bytes,
        identities: Sequence[Identity],
        find_room: RoomLookup,
        *,
        guard: ProofGuard | None = None,
        admit_invited: InvitationCheck | None = None,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._host = SealedHost(identities[0], session_id, random)
        super().__init__(self._host)
        self._identities = identities
        self._find_room = find_room
        self._guard = guard
        self._admit_invited = admit_invited
        self._random = random

    @property
    def kind(self) -> JoinerKind | None:
        """The program that joins; None before its first message."""
        return self._host.kind

    def _open(self, message: bytes) -> bytes:
        if self._inner is not None:
            return self._host.receive(message)
        self._outgoing.append(self._host.answer(message))
        self._inner = Session(self._handshake(), _FROM_JOINER, {}, recognize_refusal=False, random=self._random)
        return b""

    def _handshake(self) -> Handshake:
        if self._host.kind is JoinerKind.PAGE:
            return PageServerHandshake(self._find_room, Feature.NONE, 0, self._guard, self._admit_invited)
        return LinkServerHandshake(
            self._host.channel,
            self._identities,
            self._find_room,
            Feature.NONE,
            self._guard,
            self._random,
            self._admit_invited,
        )


def _require_whole(packets: bytes) -> bytes:
    """The bytes, if they are whole packets: a message must not begin a packet that others continue."""
    offset = 0
    while offset < len(packets):
        head = packets[offset : offset + HEADER.size]
        length = HEADER.unpack(head)[2] if len(head) == HEADER.size else 0
        end = offset + HEADER.size + length
        if end > len(packets):
            raise ProtocolError(f"A sealed message of {len(packets)} bytes ends inside a packet that needs {end}.")
        offset = end
    return packets
