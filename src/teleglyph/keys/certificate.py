"""Self-signed certificates for Ed25519 keys (RFC 8410), which carry an identity into TLS."""

from __future__ import annotations

import datetime
import hashlib
import os
from dataclasses import dataclass, field

from teleglyph.keys.private import FileIdentity
from teleglyph.wire.acip import Identity
from teleglyph.wire.link2 import Channel

_SUBJECT = "Teleglyph"
_DAY = datetime.timedelta(days=1)
_NO_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""The date for certificates without an end (RFC 5280, 4.1.2.5)."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its secret key.

    Attributes:
        der: the certificate.
        pem: the certificate and the key, as files have them.
    """

    der: bytes
    pem: bytes = field(repr=False)


def self_signed(identity: Identity | None) -> Certificate:
    """A certificate for an identity's key, or for a new key if this process does not hold the identity's secret.

    Args:
        identity: a key in an agent cannot sign certificates, so it counts as None.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    seed = identity.seed if isinstance(identity, FileIdentity) else os.urandom(32)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _SUBJECT)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.now(datetime.UTC) - _DAY)
        .not_valid_after(_NO_END)
        .sign(key, None)
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(certificate.public_bytes(Encoding.DER), certificate.public_bytes(Encoding.PEM) + secret)


def ed25519_key_of(certificate: bytes) -> bytes | None:
    """The Ed25519 key in a certificate; None if it has a key of another kind.

    Args:
        certificate: in DER.

    Raises:
        ValueError: it cannot be read.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except UnsupportedAlgorithm:
        return None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None


def channel_of(certificate: bytes) -> Channel:
    """What the proofs of link 2 are bound to, for a server's certificate in DER.

    Raises:
        ValueError: it cannot be read.
    """
    return Channel(hashlib.sha256(certificate).digest(), ed25519_key_of(certificate))


def may_have_authority(certificate: bytes) -> bool:
    """Whether an authority may have issued a certificate (in DER; empty for none)."""
    try:
        return bool(certificate) and not is_self_signed(certificate)
    except ValueError:
        return False  # nobody issues names that cannot be read


def is_self_signed(certificate: bytes) -> bool:
    """Whether a certificate (in DER) names its own subject as its issuer, so that no authority can have checked it.

    Raises:
        ValueError: it cannot be read.
    """
    from cryptography import x509

    parsed = x509.load_der_x509_certificate(certificate)
    return parsed.issuer == parsed.subject
