"""The client's side of link 2's handshake (docs/protocol/link2.md)."""

from __future__ import annotations

import enum

from teleglyph.errors import AuthenticationError, HandshakeError, InvitationError, VerificationError
from teleglyph.wire.acip.client_handshake import IdentityCheck
from teleglyph.wire.acip.handshake import HandshakeResult, Transitions
from teleglyph.wire.acip.messages.handshake import KEY_SIZE, SIGNATURE_SIZE, AuthFailure, ChallengeFlag, Feature
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import Identity, RandomBytes, fingerprint, tags_equal, verify_signature
from teleglyph.wire.acip.refusal import CredentialState, RefusableHandshake, password_not_asked, refusals
from teleglyph.wire.invitation import Invitation
from teleglyph.wire.link2.channel import Channel, Transcript
from teleglyph.wire.link2.messages import NONE, LinkChallenge, LinkHello, LinkProof, LinkWelcome
from teleglyph.wire.link2.password import PasswordExchange


class LinkClientStep(enum.Enum):
    """The packet that the client waits for."""

    CHALLENGE = "waiting for the server's first packet"
    WELCOME = "waiting for the server's verdict"
    REFUSED = "the server refused us"
    DONE = "the handshake is over"


class LinkClientHandshake(RefusableHandshake):
    """The client's side; its first packet is in ``outgoing`` from the start.

    Args:
        channel: the TLS connection.
        password_key: the key of the password, or None.  A server that does not ask for the password is refused, because
            the password also has to prove the server.
        client_key: our own identity or None; shown only to servers that ask for one, after they have proved theirs.
        check_identity: decides about the server's identity.
        expected: the identity that a server with several must show; None for any.
        room: the call room to join; empty for the lobby.
        features: the extensions that this client supports.
        random: makes the nonce (32 bytes), then the secret of the password exchange.
        invitation: to the room, or None.  With one, neither password nor key is used, and the server must prove the
            identity that signed it before it gets the invitation.
    """

    refused_step = LinkClientStep.REFUSED

    def __init__(
        self,
        channel: Channel,
        password_key: bytes | None,
        client_key: Identity | None,
        check_identity: IdentityCheck | None,
        expected: bytes | None,
        room: str,
        features: Feature,
        random: RandomBytes,
        invitation: Invitation | None = None,
    ) -> None:
        if invitation is not None:
            password_key = client_key = None
            expected = invitation.identity
            features |= Feature.INVITATION
        super().__init__(has_password=password_key is not None, has_key=client_key is not None)
        self.step: LinkClientStep = LinkClientStep.CHALLENGE
        self._channel = channel
        self._password_key = password_key
        self._client_key = client_key
        self._check_identity = check_identity
        self._features = features
        self._invitation = invitation
        self._random = random
        self._identity: bytes | None = None
        self._hello = LinkHello(features, random(KEY_SIZE), expected or NONE, room)
        self._expected_tag = bytes(KEY_SIZE)
        self.send(self._hello)

    @property
    def transitions(self) -> Transitions:
        return _TRANSITIONS

    def _on_challenge(self, message: LinkChallenge) -> None:
        if message.features & ~int(self._features):
            raise HandshakeError(f"The server chose features {message.features:#x} that we did not offer.")
        self._features &= message.features
        transcript = Transcript(self._channel, self._hello, message)
        self._check_server(message, transcript)
        if self._invitation is not None:
            self._show_invitation(message, self._invitation)
            return
        if message.flags & ChallengeFlag.INVITATION:
            raise HandshakeError("The server asks for an invitation, but we have none.")
        if missing := self._missing(message.flags):
            raise self._refused(missing)
        if self._password_key is not None and not message.flags & ChallengeFlag.PASSWORD:
            raise password_not_asked()
        if message.flags:
            self._prove(message, transcript)
            self.step = LinkClientStep.WELCOME
        else:
            self._finish(authenticated=False)

    def _check_server(self, message: LinkChallenge, transcript: Transcript) -> None:
        identity = None if message.identity == NONE else message.identity
        # TLS has proved the certificate's key already.
        if identity is not None and identity != self._channel.certificate_key:
            verify_signature(identity, transcript.server_text(), message.signature)
        if self._check_identity is not None:
            self._check_identity(identity)
        self._identity = identity

    def _show_invitation(self, message: LinkChallenge, invitation: Invitation) -> None:
        if message.identity != invitation.identity:
            shown = "no identity" if message.identity == NONE else f"the identity {fingerprint(message.identity)}"
            raise VerificationError(
                f"The server shows {shown}, but your invitation is from {fingerprint(invitation.identity)}. The "
                "address may be wrong, or someone may be intercepting the connection. Ask the host for a new link."
            )
        if not message.features & Feature.INVITATION:
            raise InvitationError(
                "The server is too old for invitations. Ask its host to update it, or join with the password."
            )
        if message.flags != ChallengeFlag.INVITATION:
            raise HandshakeError("The server supports invitations, but does not ask for ours.")
        self.send(LinkProof(invitation=invitation.encode()))
        self.step = LinkClientStep.WELCOME

    def _missing(self, flags: int) -> AuthFailure:
        missing = AuthFailure(0)
        if flags & ChallengeFlag.PASSWORD and self._password_key is None:
            missing |= AuthFailure.PASSWORD_REQUIRED
        if flags & ChallengeFlag.CLIENT_KEY and self._client_key is None:
            missing |= AuthFailure.CLIENT_KEY_REQUIRED
        return missing

    def _prove(self, message: LinkChallenge, transcript: Transcript) -> None:
        identity, signature, exchange, tag = NONE, bytes(SIGNATURE_SIZE), b"", b""
        if message.flags & ChallengeFlag.CLIENT_KEY and self._client_key is not None:
            identity = self._client_key.public_key
            signature = self._client_key.sign(transcript.client_text(identity))
            self._key_state = CredentialState.SENT
        if message.flags & ChallengeFlag.PASSWORD and self._password_key is not None:
            ours = PasswordExchange(
                self._password_key, self._channel, message.identity, is_server=False, random=self._random
            )
            key, exchange = ours.finish(message.exchange), ours.message
            untagged = LinkProof(identity, signature, exchange)
            tag = transcript.client_tag(key, untagged)
            self._expected_tag = transcript.server_tag(key, untagged)
            self._password_state = CredentialState.SENT
        self.send(LinkProof(identity, signature, exchange, tag))

    def _on_welcome(self, message: LinkWelcome) -> None:
        if not tags_equal(message.tag, self._expected_tag):
            raise AuthenticationError("The server does not know the password. It may not be the server you mean.")
        self._finish(authenticated=True)

    def _finish(self, *, authenticated: bool) -> None:
        self.result = HandshakeResult(
            None,
            self._identity,
            authenticated,
            features=self._features,
            is_link=True,
            view_only=self._invitation is not None and self._invitation.view_only,
        )
        self.step = LinkClientStep.DONE


_TRANSITIONS: Transitions = {
    (LinkClientStep.CHALLENGE, PacketType.LINK_CHALLENGE): (LinkChallenge, LinkClientHandshake._on_challenge),
    (LinkClientStep.WELCOME, PacketType.LINK_WELCOME): (LinkWelcome, LinkClientHandshake._on_welcome),
    **refusals(LinkClientStep, LinkClientStep.DONE),
}
