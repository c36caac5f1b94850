"""Messages of the handshake and of rekeying; they are never encrypted (docs/protocol/handshake.md#packets)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message, require_size
from teleglyph.wire.acip.packet_type import PacketType

KEY_SIZE = 32
"""Bytes of an X25519 or Ed25519 public key, and of a challenge nonce and its tag."""
SIGNATURE_SIZE = 64
MAX_KEY_ID = 40
"""Characters of the longest GPG key id."""

_VERSION = struct.Struct(">HHBBBH7x")
_CAPABILITIES = struct.Struct(">HHHBBBB")
_PARAMETERS = struct.Struct(">BBBBHHHHBBB3x")


class CryptoMode(enum.IntFlag):
    """The crypto mode that a client asks for (docs/protocol/handshake.md#modes)."""

    ENCRYPT = 0x01
    AUTHENTICATE = 0x02


class Feature(enum.IntFlag):
    """Extensions of the protocol, as bits of PROTOCOL_VERSION; ascii-chat's programs set none."""

    NONE = 0
    SCREEN_UPDATES = 0x02
    """The messages of :mod:`teleglyph.wire.acip.messages.screen` (docs/protocol/screens.md#agreement)."""
    CODED_PICTURES = 0x04
    """CODED_PICTURE (docs/protocol/page.md#coded_picture)."""
    DEFLATE = 0x08
    """Updates of screens are compressed with deflate instead of zstd (docs/protocol/screens.md#screen_update)."""
    ROSTER = 0x10
    """ROSTER (docs/protocol/page.md#roster)."""
    INVITATION = 0x20
    """The client has an invitation, or the server can check one (docs/protocol/link2.md#invitations)."""


class ChallengeFlag(enum.IntFlag):
    """The proofs that a server asks for (docs/protocol/handshake.md#crypto_auth_challenge)."""

    PASSWORD = 0x01
    CLIENT_KEY = 0x02
    INVITATION = 0x04
    """Instead of the others, and only for clients with an invitation (docs/protocol/link2.md#invitations)."""


class AuthFailure(enum.IntFlag):
    """Why a server refuses a client (docs/protocol/handshake.md#crypto_auth_failed)."""

    PASSWORD_REQUIRED = 0x01
    PASSWORD_INCORRECT = 0x02
    CLIENT_KEY_REQUIRED = 0x04
    CLIENT_KEY_REJECTED = 0x08
    SIGNATURE_INVALID = 0x10


class _Empty(Message):
    __slots__ = ()

    def encode_payload(self) -> bytes:
        return b""

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size(cls.type.name, payload, 0)
        return cls()


@dataclass(frozen=True, slots=True)
class ProtocolVersion(Message):
    """The first packet of each side (docs/protocol/handshake.md#protocol_version)."""

    type: ClassVar = PacketType.PROTOCOL_VERSION
    mode: int = CryptoMode.ENCRYPT
    version: int = 1
    revision: int = 0
    compression_algorithms: int = 0
    compression_threshold: int = 0
    features: int = 0

    def encode_payload(self) -> bytes:
        return _VERSION.pack(
            self.version,
            self.revision,
            self.mode,
            self.compression_algorithms,
            self.compression_threshold,
            self.features,
        )

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("PROTOCOL_VERSION", payload, _VERSION.size)
        version, revision, mode, *rest = _VERSION.unpack(payload)
        return cls(mode, version, revision, *rest)


@dataclass(frozen=True, slots=True)
class CryptoCapabilities(Message):
    """The algorithms that a client knows and prefers (docs/protocol/handshake.md#crypto_capabilities)."""

    type: ClassVar = PacketType.CRYPTO_CAPABILITIES
    key_exchange: int = 1
    authentication: int = 1
    cipher: int = 1
    wants_verification: int = 0
    preferred_key_exchange: int = 1
    preferred_authentication: int = 0
    preferred_cipher: int = 1

    def encode_payload(self) -> bytes:
        return _CAPABILITIES.pack(
            self.key_exchange,
            self.authentication,
            self.cipher,
            self.wants_verification,
            self.preferred_key_exchange,
            self.preferred_authentication,
            self.preferred_cipher,
        )

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_CAPABILITIES", payload, _CAPABILITIES.size)
        return cls(*_CAPABILITIES.unpack(payload))


@dataclass(frozen=True, slots=True)
class CryptoParameters(Message):
    """The server's choice of algorithms (docs/protocol/handshake.md#crypto_parameters)."""

    type: ClassVar = PacketType.CRYPTO_PARAMETERS
    key_exchange: int = 1
    authentication: int = 0
    cipher: int = 1
    verification: int = 0
    key_exchange_size: int = KEY_SIZE
    identity_size: int = 0
    signature_size: int = 0
    shared_size: int = 32
    nonce_size: int = 24
    mac_size: int = 16
    tag_size: int = 32

    def encode_payload(self) -> bytes:
        return _PARAMETERS.pack(
            self.key_exchange,
            self.authentication,
            self.cipher,
            self.verification,
            self.key_exchange_size,
            self.identity_size,
            self.signature_size,
            self.shared_size,
            self.nonce_size,
            self.mac_size,
            self.tag_size,
        )

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_PARAMETERS", payload, _PARAMETERS.size)
        return cls(*_PARAMETERS.unpack(payload))


@dataclass(frozen=True, slots=True)
class ClientHello(Message):
    """The server's Ed25519 key that the client expects (docs/protocol/handshake.md#crypto_client_hello)."""

    type: ClassVar = PacketType.CRYPTO_CLIENT_HELLO
    server_identity: bytes

    def encode_payload(self) -> bytes:
        return self.server_identity

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_CLIENT_HELLO", payload, KEY_SIZE)
        return cls(payload)


@dataclass(frozen=True, slots=True)
class KeyExchangeInit(Message):
    """The server's X25519 key, perhaps with an identity (docs/protocol/handshake.md#crypto_key_exchange_init)."""

    type: ClassVar = PacketType.CRYPTO_KEY_EXCHANGE_INIT
    public_key: bytes
    identity: bytes | None = None
    signature: bytes = b""

    def encode_payload(self) -> bytes:
        return self.public_key + (self.identity or b"") + self.signature

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_KEY_EXCHANGE_INIT", payload, KEY_SIZE, 2 * KEY_SIZE + SIGNATURE_SIZE)
        if len(payload) == KEY_SIZE:
            return cls(payload)
        return cls(payload[:KEY_SIZE], payload[KEY_SIZE : 2 * KEY_SIZE], payload[2 * KEY_SIZE :])


@dataclass(frozen=True, slots=True)
class KeyExchangeResponse(Message):
    """The client's X25519 key, perhaps with an identity (docs/protocol/handshake.md#crypto_key_exchange_resp).

    A client without an identity may send zeros; they are not replaced by None.
    """

    type: ClassVar = PacketType.CRYPTO_KEY_EXCHANGE_RESP
    public_key: bytes
    identity: bytes | None = None
    signature: bytes = b""
    key_id: bytes = b""

    def encode_payload(self) -> bytes:
        if self.identity is None:
            return self.public_key
        return self.public_key + self.identity + self.signature + _encode_key_id(self.key_id)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        head = 2 * KEY_SIZE + SIGNATURE_SIZE
        if len(payload) == KEY_SIZE:
            return cls(payload)
        if not head <= len(payload) <= head + 1 + MAX_KEY_ID:
            raise ProtocolError(f"CRYPTO_KEY_EXCHANGE_RESP payload size {len(payload)} (expected 32 or 128-169)")
        key_id = _decode_key_id(payload[head:]) if len(payload) > head else b""
        return cls(payload[:KEY_SIZE], payload[KEY_SIZE : 2 * KEY_SIZE], payload[2 * KEY_SIZE : head], key_id)


@dataclass(frozen=True, slots=True)
class AuthChallenge(Message):
    """The server asks for proof; ``flags`` are bits of :class:`ChallengeFlag`."""

    type: ClassVar = PacketType.CRYPTO_AUTH_CHALLENGE
    flags: int
    nonce: bytes

    def encode_payload(self) -> bytes:
        return bytes((self.flags,)) + self.nonce

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_AUTH_CHALLENGE", payload, 1 + KEY_SIZE)
        return cls(payload[0], payload[1:])


@dataclass(frozen=True, slots=True)
class AuthResponse(Message):
    """The client's proof, and a nonce of its own (docs/protocol/handshake.md#crypto_auth_response).

    ``proof`` is the 32-byte tag of a password, or the 64-byte signature of a client key.
    """

    type: ClassVar = PacketType.CRYPTO_AUTH_RESPONSE
    proof: bytes = field(repr=False)
    nonce: bytes
    key_id: bytes = b""

    def encode_payload(self) -> bytes:
        if len(self.proof) == SIGNATURE_SIZE:
            return self.proof + self.nonce + _encode_key_id(self.key_id)
        return self.proof + self.nonce

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        head = SIGNATURE_SIZE + KEY_SIZE
        if len(payload) == 2 * KEY_SIZE:
            return cls(payload[:KEY_SIZE], payload[KEY_SIZE:])
        if not head < len(payload) <= head + 1 + MAX_KEY_ID:
            raise ProtocolError(f"CRYPTO_AUTH_RESPONSE payload size {len(payload)} (expected 64 or 97-137)")
        return cls(payload[:SIGNATURE_SIZE], payload[SIGNATURE_SIZE:head], _decode_key_id(payload[head:]))


@dataclass(frozen=True, slots=True)
class AuthFailed(Message):
    """The server refuses the client; ``reasons`` are bits of :class:`AuthFailure`."""

    type: ClassVar = PacketType.CRYPTO_AUTH_FAILED
    reasons: int = 0

    def encode_payload(self) -> bytes:
        return bytes((self.reasons,)) + bytes(7)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_AUTH_FAILED", payload, 8)
        return cls(payload[0])


@dataclass(frozen=True, slots=True)
class ServerAuthResponse(Message):
    """The server's proof, which ends the handshake (docs/protocol/handshake.md#crypto_server_auth_resp)."""

    type: ClassVar = PacketType.CRYPTO_SERVER_AUTH_RESP
    tag: bytes = field(repr=False)

    def encode_payload(self) -> bytes:
        return self.tag

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_SERVER_AUTH_RESP", payload, KEY_SIZE)
        return cls(payload)


@dataclass(frozen=True, slots=True)
class HandshakeComplete(_Empty):
    """The handshake is complete; the server asks for no proof."""

    type: ClassVar = PacketType.CRYPTO_HANDSHAKE_COMPLETE


@dataclass(frozen=True, slots=True)
class NoEncryption(_Empty):
    """The client refuses to encrypt."""

    type: ClassVar = PacketType.CRYPTO_NO_ENCRYPTION


@dataclass(frozen=True, slots=True)
class RekeyRequest(Message):
    """An offer of a new X25519 key, which our sessions ignore (docs/protocol/handshake.md#rekeying)."""

    type: ClassVar = PacketType.CRYPTO_REKEY_REQUEST
    public_key: bytes

    def encode_payload(self) -> bytes:
        return self.public_key

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_REKEY_REQUEST", payload, KEY_SIZE)
        return cls(payload)


@dataclass(frozen=True, slots=True)
class RekeyResponse(Message):
    """The answer to a :class:`RekeyRequest`."""

    type: ClassVar = PacketType.CRYPTO_REKEY_RESPONSE
    public_key: bytes

    def encode_payload(self) -> bytes:
        return self.public_key

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_REKEY_RESPONSE", payload, KEY_SIZE)
        return cls(payload)


@dataclass(frozen=True, slots=True)
class RekeyComplete(Message):
    """The end of rekeying: one zero byte."""

    type: ClassVar = PacketType.CRYPTO_REKEY_COMPLETE

    def encode_payload(self) -> bytes:
        return b"\0"

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("CRYPTO_REKEY_COMPLETE", payload, 1)
        return cls()


def _encode_key_id(key_id: bytes) -> bytes:
    return bytes((len(key_id),)) + key_id


def _decode_key_id(data: bytes) -> bytes:
    if data[0] != len(data) - 1:
        raise ProtocolError(f"Key id announces {data[0]} characters, but has {len(data) - 1}.")
    return data[1:]
