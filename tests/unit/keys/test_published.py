"""Fetching published keys over HTTPS, from a real server with its own certificate."""

from __future__ import annotations

import datetime
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from teleglyph.errors import KeyFetchError
from teleglyph.keys import format_public_key
from teleglyph.keys.published import fetch_published

LINE = format_public_key(bytes(range(32))) + "\n"


def certificate(path: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))


@dataclass
class Service:
    """A server, and the certificates that its clients trust."""

    host: str = ""
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = found.answers.get(self.path, (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    certificate(tmp_path / "pem", "localhost")
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    found.host = f"localhost:{server.server_address[1]}"
    found.trust = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetched_keys_are_stored_for_outages_of_the_service(service: Service, tmp_path: Path) -> None:
    service.answers["/ann.keys"] = (200, LINE)

    def fetch(user: str) -> str:
        return fetch_published("github", user, cache=tmp_path / "cache", host=service.host, context=service.trust)

    assert fetch("ann") == LINE
    service.answers["/ann.keys"] = (500, "")
    assert fetch("ann") == LINE
    service.answers["/ann.keys"] = (404, "")
    with pytest.raises(KeyFetchError, match="does not know the user 'ann'"):
        fetch("ann")
    service.answers["/bob.keys"] = (503, "")
    with pytest.raises(KeyFetchError, match=r"status 503.*there is no cached copy"):
        fetch("bob")
    service.answers["/eve.keys"] = (200, LINE * 1000)
    with pytest.raises(KeyFetchError, match="more than 64 KiB"):
        fetch("eve")


def test_a_service_without_a_valid_certificate_is_refused(service: Service, tmp_path: Path) -> None:
    service.answers["/ann.keys"] = (200, LINE)
    with pytest.raises(KeyFetchError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_published("github", "ann", cache=tmp_path, host=service.host)
    with pytest.raises(KeyFetchError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_published(
            "github", "ann", cache=tmp_path, host=service.host.replace("localhost", "127.0.0.1"), context=service.trust
        )
