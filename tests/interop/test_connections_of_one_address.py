"""Connections are counted from the moment they open, whatever they are for."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect as connect_websocket

from acip_peer import AcipPeer
from certificates import certificate
from conftest import ServerProcess
from terminal import wait_for

StartServer = Callable[..., ServerProcess]
Connect = Callable[[ServerProcess], AcipPeer]
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextlib.contextmanager
def silent(port: int, count: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections that send nothing."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)))
            for _ in range(count)
        ]


def is_open(peer: socket.socket) -> bool:
    peer.settimeout(0.2)
    try:
        while peer.recv(1000):
            pass
        return False
    except TimeoutError:
        return True
    except OSError:
        return False


def answer(port: int, request: bytes, seconds: float = 10) -> bytes:
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as peer, contextlib.suppress(ConnectionError):
        peer.sendall(request)
        while part := peer.recv(65536):
            data += part
    return data


def test_silent_http_connections_are_counted(start_server: StartServer, tmp_path: Path) -> None:
    limit = ["--connections-per-address", "5"]
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), *limit)
    with silent(server.http_port, 5) as peers:
        assert all(map(is_open, peers))
        refused = answer(server.http_port, HEALTH)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert refused.endswith(b"it already has 5 connections\n")
        assert answer(server.port, HEALTH) == refused, "nor on the call port"
        peers[0].close()
        wait_for(lambda: answer(server.http_port, HEALTH).startswith(b"HTTP/1.1 200 "), "a place is free again")


def test_a_websocket_is_counted_once(start_server: StartServer, tmp_path: Path) -> None:
    limit = ["--connections-per-address", "3"]
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), *limit)
    with contextlib.ExitStack() as stack:
        for port in (server.http_port, server.http_port, server.port):
            stack.enter_context(connect_websocket(f"ws://127.0.0.1:{port}/", compression=None))
        assert answer(server.http_port, HEALTH).startswith(b"HTTP/1.1 429 ")
    wait_for(lambda: answer(server.http_port, HEALTH).startswith(b"HTTP/1.1 200 "), "they are gone")


def test_connections_without_a_tls_handshake_are_counted(start_server: StartServer, tmp_path: Path) -> None:
    file = certificate(tmp_path, "localhost")
    limit = ["--connections-per-address", "5", "--tls-cert", str(file)]
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path), *limit)
    context = ssl.create_default_context(cafile=file)
    context.check_hostname = False

    def secure_answer() -> bytes:
        data = b""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", server.http_port), 10) as peer,
            context.wrap_socket(peer) as secured,
        ):
            secured.sendall(HEALTH)
            while part := secured.recv(65536):
                data += part
        return data

    assert secure_answer().startswith(b"HTTP/1.1 200 ")
    with silent(server.http_port, 5) as peers:
        wait_for(lambda: secure_answer() == b"", "all places are taken")
        peers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_for(lambda: not is_open(peers[0]), "who speaks no TLS is closed")
        wait_for(lambda: secure_answer().startswith(b"HTTP/1.1 200 "), "a place is free again")


@pytest.mark.thorough
def test_an_upgrade_does_not_lift_the_deadline(start_server: StartServer, tmp_path: Path) -> None:
    options = ["--events", "--relay-admin", "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"]
    server = start_server("--http", "--http-port", "0", "--data-dir", str(tmp_path), *options)
    began = time.monotonic()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nUpgrade: x\r\nContent-Type: application/nostr+json+rpc\r\n"
    got = answer(server.http_port, head + b"Content-Length: 100\r\n\r\n{", seconds=40)
    assert got.startswith(b"HTTP/1.1 408 ")
    assert 10 < time.monotonic() - began < 35


def test_a_flood_of_connections_leaves_descriptors_for_participants(
    start_server: StartServer, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", few_descriptors(300))
    server = start_server("--http", "--http-port", "0", "--events", "--data-dir", str(tmp_path))
    peer = connect(server)
    peer.join()
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            for port in (server.http_port, server.port):
                flood = stack.enter_context(silent(port, 50, "127.0.0.2"))
                peer.send_color(1, 2, 3)
                peer.frame()
                last_is_refused = not is_open(flood[-1])
        assert last_is_refused, "not all of them fit"
    wait_for(lambda: answer(server.http_port, HEALTH).startswith(b"HTTP/1.1 200 "), "they are gone")
    assert "out of system resource" not in "".join(server.log)


def few_descriptors(count: int) -> type[subprocess.Popen[str]]:
    class Limited(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, command: list[str], **options: object) -> None:
            limit = f'ulimit -n {count}; exec "$@"'
            super().__init__(["sh", "-c", limit, "sh", *command], **options)  # type: ignore[call-overload]

    return Limited
