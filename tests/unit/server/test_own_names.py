"""A server's names on a connection."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from teleglyph.errors import ConfigurationError
from teleglyph.net import OwnName
from teleglyph.net.forwarding import Client
from teleglyph.server.config import ServerConfig
from teleglyph.server.own_names import KnownNames, names_of_certificate

LOCAL, REMOTE, PROXIED = Client("127.0.0.1", True), Client("192.0.2.7", True), Client("127.0.0.1", False)


def write_certificate(path: Path, *names: x509.GeneralName) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "common.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("client", "local_address", "url", "is_own"),
    [
        (LOCAL, "127.0.0.1", "ws://localhost:27226", True),
        (LOCAL, "127.0.0.1", "ws://[::1]:27226", True),
        (LOCAL, "127.0.0.1", "ws://127.0.0.1/events", True),
        (LOCAL, "127.0.0.1", "ws://evil.example", False),
        (REMOTE, "192.0.2.1", "ws://192.0.2.1:27226", True),
        (REMOTE, "192.0.2.1", "ws://localhost:27226", False),
        (REMOTE, "192.0.2.1", "ws://127.0.0.1:27226", False),
        (REMOTE, "192.0.2.1", "ws://192.0.2.2", False),
        (REMOTE, "::ffff:192.0.2.1", "ws://192.0.2.1", True),
        (REMOTE, "fe80::1%eth0", "ws://[fe80::1%25eth0]:27226", True),
        (PROXIED, "127.0.0.1", "ws://localhost", False),
        (PROXIED, "127.0.0.1", "ws://127.0.0.1", False),
        (PROXIED, "", "ws://announced.example", True),
    ],
)
def test_the_default_name_is_how_the_connection_arrived(
    client: Client, local_address: str, url: str, is_own: bool
) -> None:
    known = KnownNames(ServerConfig(announce="announced.example:27224"))
    assert known.of(client, local_address, "evil.example").is_own_url(url) is is_own


def test_the_certificates_names_count_and_are_reloaded(tmp_path: Path) -> None:
    address = x509.IPAddress(ipaddress.ip_address("2001:db8::1"))
    path = write_certificate(tmp_path / "a.pem", x509.DNSName("Relay.Example"), x509.DNSName("*.b.example"), address)
    known = KnownNames(ServerConfig(tls=(path, None)))
    own = known.of(PROXIED, "127.0.0.1", "")
    for url in ("wss://relay.example", "wss://x.b.example", "wss://[2001:db8::1]"):
        assert own.is_own_url(url)
    for url in ("wss://common.example", "wss://b.example"):
        assert not own.is_own_url(url)
    write_certificate(path, x509.DNSName("new.example"))
    known.reload()
    assert known.of(PROXIED, "", "").names == (OwnName("new.example"),)
    path.write_text("damaged")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        known.reload()
    assert known.of(PROXIED, "", "").is_own_url("wss://new.example")


def test_a_certificate_without_names_has_none(tmp_path: Path) -> None:
    assert names_of_certificate(write_certificate(tmp_path / "a.pem")) == []
