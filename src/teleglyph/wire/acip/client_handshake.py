"""The client's side of the handshake (docs/protocol/handshake.md)."""

from __future__ import annotations

import enum
from collections.abc import Callable

from teleglyph.errors import AuthenticationError, HandshakeError, VerificationError
from teleglyph.wire.acip.handshake import HandshakeResult, Transitions
from teleglyph.wire.acip.messages.control import Ping, ServerState
from teleglyph.wire.acip.messages.handshake import (
    KEY_SIZE,
    SIGNATURE_SIZE,
    AuthChallenge,
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
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.acip.primitives import (
    EphemeralKey,
    Identity,
    RandomBytes,
    authentication_tag,
    tags_equal,
    verify_signature,
)
from teleglyph.wire.acip.refusal import CredentialState, RefusableHandshake, password_not_asked, refusals

IdentityCheck = Callable[[bytes | None], None]
"""Receives the server's proven identity, or None without one.  It raises a PeerError to refuse the server."""


_MAX_STATES = 100
"""SERVER_STATE packets during a handshake that the server began; more are a flood."""


class ClientStep(enum.Enum):
    """The packet that the client waits for."""

    VERSION = "waiting for the protocol version"
    PARAMETERS = "waiting for the server's choice of algorithms"
    KEY = "waiting for the server's key"
    VERDICT = "waiting for the server's verdict or challenge"
    PROOF = "waiting for the server's proof"
    REFUSED = "the server refused us"
    DONE = "the handshake is over"


class ClientHandshake(RefusableHandshake):
    """The client's side; its first packet is in ``outgoing`` from the start.

    Args:
        password_key: the key of the password, or None.  A server that does not ask for the password is refused, because
            the password also has to prove the server.
        client_key: our own identity or None; shown only to servers that ask for one.
        check_identity: decides about the server's identity.
        hello: the identity that a server with several must show; None for any.
        random: makes the ephemeral key (32 bytes), then the client nonce (32 bytes) if there is a challenge.
        features: the extensions that this client supports.
    """

    refused_step = ClientStep.REFUSED

    def __init__(
        self,
        password_key: bytes | None,
        client_key: Identity | None,
        check_identity: IdentityCheck | None,
        hello: bytes | None,
        random: RandomBytes,
        features: Feature = Feature.NONE,
    ) -> None:
        super().__init__(has_password=password_key is not None, has_key=client_key is not None)
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
        self._identity: bytes | None = None
        self._shared = b""
        self._nonce = b""
        self._states = 0
        self._server_speaks_first = False
        self.send(ProtocolVersion(self._mode, features=features))

    @property
    def transitions(self) -> Transitions:
        return _SERVER_FIRST if self._server_speaks_first else _TRANSITIONS

    def wait_for_server(self) -> None:
        """Let the server begin with CRYPTO_PARAMETERS (docs/protocol/websocket.md#acip).

        Call it before anything of ``outgoing`` is sent: our version is dropped.  There are no features then, and a
        server with several identities shows the default one.
        """
        self.outgoing.clear()
        self._features = Feature.NONE
        self._server_speaks_first = True
        self.step = ClientStep.PARAMETERS

    @property
    def features(self) -> Feature:
        """The extensions that both sides support, once the server sent its version; none with ascii-chat."""
        return self._features

    def _on_version(self, message: ProtocolVersion) -> None:
        if message.mode != self._mode:
            raise HandshakeError(
                f"We asked for crypto mode {self._mode:#04x}, but the server chose {message.mode:#04x}."
            )
        self._features &= message.features
        authenticate = int(CryptoMode.AUTHENTICATE in self._mode)
        self.send(CryptoCapabilities(preferred_authentication=authenticate))
        self.step = ClientStep.PARAMETERS

    def _on_parameters(self, message: CryptoParameters) -> None:
        if (message.key_exchange, message.cipher) != (1, 1):
            raise HandshakeError(
                f"The server chose key exchange {message.key_exchange} and cipher {message.cipher}, but only 1 of each "
                "exists."
            )
        if (
            message.key_exchange_size != KEY_SIZE
            or message.identity_size not in (0, KEY_SIZE)
            or message.signature_size not in (0, SIGNATURE_SIZE)
        ):
            raise HandshakeError(
                f"The server announces X25519 keys of {message.key_exchange_size} bytes, identities of "
                f"{message.identity_size} and signatures of {message.signature_size}; these sizes do not exist."
            )
        self._identity_announced = message.authentication == 1
        self._shows_key = message.verification != 0
        self._has_long_key = self._shows_key or (message.identity_size > 0 and message.signature_size > 0)
        self._signs_without_size = message.signature_size == 0
        if self._server_speaks_first:
            pass  # The server does not wait for a choice; its key is on the way.
        elif self._identity_announced and self._hello is not None:
            self.send(ClientHello(self._hello))
        elif self._identity_announced:
            # ascii-chat's server waits for CLIENT_HELLO here, but refuses its type.  Any other packet makes it go on
            # with its default identity (docs/protocol/handshake.md#crypto_client_hello).
            self.send(Ping())
        self.step = ClientStep.KEY

    def _on_key(self, message: KeyExchangeInit) -> None:
        if message.identity is not None:
            verify_signature(message.identity, message.public_key, message.signature)
        elif self._identity_announced:
            raise VerificationError("The server announced an identity, but did not show it.")
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
        self._key_state = CredentialState.SENT
        return KeyExchangeResponse(public_key, self._client_key.public_key, self._client_key.sign(public_key))

    def _on_complete(self, _message: HandshakeComplete) -> None:
        if self._password_key is not None:
            raise password_not_asked()
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
            raise password_not_asked()
        self._nonce = self._random(KEY_SIZE)
        if self._password_key is not None:
            tag = authentication_tag(self._password_key, message.nonce, self._shared)
            self.send(AuthResponse(tag, self._nonce))
            self._password_state = CredentialState.SENT
        elif self._client_key is not None and self._shows_key:
            signature = self._client_key.sign(message.nonce)
            self.send(AuthResponse(signature, self._nonce))
            if self._signs_without_size:
                # ascii-chat's server then takes the signature's first bytes for our nonce
                # (docs/protocol/handshake.md#crypto_auth_response).
                self._nonce = signature[:KEY_SIZE]
        elif wants_key:
            raise self._refused(AuthFailure.CLIENT_KEY_REQUIRED)
        else:
            raise HandshakeError("The server asks for a proof, but does not say which.")
        self.step = ClientStep.PROOF

    def _on_proof(self, message: ServerAuthResponse) -> None:
        key = self._shared if self._password_key is None else self._password_key
        if not tags_equal(message.tag, authentication_tag(key, self._nonce, self._shared)):
            raise AuthenticationError("The server does not know the password. It may not be the server you mean.")
        self._finish(authenticated=True)

    def _on_state(self, _message: ServerState) -> None:
        self._states += 1
        if self._states > _MAX_STATES:
            raise HandshakeError(f"The server sent SERVER_STATE more than {_MAX_STATES} times during the handshake.")

    def _finish(self, *, authenticated: bool) -> None:
        self.result = HandshakeResult(self._shared, self._identity, authenticated, features=self._features)
        self.step = ClientStep.DONE


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
    **refusals(ClientStep, ClientStep.DONE),
}
_SERVER_FIRST: Transitions = {
    **_TRANSITIONS,
    # ascii-chat's server sends it to WebSockets at any time.
    **{
        (step, PacketType.SERVER_STATE): (ServerState, ClientHandshake._on_state)
        for step in ClientStep
        if step is not ClientStep.DONE
    },
}
