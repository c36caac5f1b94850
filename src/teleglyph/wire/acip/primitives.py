"""The cryptographic functions of the handshake: X25519, Argon2id, HMAC-SHA256, Ed25519 (spec acip-crypto 1
and 5)."""

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
"""Gives that many unpredictable bytes."""

MIN_PASSWORD, MAX_PASSWORD = 8, 256
_SALT = b"ascii-chat-passw"
_OPERATIONS, _MEMORY = 2, 64 * 2**20
_SSH_PREFIX = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
"""What stands before the 32 bytes of an Ed25519 key in OpenSSH's form of it (RFC 8709)."""


class Identity(Protocol):
    """A long-lived Ed25519 key pair that proves who a server or a client is."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature (RFC 8032, no context) of ``data``."""


def fingerprint_digest(key: bytes) -> bytes:
    """The SHA-256 of an Ed25519 public key in OpenSSH's form, 32 bytes."""
    return hashlib.sha256(_SSH_PREFIX + key).digest()


def fingerprint(key: bytes) -> str:
    """``SHA256:`` and 43 characters of base64, exactly as ``ssh-keygen -l`` prints it.

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
        """The secret shared with the owner of ``peer_key``, used as it is as the session key.

        Raises:
            HandshakeError: ``peer_key`` is a point that makes the secret predictable.
        """
        try:
            return nacl.bindings.crypto_scalarmult(self._private_key, peer_key)
        except nacl.exceptions.CryptoError:
            raise HandshakeError("the peer's X25519 key is of low order; the connection cannot be secret") from None


def derive_password_key(password: str) -> bytes:
    """The key that a password stands for: Argon2id with the protocol's fixed salt (spec acip-crypto 5.2).

    Takes about 60 ms and 64 MiB, so call it once and outside an event loop.

    Raises:
        UserError: the password has fewer than 8 or more than 256 bytes of UTF-8.
    """
    data = password.encode("utf-8", "surrogateescape")
    if not MIN_PASSWORD <= len(data) <= MAX_PASSWORD:
        raise UserError(f"the password has {len(data)} bytes; choose one of {MIN_PASSWORD} to {MAX_PASSWORD}")
    return nacl.pwhash.argon2id.kdf(32, data, _SALT, opslimit=_OPERATIONS, memlimit=_MEMORY)


def authentication_tag(key: bytes, nonce: bytes, shared: bytes) -> bytes:
    """The 32-byte proof of knowing ``key`` that answers ``nonce`` on this connection (spec acip-crypto
    5.3)."""
    return hmac.digest(key, nonce + shared, "sha256")


def tags_equal(one: bytes, other: bytes) -> bool:
    """Compare two tags in constant time."""
    return hmac.compare_digest(one, other)


def verify_signature(identity: bytes, data: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        VerificationError: it was not made by the owner of ``identity``.
    """
    try:
        nacl.signing.VerifyKey(identity).verify(data, signature)
    except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError, ValueError):
        raise VerificationError(
            f"the identity {fingerprint(identity)} was shown by somebody who does not own it; "
            "somebody may be in the middle"
        ) from None
