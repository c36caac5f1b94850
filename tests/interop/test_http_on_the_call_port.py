"""Calls, pages and WebSockets on one port."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect as connect_websocket

from acip_peer import AcipPeer
from certificates import certificate
from conftest import ServerProcess
from terminal import wait_for

StartServer = Callable[..., ServerProcess]
Connect = Callable[[ServerProcess], AcipPeer]


def both(start_server: StartServer, data: Path, *options: str) -> ServerProcess:
    return start_server("--http", "--http-port", "0", "--events", "--game", "go", "--data-dir", str(data), *options)


def ask(port: int, request: bytes, *, pause: float = 0.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        if pause:
            for byte in request:
                peer.sendall(bytes([byte]))
                time.sleep(pause)
        else:
            peer.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(65536):
                answer += data
    return answer


def test_pages_and_calls_share_a_port(start_server: StartServer, connect: Connect, tmp_path: Path) -> None:
    server = both(start_server, tmp_path)
    peer = connect(server)
    peer.join()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=10) as answer:
        assert json.load(answer)["participants"] == 1
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/statistics", timeout=10) as answer:
        assert json.load(answer)["connections"] == 1, "a page is not a participant"
    peer.send_color(1, 2, 3)
    peer.frame()


def test_the_relay_and_rooms_answer_on_the_call_port(start_server: StartServer, tmp_path: Path) -> None:
    server = both(start_server, tmp_path)
    with connect_websocket(f"ws://127.0.0.1:{server.port}/", compression=None) as relay:
        assert json.loads(relay.recv(10))[0] == "AUTH"
        relay.send('["REQ","s",{"kinds":[1]}]')
        assert json.loads(relay.recv(10)) == ["EOSE", "s"]
    with connect_websocket(f"ws://127.0.0.1:{server.port}/rooms", compression=None) as room:
        room.send(b"")
        assert room.recv(10)


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_requests_are_answered_however_they_are_split(start_server: StartServer, tmp_path: Path, pause: float) -> None:
    server = both(start_server, tmp_path)
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = ask(server.port, request + last, pause=pause)
    assert answer.count(b"HTTP/1.1 200 OK") == 2, "one after the other on one connection"


def test_a_slow_request_head_has_the_http_deadline(start_server: StartServer, tmp_path: Path) -> None:
    server = both(start_server, tmp_path)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n")
        started = time.monotonic()
        assert peer.recv(1000) == b""
        assert time.monotonic() - started > 5, "not that of a handshake"


def test_a_silent_peer_is_closed_and_frees_its_place(start_server: StartServer, tmp_path: Path) -> None:
    server = both(start_server, tmp_path, "--connections-per-address", "2")
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
    refused = ask(server.port, b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 429 "), "their places are taken"
    assert [peer.recv(1) for peer in silent] == [b"", b""]
    wait_for(
        lambda: b"200 OK" in ask(server.port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        "their places are free again",
    )
    for peer in silent:
        peer.close()


def test_without_http_a_browser_gets_an_explanation(start_server: StartServer) -> None:
    server = start_server()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=10)
    assert refused.value.code == 404
    assert "server for calls" in refused.value.read().decode()


def test_with_a_certificate_browsers_are_pointed_to_https(start_server: StartServer, tmp_path: Path) -> None:
    file = certificate(tmp_path, "localhost")
    server = start_server("--http", "--http-port", "0", "--tls-cert", str(file))
    for port in (server.port, server.http_port):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        assert refused.value.code == 426
        assert "https://" in refused.value.read().decode()
        context = ssl.create_default_context(cafile=file)
        with urllib.request.urlopen(f"https://localhost:{port}/health", timeout=10, context=context) as answer:
            assert answer.status == 200


def test_without_a_certificate_the_server_makes_one(start_server: StartServer) -> None:
    server = start_server("--http")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/health", timeout=10, context=context) as answer:
        assert answer.status == 200


def test_a_certificate_that_nobody_trusts_leaves_no_trace(start_server: StartServer) -> None:
    server = start_server("--http")
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    server.wait_for_log("the TLS handshake failed")
    assert "Traceback" not in "".join(server.log)
