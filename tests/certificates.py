"""Certificates made for tests."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


def certificate(directory: Path, name: str, *, is_verifiable: bool = False) -> Path:
    """Write a self-signed certificate and its key into one file.

    Args:
        directory: for the file.
        name: of the host.
        is_verifiable: clients that trust the certificate accept it for the name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key)
    if is_verifiable:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return _write(directory / f"{name}.pem", key, builder.sign(key, hashes.SHA256()))


class Authority:
    """Issues certificates to those who trust it.

    Args:
        directory: for its certificate.
    """

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            _builder(_AUTHORITY, _AUTHORITY, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / "authority.pem"
        """Its certificate."""
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)

    def issue(self, file: Path, host: str, *, is_expired: bool = False) -> Path:
        """Write a certificate for a host and its key into one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(host, _AUTHORITY, key, -_DAY / 2 if is_expired else _DAY)
            .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _write(file, key, made)


_AUTHORITY = "an authority for tests"


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, lasts: datetime.timedelta = _DAY
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + lasts)
    )


def _write(file: Path, key: ec.EllipticCurvePrivateKey, made: x509.Certificate) -> Path:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(pem)
    return file
