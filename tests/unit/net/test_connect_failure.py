"""Error messages for failed connections, tested with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from teleglyph.errors import ConnectError
from teleglyph.events.client import NostrClient
from teleglyph.net import connect_tcp
from teleglyph.net.websocket_failure import CHAT, CONNECT_ERRORS, GAMES, Service, websocket_failure
from teleglyph.wire.acip import ClientSession

Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(serve: Serve) -> Iterator[int]:
    """A port whose connections are handed to ``serve``, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def replying(data: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return serve


def http(status: str, body: str = "") -> Serve:
    return replying(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def opened(url: str, service: Service = CHAT, seconds: float = 5.0) -> str:
    """The error message after a failed connection to this URL."""
    from websockets.asyncio.client import connect

    try:
        async with connect(url, open_timeout=seconds, proxy=None):
            return "connected"
    except CONNECT_ERRORS as error:
        return await websocket_failure(error, url, service, seconds)


def check(text: str, port: int | None, words: str) -> None:
    assert re.search(words, text), text
    assert text.endswith(".")
    assert not re.search(r"Errno|Error|Exception|0x|<class", text), text
    if port is not None:
        assert f"127.0.0.1:{port}" in text, text


@pytest.mark.parametrize(
    ("serve", "service", "words"),
    [
        (lambda connection: None, CHAT, r"closed the connection .* use port 27224 unless"),
        (reset, CHAT, r"closed the connection .* use port 27224 unless"),
        (replying(b"SSH-2.0-OpenSSH_9.2\r\n"), CHAT, "not a web server, so chat cannot be there"),
        (replying(b"\x00\x01\x02" * 100), GAMES, "closed the connection instead of answering"),
        (http("404 Not Found"), CHAT, r"a web server, but has no chat \(404 Not Found\)"),
        (http("404 Not Found", '{"error": "start the server with --events"}'), CHAT, "has to start it with --events"),
        (http("404 Not Found", '{"error": "start the server with --game"}'), GAMES, "has to start it with --game"),
        (http("426 Upgrade Required"), CHAT, r"has no chat \(426 Upgrade Required\)"),
        (http("426 Upgrade Required", "This server speaks TLS. Use https://"), CHAT, r"wants TLS. Write wss://127\.0"),
        (http("200 OK", "hello"), CHAT, r"has no chat \(200 OK\)"),
        (http("400 Bad Request"), CHAT, r"has no chat \(400 Bad Request\)"),
        (http("403 Forbidden"), CHAT, "does not let us in"),
        (http("429 Too Many Requests"), CHAT, "in a minute"),
        (http("502 Bad Gateway"), GAMES, r"502 Bad Gateway\). Try again later"),
        (http("599 Odd"), CHAT, r"\(599\)"),
    ],
)
def test_answers_of_a_port_are_explained(serve: Serve, service: Service, words: str) -> None:
    with listening(serve) as port:
        check(asyncio.run(opened(f"ws://127.0.0.1:{port}/", service)), port, words)


def test_a_silent_port_is_explained() -> None:
    done = threading.Event()

    def say_nothing(_connection: socket.socket) -> None:
        done.wait(20)

    with listening(say_nothing) as port:
        text = asyncio.run(opened(f"ws://127.0.0.1:{port}/", seconds=0.3))
        done.set()
        check(text, port, r"did not answer within 0.3 s\. Check the address, and that no firewall")


def test_calls_and_chat_report_a_closed_port_in_the_same_words() -> None:
    port = unused_port()

    async def tell() -> tuple[str, str]:
        with pytest.raises(ConnectError) as of_call:
            await connect_tcp("127.0.0.1", port, ClientSession())
        with pytest.raises(ConnectError) as of_chat:
            async with NostrClient(f"ws://127.0.0.1:{port}/", bytes([1]) * 32):
                pass
        return str(of_call.value), str(of_chat.value)

    texts = asyncio.run(tell())
    assert texts[0] == texts[1]
    check(
        texts[0], port, r"^Nobody listens on .*\. Is the server running\? Calls, chat and games use port 27224 unless"
    )


def test_an_unknown_host_is_explained() -> None:
    check(
        asyncio.run(opened("ws://no-such-host.invalid:27224/")), None, "'no-such-host.invalid' (is not known|cannot be)"
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


def test_unexpected_and_missing_tls_are_explained(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)

    with listening(serve) as port:
        check(asyncio.run(opened(f"ws://127.0.0.1:{port}/")), port, rf"wants TLS\. Write wss://127.0.0.1:{port}\.$")
        check(asyncio.run(opened(f"wss://127.0.0.1:{port}/")), port, "certificate .* cannot be trusted: .*self")
    with listening(http("400 Bad Request")) as port:
        check(asyncio.run(opened(f"wss://127.0.0.1:{port}/")), port, r"does not use TLS\. Write ws://")
