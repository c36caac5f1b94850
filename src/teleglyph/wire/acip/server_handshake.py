"""The server's side of the handshake (docs/protocol/handshake.md)."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from teleglyph.errors import AuthenticationError, HandshakeError, RateLimitError, VerificationError
from teleglyph.wire.acip.handshake import Handshake, HandshakeResult, Transitions
from teleglyph.wire.acip.messages.control import Ping
from teleglyph.wire.acip.messages.handshake import (
    KEY_SIZE,
    SIGNATURE_SIZE,
    AuthChallenge,
    AuthFailed,
    AuthFailure,
    AuthResponse,
    ChallengeFlag,
    ClientHello,
    CryptoCapabilities,
    CryptoMode,
    CryptoParameters,
    Feature,
    HandshakeComplete,
    KeyExchangeInit,
    KeyExchangeResponse,
    NoEncryption,
    ProtocolVersion,
    ServerAuthResponse,
)
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet import Packet
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import (
    EphemeralKey,
    Identity,
    RandomBytes,
    authentication_tag,
    fingerprint,
    tags_equal,
    verify_signature,
)

Admission = Callable[[bytes], bool]
"""Whether the owner of an Ed25519 key is admitted."""

_NO_IDENTITY = bytes(KEY_SIZE)


class ProofGuard(Protocol):
    """Limits how often passwords are tried, and learns when a challenge was sent."""

    def challenged(self) -> None:
        """The challenge was sent.  The client may now ask its user for the password."""

    def begin(self, identity: bytes | None) -> float:
        """Called before a password is verified.

        Args:
            identity: the client's proven and admitted key; None if the server does not ask for keys.

        Returns:
            0.0 to verify it, or the seconds until this client may try again.
        """

    def end(self, identity: bytes | None, was_right: bool) -> float:
        """Called after a password was verified.  Returns the seconds until this client may try again."""


class ServerStep(enum.Enum):
    """The packet that the server waits for."""

    VERSION = "waiting for the protocol version"
    CAPABILITIES = "waiting for the client's algorithms"
    HELLO = "waiting for the choice of an identity"
    KEY_OR_HELLO = "waiting for the client's key or the choice of an identity"
    KEY = "waiting for the client's key"
    RESPONSE = "waiting for the answer to the challenge"
    DONE = "the handshake is over"


class RefusingHandshake(Handshake):
    """A server's side of a handshake, which refuses wrong proofs with AUTH_FAILED and limits guesses.

    Args:
        guard: limits how often passwords are tried; None for no limit.
    """

    def __init__(self, guard: ProofGuard | None) -> None:
        super().__init__()
        self._guard = guard

    def _check_guess(self, identity: bytes | None, is_right: Callable[[], bool]) -> None:
        """Check a password, unless too many were wrong.

        Args:
            identity: the client's proven and admitted key, if the server asks for keys.
            is_right: verifies the proof; an error counts as a wrong one.
        """
        pause = self._guard.begin(identity) if self._guard is not None else 0.0
        if pause > 0:
            # No reason bit fits: the password may be right, and the client may try again by itself.
            error = self._refuse(AuthFailure(0), "Too many wrong passwords; this one was not checked.")
            self._send_pause(RateLimitError.exit_code, pause)
            raise error
        was_right = False
        try:
            was_right = is_right()
        finally:
            pause = self._guard.end(identity, was_right) if self._guard is not None else 0.0
        if not was_right:
            error = self._refuse(AuthFailure.PASSWORD_INCORRECT, "The client does not know the password.")
            if pause > 0:
                self._send_pause(AuthenticationError.exit_code, pause)
            raise error

    def _send_pause(self, code: int, pause: float) -> None:
        """Say how long to wait, after AUTH_FAILED; ascii-chat's client does not read this."""
        seconds = max(1, math.ceil(pause))
        self.send(ErrorMessage(code, f"Too many wrong passwords from your address. Try again in {seconds} s."))

    def _refuse(self, reason: AuthFailure, text: str) -> AuthenticationError:
        self.send(AuthFailed(reason))
        return AuthenticationError(text, reason)


class ServerHandshake(RefusingHandshake):
    """The server's side.

    Args:
        password_key: the key of the password, or None.
        identities: the server's keys; the first is the default.
        admits: decides which client keys are admitted; None asks for no key.  With a password, both must be right.
        allow_plaintext: also serve clients that do not encrypt.  A server with a password or a list of client keys
            never does.
        random: makes the ephemeral key (32 bytes), then the nonce (32 bytes) if there is a challenge.
        features: the extensions that this server supports.
        guard: limits how often passwords are tried; None for no limit.
        speaks_first: begin with CRYPTO_PARAMETERS and the default identity, without asking for the client's version,
            algorithms and choice (docs/protocol/websocket.md#acip).  There are no features then, and no plaintext.
    """

    def __init__(
        self,
        password_key: bytes | None,
        identities: Sequence[Identity],
        admits: Admission | None,
        allow_plaintext: bool,
        random: RandomBytes,
        features: Feature = Feature.NONE,
        guard: ProofGuard | None = None,
        *,
        speaks_first: bool = False,
    ) -> None:
        super().__init__(guard)
        self.step: ServerStep = ServerStep.VERSION
        self._password_key = password_key
        self._identities = tuple(identities)
        self._identity = self._identities[0] if self._identities else None
        self._admits = admits
        self._client_identity: bytes | None = None
        self._allow_plaintext = allow_plaintext
        self._random = random
        self._features = Feature.NONE if speaks_first else features
        self._ephemeral = EphemeralKey(random)
        self._shared = b""
        self._nonce = b""
        if speaks_first:
            self._send_parameters()
            self._send_key(ServerStep.KEY_OR_HELLO)

    @property
    def transitions(self) -> Transitions:
        return _TRANSITIONS

    @property
    def waiting_for_hello(self) -> bool:
        """The server has several identities, and the client has not chosen one yet."""
        return self.step is ServerStep.HELLO

    def hello_timeout(self) -> None:
        """Go on with the default identity, unless the client has chosen one."""
        if self.waiting_for_hello:
            self._send_key(ServerStep.KEY_OR_HELLO)

    def receive(self, packet: Packet) -> None:
        if self.step is ServerStep.VERSION and packet.type == PacketType.CLIENT_CAPABILITIES:
            self._start_plaintext(packet)
        else:
            super().receive(packet)

    def _start_plaintext(self, first_packet: Packet | None = None) -> None:
        if first_packet is not None:
            self._features = Feature.NONE
        if self._password_key is not None:
            raise self._refuse(
                AuthFailure.PASSWORD_REQUIRED, "The client does not encrypt, which would skip the password."
            )
        if self._admits is not None:
            raise self._refuse(
                AuthFailure.CLIENT_KEY_REQUIRED, "The client does not encrypt, which would skip its key."
            )
        if not self._allow_plaintext:
            raise HandshakeError("The client does not encrypt, but this server requires it.")
        self._finish(HandshakeResult(None, first_packet=first_packet, features=self._features))

    def _on_version(self, message: ProtocolVersion) -> None:
        self._features &= message.features
        if message.mode & ~int(CryptoMode.ENCRYPT | CryptoMode.AUTHENTICATE):
            raise HandshakeError(f"The client asks for the unknown crypto mode {message.mode:#04x}.")
        if message.mode == 0:
            self._start_plaintext()
        elif not message.mode & CryptoMode.ENCRYPT:
            raise HandshakeError("The client asks for authentication without encryption, which cannot work.")
        else:
            self.step = ServerStep.CAPABILITIES
        self.send(ProtocolVersion(message.mode, features=self._features))

    def _on_capabilities(self, message: CryptoCapabilities) -> None:
        if not message.key_exchange & message.cipher & 1:
            raise HandshakeError(
                f"No common algorithms: the client offers key exchanges {message.key_exchange:#06x} "
                f"and ciphers {message.cipher:#06x}."
            )
        self._send_parameters()
        if len(self._identities) > 1:
            self.step = ServerStep.HELLO
        else:
            self._send_key(ServerStep.KEY_OR_HELLO)

    def _send_parameters(self) -> None:
        has_identity, wants_keys = self._identity is not None, self._admits is not None
        self.send(
            CryptoParameters(
                authentication=int(has_identity),
                verification=int(wants_keys),
                identity_size=KEY_SIZE if has_identity else 0,
                # ascii-chat's clients send a signature only with this size
                # (docs/protocol/handshake.md#crypto_parameters).
                signature_size=SIGNATURE_SIZE if has_identity or wants_keys else 0,
            )
        )

    def _on_hello(self, message: ClientHello) -> None:
        for identity in self._identities:
            if identity.public_key == message.server_identity:
                self._identity = identity
                return self._send_key(ServerStep.KEY)
        raise _unknown_identity(message)

    def _on_default_hello(self, _message: Ping) -> None:
        self._send_key(ServerStep.KEY)

    def _on_late_hello(self, message: ClientHello | Ping) -> None:
        if (
            isinstance(message, ClientHello)
            and self._identity is not None
            and message.server_identity != self._identity.public_key
        ):
            raise _unknown_identity(message)
        self.step = ServerStep.KEY

    def _send_key(self, step: ServerStep) -> None:
        public_key = self._ephemeral.public_key
        if self._identity is None:
            self.send(KeyExchangeInit(public_key))
        else:
            signature = self._identity.sign(public_key)
            self.send(KeyExchangeInit(public_key, self._identity.public_key, signature))
        self.step = step

    def _on_key(self, message: KeyExchangeResponse) -> None:
        self._shared = self._ephemeral.exchange(message.public_key)
        if self._admits is not None:
            self._client_identity = self._proven_identity(message)
        flags = ChallengeFlag.PASSWORD if self._password_key is not None else ChallengeFlag(0)
        if self._admits is not None:
            flags |= ChallengeFlag.CLIENT_KEY
        if flags:
            self._nonce = self._random(KEY_SIZE)
            self.send(AuthChallenge(flags, self._nonce))
            self.step = ServerStep.RESPONSE
            if self._guard is not None:
                self._guard.challenged()
        else:
            self.send(HandshakeComplete())
            self._finish(HandshakeResult(self._shared, features=self._features))

    def _proven_identity(self, message: KeyExchangeResponse) -> bytes | None:
        """The identity that signed the client's ephemeral key; None without one."""
        identity = message.identity
        if identity is None or identity == _NO_IDENTITY:
            return None
        try:
            verify_signature(identity, message.public_key, message.signature)
        except VerificationError:
            raise self._refuse(
                AuthFailure.SIGNATURE_INVALID,
                f"The client showed the key {fingerprint(identity)}, but does not own it.",
            ) from None
        return identity

    def _on_response(self, message: AuthResponse) -> None:
        # The key first: a client without an admitted key must not try passwords.
        if self._admits is not None:
            self._check_client_key(self._admits, message)
        if self._password_key is not None:
            self._check_password(self._password_key, message)
        key = self._shared if self._password_key is None else self._password_key
        self.send(ServerAuthResponse(authentication_tag(key, message.nonce, self._shared)))
        self._finish(
            HandshakeResult(
                self._shared,
                authenticated=True,
                client_identity=self._client_identity,
                features=self._features,
            )
        )

    def _check_password(self, password_key: bytes, message: AuthResponse) -> None:
        expected = authentication_tag(password_key, self._nonce, self._shared)
        self._check_guess(self._client_identity, lambda: tags_equal(message.proof, expected))

    def _check_client_key(self, admits: Admission, message: AuthResponse) -> None:
        """Check that the client owns an admitted key.

        With a password the client does not sign the nonce.  Then the signature of its ephemeral key proves its key: the
        proof of the password needs the secret of that ephemeral key.
        """
        identity = self._client_identity
        if identity is None:
            raise self._refuse(AuthFailure.CLIENT_KEY_REQUIRED, "The client showed no key.")
        if not admits(identity):
            raise self._refuse(
                AuthFailure.CLIENT_KEY_REJECTED, f"The client's key {fingerprint(identity)} is not admitted."
            )
        if self._password_key is None:
            try:
                verify_signature(identity, self._nonce, message.proof)
            except VerificationError:
                raise self._refuse(
                    AuthFailure.CLIENT_KEY_REJECTED,
                    f"The client did not sign the challenge with {fingerprint(identity)}.",
                ) from None

    def _on_no_encryption(self, _message: NoEncryption) -> None:
        self.send(AuthFailed(AuthFailure(0)))
        raise HandshakeError("The client refuses to encrypt.")

    def _finish(self, result: HandshakeResult) -> None:
        self.result = result
        self.step = ServerStep.DONE


def _unknown_identity(message: ClientHello) -> HandshakeError:
    return HandshakeError(f"The client expects the identity {fingerprint(message.server_identity)}, which is not ours.")


_TRANSITIONS: Transitions = {
    (ServerStep.VERSION, PacketType.PROTOCOL_VERSION): (ProtocolVersion, ServerHandshake._on_version),
    (ServerStep.CAPABILITIES, PacketType.CRYPTO_CAPABILITIES): (
        CryptoCapabilities,
        ServerHandshake._on_capabilities,
    ),
    (ServerStep.HELLO, PacketType.CRYPTO_CLIENT_HELLO): (ClientHello, ServerHandshake._on_hello),
    (ServerStep.HELLO, PacketType.PING): (Ping, ServerHandshake._on_default_hello),
    (ServerStep.KEY_OR_HELLO, PacketType.CRYPTO_CLIENT_HELLO): (ClientHello, ServerHandshake._on_late_hello),
    (ServerStep.KEY_OR_HELLO, PacketType.PING): (Ping, ServerHandshake._on_late_hello),
    (ServerStep.RESPONSE, PacketType.CRYPTO_AUTH_RESPONSE): (AuthResponse, ServerHandshake._on_response),
    **{
        (step, PacketType.CRYPTO_KEY_EXCHANGE_RESP): (KeyExchangeResponse, ServerHandshake._on_key)
        for step in (ServerStep.KEY_OR_HELLO, ServerStep.KEY)
    },
    **{
        (step, PacketType.CRYPTO_NO_ENCRYPTION): (NoEncryption, ServerHandshake._on_no_encryption)
        for step in (ServerStep.CAPABILITIES, ServerStep.HELLO, ServerStep.KEY_OR_HELLO, ServerStep.KEY)
    },
}
