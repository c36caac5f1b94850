"""The client's side of the handshake (spec acip-crypto 3 and 4)."""

from __future__ import annotations

import enum
from collections.abc import Callable

from teleglyph.errors import (
    AuthenticationError,
    HandshakeError,
    PeerError,
    RateLimitError,
    ServerFullError,
    VerificationError,
)
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
    ProtocolVersion,
    ServerAuthResponse,
)
from teleglyph.wire.acip.messages.text import ErrorMessage, RemoteLog
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import (
    EphemeralKey,
    Identity,
    RandomBytes,
    authentication_tag,
    tags_equal,
    verify_signature,
)

IdentityCheck = Callable[[bytes | None], None]
"""Gets the server's proven identity, or None if it shows none; raises a PeerError to refuse it."""


class Sent(enum.Enum):
    """How far a password or a client key got."""

    ABSENT = "we have none"
    HELD_BACK = "we have one, but did not send it"
    SENT = "the server got it"


_PASSWORD_SENTENCES = {
    AuthFailure.PASSWORD_REQUIRED: {
        Sent.ABSENT: "the server wants a password: ask the host for it",
        Sent.HELD_BACK: "the server wants a password, but refused us before it took ours: ask the host why",
        Sent.SENT: "the server wants a password, and did not accept ours: ask the host for the right one",
    },
    AuthFailure.PASSWORD_INCORRECT: {
        Sent.ABSENT: "the server reports a wrong password, but none was sent: it may not be the server you mean",
        Sent.HELD_BACK: "the server reports a wrong password, but has not seen ours: ask the host why",
        Sent.SENT: "wrong password: ask the host for the right one",
    },
}
_KEY_SENTENCES = {
    AuthFailure.CLIENT_KEY_REQUIRED: {
        Sent.ABSENT: "the server only admits known client keys, and none was shown: ask the host to add yours",
        Sent.HELD_BACK: "the server only admits known client keys, but did not let us show ours: ask the host why",
        Sent.SENT: "the server only admits known client keys, and did not accept ours: ask the host to add it",
    },
    AuthFailure.CLIENT_KEY_REJECTED: {
        Sent.ABSENT: "the server refuses our client key, but none was shown: it may not be the server you mean",
        Sent.HELD_BACK: "the server refuses our client key without having seen it: ask the host why",
        Sent.SENT: "the server does not know our client key: ask the host to add it",
    },
    AuthFailure.SIGNATURE_INVALID: {
        Sent.ABSENT: "the server could not verify a signature, but none was sent: it may not be the server you mean",
        Sent.HELD_BACK: "the server could not verify a signature, but none was sent: ask the host why",
        Sent.SENT: "the server could not verify the signature of our client key",
    },
}
_KEYS_AS_WELL = "the server also asks for a known client key, and did not say whether it knows ours"
_MAX_EXPLANATIONS = 8


class ClientStep(enum.Enum):
    """What the client waits for."""

    VERSION = "waiting for the protocol version"
    PARAMETERS = "waiting for the server's choice of algorithms"
    KEY = "waiting for the server's key"
    VERDICT = "waiting for the server's verdict or challenge"
    PROOF = "waiting for the server's proof"
    REFUSED = "the server refused us"
    DONE = "the handshake is over"


class ClientHandshake(Handshake):
    """The client's steps; its first packet is in ``outgoing`` from the start.

    Args:
        password_key: what to prove, or None.  With it a server that does not ask for it is refused: who gives a
            password wants the server to know it, too.
        client_key: our own identity, shown only to servers that ask for one, or None.
        check_identity: decides about the server's identity.
        hello: the identity that a server with several is to show; None leaves it the choice.
        random: draws the ephemeral key (32 bytes), then the client nonce (32 bytes) if there is a challenge.
        features: what this client knows beyond the protocol.
    """

    def __init__(
        self,
        password_key: bytes | None,
        client_key: Identity | None,
        check_identity: IdentityCheck | None,
        hello: bytes | None,
        random: RandomBytes,
        features: Feature = Feature.NONE,
    ) -> None:
        super().__init__()
        self.step: ClientStep = ClientStep.VERSION
        self._password_key = password_key
        self._client_key = client_key
        self._check_identity = check_identity
        self._hello = hello
        self._random = random
        self._features = features
        self._ephemeral = EphemeralKey(random)
        self._mode = CryptoMode.ENCRYPT | (
            CryptoMode.AUTHENTICATE if password_key is not None or client_key is not None else CryptoMode(0)
        )
        self._identity_announced = self._has_long_key = self._shows_key = self._signs_without_size = False
        self._password_sent = Sent.ABSENT if password_key is None else Sent.HELD_BACK
        self._key_sent = Sent.ABSENT if client_key is None else Sent.HELD_BACK
        self._identity: bytes | None = None
        self._shared = b""
        self._nonce = b""
        self._reasons = 0
        self._error_code: int | None = None
        self._explanation: list[str] = []
        self.send(ProtocolVersion(self._mode, features=features))

    @property
    def transitions(self) -> Transitions:
        return _TRANSITIONS

    @property
    def features(self) -> Feature:
        """What both sides know beyond the protocol, once the server has told its version; none with ascii-chat."""
        return self._features

    @property
    def refusal(self) -> PeerError | None:
        """Why the server refused us, with what it said about that so far; None if it did not."""
        if self.step is not ClientStep.REFUSED:
            return None
        text = " ".join(self._explanation)
        if self._reasons or self._error_code in (None, AuthenticationError.exit_code):
            return self._refused(self._reasons, text)
        known = {kind.exit_code: kind for kind in (RateLimitError, ServerFullError)}
        return known.get(self._error_code, PeerError)(f"The server ended the connection: {text}")

    def _on_version(self, message: ProtocolVersion) -> None:
        if message.mode != self._mode:
            raise HandshakeError(f"we asked for crypto mode {self._mode:#04x}, the server chose {message.mode:#04x}")
        self._features &= message.features
        authenticate = int(CryptoMode.AUTHENTICATE in self._mode)
        self.send(CryptoCapabilities(preferred_authentication=authenticate))
        self.step = ClientStep.PARAMETERS

    def _on_parameters(self, message: CryptoParameters) -> None:
        if (message.key_exchange, message.cipher) != (1, 1):
            raise HandshakeError(
                f"the server chose key exchange {message.key_exchange} and cipher {message.cipher}; "
                "only number 1 of each is known"
            )
        if (
            message.key_exchange_size != KEY_SIZE
            or message.identity_size not in (0, KEY_SIZE)
            or message.signature_size not in (0, SIGNATURE_SIZE)
        ):
            raise HandshakeError(
                f"the server announces X25519 keys of {message.key_exchange_size} bytes, identities of "
                f"{message.identity_size} and signatures of {message.signature_size}"
            )
        self._identity_announced = message.authentication == 1
        self._shows_key = message.verification != 0
        self._has_long_key = self._shows_key or (message.identity_size > 0 and message.signature_size > 0)
        self._signs_without_size = message.signature_size == 0
        if self._identity_announced and self._hello is not None:
            self.send(ClientHello(self._hello))
        elif self._identity_announced:
            # ascii-chat's server waits for a packet here, but refuses the CLIENT_HELLO it waits for; any
            # other type makes it go on with its default identity (spec acip-crypto 4.4).
            self.send(Ping())
        self.step = ClientStep.KEY

    def _on_key(self, message: KeyExchangeInit) -> None:
        if message.identity is not None:
            verify_signature(message.identity, message.public_key, message.signature)
        elif self._identity_announced:
            raise VerificationError("the server announced an identity but did not show it")
        if self._check_identity is not None:
            self._check_identity(message.identity)
        self._identity = message.identity
        self._shared = self._ephemeral.exchange(message.public_key)
        self.send(self._our_key())
        self.step = ClientStep.VERDICT

    def _our_key(self) -> KeyExchangeResponse:
        public_key = self._ephemeral.public_key
        if not self._has_long_key:
            return KeyExchangeResponse(public_key)
        if self._client_key is None or not self._shows_key:
            return KeyExchangeResponse(public_key, bytes(KEY_SIZE), bytes(SIGNATURE_SIZE))
        self._key_sent = Sent.SENT
        return KeyExchangeResponse(public_key, self._client_key.public_key, self._client_key.sign(public_key))

    def _on_complete(self, _message: HandshakeComplete) -> None:
        if self._password_key is not None:
            raise _no_password_wanted()
        self._finish(authenticated=False)

    def _on_challenge(self, message: AuthChallenge) -> None:
        wants_password = bool(message.flags & ChallengeFlag.PASSWORD)
        wants_key = bool(message.flags & ChallengeFlag.CLIENT_KEY)
        missing = AuthFailure(0)
        if wants_password and self._password_key is None:
            missing |= AuthFailure.PASSWORD_REQUIRED
        if wants_key and self._client_key is None:
            missing |= AuthFailure.CLIENT_KEY_REQUIRED
        if missing:
            raise self._refused(missing)
        if not wants_password and self._password_key is not None:
            raise _no_password_wanted()
        self._nonce = self._random(KEY_SIZE)
        if self._password_key is not None:
            tag = authentication_tag(self._password_key, message.nonce, self._shared)
            self.send(AuthResponse(tag, self._nonce))
            self._password_sent = Sent.SENT
        elif self._client_key is not None and self._shows_key:
            signature = self._client_key.sign(message.nonce)
            self.send(AuthResponse(signature, self._nonce))
            if self._signs_without_size:
                # ascii-chat's server then takes the signature's beginning for our nonce (spec acip-crypto 4.8).
                self._nonce = signature[:KEY_SIZE]
        elif wants_key:
            raise self._refused(AuthFailure.CLIENT_KEY_REQUIRED)
        else:
            raise HandshakeError("the server asks for proof, but not for which")
        self.step = ClientStep.PROOF

    def _on_proof(self, message: ServerAuthResponse) -> None:
        key = self._shared if self._password_key is None else self._password_key
        if not tags_equal(message.tag, authentication_tag(key, self._nonce, self._shared)):
            raise AuthenticationError("the server does not know the password; it may not be the one you mean")
        self._finish(authenticated=True)

    def _on_refusal(self, message: AuthFailed) -> None:
        self._reasons |= message.reasons
        self.step = ClientStep.REFUSED

    def _on_error(self, message: ErrorMessage) -> None:
        self._error_code = message.code
        self._explain(message.text)
        self.step = ClientStep.REFUSED

    def _on_log(self, message: RemoteLog) -> None:
        self._explain(message.text)

    def _explain(self, text: str) -> None:
        """Keep what the server says: it may belong to a refusal, before or after the packet that refuses us."""
        if len(self._explanation) >= _MAX_EXPLANATIONS:
            raise HandshakeError("the server talks instead of going on with the handshake")
        if text.strip():
            self._explanation.append(text.strip())

    def _refused(self, reasons: int, explanation: str = "") -> AuthenticationError:
        text = describe_refusal(reasons, self._password_sent, self._key_sent)
        if explanation:
            text += f". The server says: {explanation}"
        return AuthenticationError(text, reasons, explanation)

    def _finish(self, *, authenticated: bool) -> None:
        self.result = HandshakeResult(self._shared, self._identity, authenticated, features=self._features)
        self.step = ClientStep.DONE


def _no_password_wanted() -> AuthenticationError:
    return AuthenticationError(
        "the server does not ask for the password, so it may not be the one you mean, or somebody is in the middle; "
        "if it really has none, leave the password out"
    )


def describe_refusal(reasons: int, password: Sent, key: Sent) -> str:
    """What AUTH_FAILED says, in words that fit what was really sent.

    Args:
        reasons: its bits (:class:`AuthFailure`), known or not.
        password: how far our password got.
        key: how far our key got.
    """
    sentences = [by_state[password] for bit, by_state in _PASSWORD_SENTENCES.items() if reasons & bit]
    for bit, by_state in _KEY_SENTENCES.items():
        if reasons & bit:
            # ascii-chat's server adds this bit to a wrong password when it asks for keys, whatever key it was shown.
            is_remark = bit == AuthFailure.CLIENT_KEY_REQUIRED and reasons & AuthFailure.PASSWORD_INCORRECT
            sentences.append(_KEYS_AS_WELL if is_remark and key is Sent.SENT else by_state[key])
    return "; ".join(sentences) or f"the server refused us without a reason we know ({reasons:#04x})"


_TRANSITIONS: Transitions = {
    (ClientStep.VERSION, PacketType.PROTOCOL_VERSION): (ProtocolVersion, ClientHandshake._on_version),
    (ClientStep.PARAMETERS, PacketType.CRYPTO_PARAMETERS): (CryptoParameters, ClientHandshake._on_parameters),
    (ClientStep.KEY, PacketType.CRYPTO_KEY_EXCHANGE_INIT): (KeyExchangeInit, ClientHandshake._on_key),
    (ClientStep.VERDICT, PacketType.CRYPTO_HANDSHAKE_COMPLETE): (
        HandshakeComplete,
        ClientHandshake._on_complete,
    ),
    (ClientStep.VERDICT, PacketType.CRYPTO_AUTH_CHALLENGE): (AuthChallenge, ClientHandshake._on_challenge),
    (ClientStep.PROOF, PacketType.CRYPTO_SERVER_AUTH_RESP): (ServerAuthResponse, ClientHandshake._on_proof),
    **{
        (step, kind.type): (kind, act)
        for step in ClientStep
        if step is not ClientStep.DONE
        for kind, act in (
            (AuthFailed, ClientHandshake._on_refusal),
            (ErrorMessage, ClientHandshake._on_error),
            (RemoteLog, ClientHandshake._on_log),
        )
    },
}
