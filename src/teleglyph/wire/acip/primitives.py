"""Cryptography of the handshake (docs/protocol/handshake.md#cryptography).

X25519 is RFC 7748, Ed25519 RFC 8032, Argon2id RFC 9106, and HMAC RFC 2104 with SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Protocol

import nacl.bindings
import nacl.exceptions
import nacl.pwhash
import nacl.signing

from teleglyph.errors import HandshakeError, UserError, VerificationError

RandomBytes = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""

MIN_PASSWORD, MAX_PASSWORD = 8, 256
"""Bytes of a password."""
_SALT = b"ascii-chat-passw"
_OPERATIONS, _MEMORY = 2, 64 * 2**20
_SSH_PREFIX = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
"""OpenSSH's form of an Ed25519 key is this and the 32 bytes of the key (RFC 8709)."""


class Identity(Protocol):
    """The Ed25519 key pair that a server or client is known by."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature (RFC 8032, no context) of ``data``."""


def fingerprint_digest(key: bytes) -> bytes:
    """The SHA-256 of an Ed25519 public key in OpenSSH's form, 32 bytes."""
    return hashlib.sha256(_SSH_PREFIX + key).digest()


def fingerprint(key: bytes) -> str:
    """The fingerprint that ``ssh-keygen -l`` prints: ``SHA256:`` and 43 characters of base64.

    Args:
        key: the 32 bytes of an Ed25519 public key.
    """
    return f"SHA256:{base64.b64encode(fingerprint_digest(key)).decode().rstrip('=')}"


class EphemeralKey:
    """An X25519 key pair for one connection (RFC 7748).

    Args:
        random: source of the 32 bytes of the private key.
    """

    def __init__(self, random: RandomBytes) -> None:
        self._private_key = random(32)
        self.public_key = nacl.bindings.crypto_scalarmult_base(self._private_key)

    def exchange(self, peer_key: bytes) -> bytes:
        """The session key: the secret shared with the owner of ``peer_key``.

        Raises:
            HandshakeError: ``peer_key`` is of low order, so the secret would be predictable.
        """
        try:
            return nacl.bindings.crypto_scalarmult(self._private_key, peer_key)
        except nacl.exceptions.CryptoError:
            raise HandshakeError("The peer's X25519 key is of low order, so the connection cannot be secret.") from None


def derive_password_key(password: str) -> bytes:
    """Derive the key for a password (docs/protocol/handshake.md#password-key).

    It takes about 60 ms and 64 MiB.  Call it once, and outside an event loop.

    Raises:
        UserError: the password has fewer than 8 or more than 256 bytes of UTF-8.
    """
    data = password.encode("utf-8", "surrogateescape")
    if not MIN_PASSWORD <= len(data) <= MAX_PASSWORD:
        raise UserError(f"The password has {len(data)} bytes. Choose one of {MIN_PASSWORD} to {MAX_PASSWORD} bytes.")
    return nacl.pwhash.argon2id.kdf(32, data, _SALT, opslimit=_OPERATIONS, memlimit=_MEMORY)


def authentication_tag(key: bytes, nonce: bytes, shared: bytes) -> bytes:
    """The 32-byte proof that its sender knows ``key`` (docs/protocol/handshake.md#proofs)."""
    return hmac.digest(key, nonce + shared, "sha256")


def tags_equal(one: bytes, other: bytes) -> bool:
    """Compare two tags in constant time."""
    return hmac.compare_digest(one, other)


def verify_signature(identity: bytes, data: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        VerificationError: the owner of ``identity`` did not make it.
    """
    try:
        nacl.signing.VerifyKey(identity).verify(data, signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError, ValueError):
        raise VerificationError(
            f"The peer showed the identity {fingerprint(identity)}, but does not own it. "
            "Someone may be intercepting the connection."
        ) from None
