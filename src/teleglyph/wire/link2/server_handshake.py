"""The server's side of link 2's handshake (docs/protocol/link2.md)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from teleglyph.errors import HandshakeError, InvitationError, PeerError, VerificationError
from teleglyph.wire.acip.handshake import HandshakeResult, Transitions
from teleglyph.wire.acip.messages.handshake import (
    KEY_SIZE,
    SIGNATURE_SIZE,
    AuthFailure,
    ChallengeFlag,
    Feature,
)
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import Identity, RandomBytes, fingerprint, tags_equal, verify_signature
from teleglyph.wire.acip.server_handshake import Admission, ProofGuard, RefusingHandshake
from teleglyph.wire.invitation import InvitationCheck, as_text
from teleglyph.wire.link2.channel import Channel, Transcript
from teleglyph.wire.link2.messages import NONE, VERSION, LinkChallenge, LinkHello, LinkProof, LinkWelcome
from teleglyph.wire.link2.password import PasswordExchange


class Requirements(Protocol):
    """What a room asks of those who join it."""

    @property
    def password_key(self) -> bytes | None:
        """The key of its password; None for no password."""

    @property
    def admits(self) -> Admission | None:
        """Decides which client keys are admitted; None asks for no key.  With a password, both must be right."""


RoomLookup = Callable[[str], Requirements]
"""The requirements of a room by its name, empty for the lobby.  Raises a PeerError if there is no such room."""


class LinkServerStep(enum.Enum):
    """The packet that the server waits for."""

    HELLO = "waiting for the client's first packet"
    PROOF = "waiting for the client's proofs"
    DONE = "the handshake is over"


class LinkServerHandshake(RefusingHandshake):
    """The server's side.

    Args:
        channel: the TLS connection.
        identities: the server's keys; the first is the default.
        find_room: the requirements of rooms.
        features: the extensions that this server supports.
        guard: limits how often passwords are tried; None for no limit.
        random: makes the nonce (32 bytes), then the secret of the password exchange.
        admit_invited: checks invitations; None if this server takes none.
    """

    def __init__(
        self,
        channel: Channel,
        identities: Sequence[Identity],
        find_room: RoomLookup,
        features: Feature,
        guard: ProofGuard | None,
        random: RandomBytes,
        admit_invited: InvitationCheck | None = None,
    ) -> None:
        super().__init__(guard)
        self.step: LinkServerStep = LinkServerStep.HELLO
        self._channel = channel
        self._identities = tuple(identities)
        self._find_room = find_room
        self._features = features if admit_invited is None else features | Feature.INVITATION
        self._random = random
        self._admit_invited = admit_invited
        self._room = ""
        self._required: Requirements | None = None
        self._exchange: PasswordExchange | None = None
        self._transcript: Transcript | None = None

    @property
    def transitions(self) -> Transitions:
        return _TRANSITIONS

    def _on_hello(self, message: LinkHello) -> None:
        if message.version < VERSION:
            raise HandshakeError(f"The client speaks version {message.version} of the link, which does not exist.")
        try:
            required = self._required = self._find_room(message.room)
        except PeerError as error:
            self.send(ErrorMessage(error.exit_code, str(error)))
            raise
        self._room = message.room
        self._features &= message.features
        challenge, identity = self._challenge(message, required)
        self._transcript = Transcript(self._channel, message, challenge)
        if identity is not None and identity.public_key != self._channel.certificate_key:
            signature = identity.sign(self._transcript.server_text())
            challenge = replace(challenge, signature=signature)
        self.send(challenge)
        if not challenge.flags:
            self._finish(None, authenticated=False)
            return
        self.step = LinkServerStep.PROOF
        # Nobody has to type an invitation.
        if self._guard is not None and not challenge.flags & ChallengeFlag.INVITATION:
            self._guard.challenged()

    def _challenge(self, hello: LinkHello, required: Requirements) -> tuple[LinkChallenge, Identity | None]:
        """The challenge without its signature, and the identity that it names."""
        default = self._identities[0] if self._identities else None
        # A client that expects another key than ours is not refused: it gets ours, and knows better what to say.
        identity = next((one for one in self._identities if one.public_key == hello.identity), default)
        shown = NONE if identity is None else identity.public_key
        nonce = self._random(KEY_SIZE)
        flags, exchange = ChallengeFlag(0), b""
        if Feature.INVITATION in self._features:
            return LinkChallenge(self._features, ChallengeFlag.INVITATION, nonce, shown), identity
        if required.password_key is not None:
            flags |= ChallengeFlag.PASSWORD
            self._exchange = PasswordExchange(
                required.password_key, self._channel, shown, is_server=True, random=self._random
            )
            exchange = self._exchange.message
        if required.admits is not None:
            flags |= ChallengeFlag.CLIENT_KEY
        return LinkChallenge(self._features, flags, nonce, shown, exchange), identity

    def _on_proof(self, message: LinkProof) -> None:
        required, transcript = self._required, self._transcript
        if required is None or transcript is None:
            raise RuntimeError("a proof needs a challenge")
        if Feature.INVITATION in self._features:
            self._check_invitation(message)
            return
        if message.invitation:
            raise HandshakeError("The client shows an invitation, but was not asked for one.")
        # The key first: a client without an admitted key must not try passwords.
        identity = None
        if required.admits is not None:
            identity = self._check_key(message, transcript, required.admits)
        elif message.identity != NONE or message.signature != bytes(SIGNATURE_SIZE):
            raise HandshakeError("The client shows a key, but was not asked for one.")
        tag = bytes(KEY_SIZE)
        if self._exchange is not None:
            tag = self._check_password(message, transcript, self._exchange, identity)
        elif message.exchange:
            raise HandshakeError("The client proves a password, but was not asked for one.")
        self.send(LinkWelcome(tag))
        self._finish(identity, authenticated=True)

    def _check_invitation(self, message: LinkProof) -> None:
        if self._admit_invited is None or not message.invitation:
            raise HandshakeError("The client said that it has an invitation, but showed none.")
        if message.identity != NONE or message.signature != bytes(SIGNATURE_SIZE):
            raise HandshakeError("The client shows a key, but was not asked for one.")
        try:
            invited = self._admit_invited(as_text(message.invitation), self._room)
        except InvitationError as error:
            self.send(ErrorMessage(error.exit_code, str(error)))
            raise
        self.send(LinkWelcome())
        self._finish(None, authenticated=True, view_only=invited.view_only)

    def _check_key(self, message: LinkProof, transcript: Transcript, admits: Admission) -> bytes:
        identity = message.identity
        if identity == NONE:
            raise self._refuse(AuthFailure.CLIENT_KEY_REQUIRED, "The client showed no key.")
        try:
            verify_signature(identity, transcript.client_text(identity), message.signature)
        except VerificationError:
            raise self._refuse(
                AuthFailure.SIGNATURE_INVALID,
                f"The client showed the key {fingerprint(identity)}, but did not sign this connection with it.",
            ) from None
        if not admits(identity):
            raise self._refuse(
                AuthFailure.CLIENT_KEY_REJECTED, f"The client's key {fingerprint(identity)} is not admitted."
            )
        return identity

    def _check_password(
        self, message: LinkProof, transcript: Transcript, exchange: PasswordExchange, identity: bytes | None
    ) -> bytes:
        """Check the client's tag; returns ours."""
        if not message.exchange:
            raise self._refuse(AuthFailure.PASSWORD_REQUIRED, "The client sent no password.")
        key = b""

        def is_right() -> bool:
            nonlocal key
            key = exchange.finish(message.exchange)
            return tags_equal(message.tag, transcript.client_tag(key, message))

        self._check_guess(identity, is_right)
        return transcript.server_tag(key, message)

    def _finish(self, client_identity: bytes | None, *, authenticated: bool, view_only: bool = False) -> None:
        self.result = HandshakeResult(
            None,
            authenticated=authenticated,
            client_identity=client_identity,
            features=self._features,
            room=self._room,
            is_link=True,
            view_only=view_only,
        )
        self.step = LinkServerStep.DONE


_TRANSITIONS: Transitions = {
    (LinkServerStep.HELLO, PacketType.LINK_HELLO): (LinkHello, LinkServerHandshake._on_hello),
    (LinkServerStep.PROOF, PacketType.LINK_PROOF): (LinkProof, LinkServerHandshake._on_proof),
}
