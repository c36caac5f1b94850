"""Slow, half-open and mistaken peers on the shared port, in every phase of a connection."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from acip_peer import packet
from conftest import ServerProcess
from proxy_header import SIGNATURE, header_of
from terminal import wait_for

StartServer = Callable[..., ServerProcess]
LINK_HELLO, LINK_CHALLENGE = 1300, 1301
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
DEADLINE = 5.0
"""Seconds for the first bytes, for a TLS handshake, for a handshake of ACIP or link 2, and for the capabilities."""
PATIENCE = 40.0
"""Until a test gives up; a busy machine may be late."""


class Knock:
    """One connection, on which a test decides about every step.

    Args:
        port: of the server.
        source: our address.
    """

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["teleglyph/2"])
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._is_secure = False

    def send(self, data: bytes) -> None:
        if self._is_secure:
            self._tls.write(data)
            data = self._outgoing.read()
        self.socket.sendall(data)

    def begin_tls(self) -> bytes:
        """The ClientHello."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._outgoing.read()

    def finish_tls(self) -> bytes:
        """Read the server's part; returns our last bytes of the TLS handshake, which are still to be sent."""
        while True:
            self._incoming.write(self.socket.recv(4096))
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                self._is_secure = True
                return self._outgoing.read()

    def secure(self) -> None:
        """Complete a TLS handshake."""
        self.socket.sendall(self.begin_tls())
        self.socket.sendall(self.finish_tls())

    def receive(self, size: int) -> bytes:
        """Bytes inside TLS."""
        data = b""
        while len(data) < size:
            try:
                data += self._tls.read(size - len(data))
            except ssl.SSLWantReadError:
                self._incoming.write(self.socket.recv(4096))
        return data

    def wait_closed(self) -> float:
        """Read until the server closes; returns the time, as from ``time.monotonic``."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(4096):
                pass
        return time.monotonic()


def link_hello() -> bytes:
    return packet(LINK_HELLO, struct.pack(">HI", 2, 0) + os.urandom(32) + bytes(32) + b"\0")


Phase = Callable[[Knock], None]
Reach = Callable[[ServerProcess, Phase], Knock]


def nothing(_peer: Knock) -> None:
    """Only connect."""


def one_byte(peer: Knock) -> None:
    peer.send(b"\x16")


def half_a_method(peer: Knock) -> None:
    peer.send(b"GE")


def half_a_proxy_header(peer: Knock) -> None:
    peer.send(header_of("192.0.2.1", 4000)[:20])


def half_a_proxy_signature(peer: Knock) -> None:
    peer.send(SIGNATURE[:5])


def only_a_proxy_header(peer: Knock) -> None:
    peer.send(header_of("192.0.2.1", 4000))


def half_a_client_hello(peer: Knock) -> None:
    peer.send(peer.begin_tls()[:40])


def client_hello(peer: Knock) -> None:
    peer.send(peer.begin_tls())


def unfinished_tls(peer: Knock) -> None:
    peer.send(peer.begin_tls())
    peer.socket.sendall(peer.finish_tls()[:-1])


def tls(peer: Knock) -> None:
    peer.secure()


def half_a_link_hello(peer: Knock) -> None:
    peer.secure()
    peer.send(link_hello()[:30])


def challenged(peer: Knock) -> None:
    peer.secure()
    peer.send(link_hello())
    kind = struct.unpack(">QHIII", peer.receive(22))[1]
    assert kind == LINK_CHALLENGE


def acip_version(peer: Knock) -> None:
    peer.send(packet(1, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)))


DIRECT: tuple[Phase, ...] = (
    *(nothing, one_byte, half_a_method, half_a_client_hello, client_hello, unfinished_tls),
    *(tls, half_a_link_hello, challenged, acip_version),
)
PROXIED: tuple[Phase, ...] = (half_a_proxy_signature, half_a_proxy_header, only_a_proxy_header)
PHASES = (*DIRECT, *PROXIED)
PROXY = "127.0.0.3"
TOO_LATE = re.compile(r"in time|taking longer|did not finish|did not send its capabilities")
"""In the log, if a deadline has ended a connection."""


def all_ended(peers: Sequence[Knock]) -> list[float]:
    """When the server closed each connection, as from ``time.monotonic``."""
    with ThreadPoolExecutor(len(peers)) as pool:
        return list(pool.map(Knock.wait_closed, peers))


def loud_lines(server: ServerProcess) -> list[str]:
    """Log lines above the debug level, except those about the whole server."""
    return [line for line in server.log if not re.search(r" DEBUG | teleglyph\.(cli\.server|server\.app):", line)]


def ask(port: int, request: bytes = HEALTH) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(request)
        while data := peer.recv(65536):
            answer += data
    return answer


def all_places_are_free(server: ServerProcess) -> bool:
    """Whether this address can open as many connections as in the beginning, the last of them for a request."""
    with contextlib.ExitStack() as stack:
        for _ in DIRECT[1:]:
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
        return ask(server.port).startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def reach() -> Iterator[Reach]:
    """Makes a connection in a phase; all are closed at the end."""
    peers: list[Knock] = []

    def make(server: ServerProcess, phase: Phase) -> Knock:
        peers.append(Knock(server.port, source=PROXY if phase in PROXIED else "127.0.0.1"))
        phase(peers[-1])
        return peers[-1]

    yield make
    for peer in peers:
        peer.socket.close()


@pytest.fixture
def door(start_server: StartServer) -> StartServer:
    def start(*options: str) -> ServerProcess:
        limit = ("--connections-per-address", str(len(DIRECT)))
        return start_server("--http", "--trusted-proxy", PROXY, *limit, *options)

    return start


def test_silence_in_any_phase_ends_at_its_deadline(door: StartServer, reach: Reach) -> None:
    server = door()
    began, peers = [], []
    for phase in PHASES:
        began.append(time.monotonic())
        peers.append(reach(server, phase))
    ended = all_ended(peers)
    for phase, start, end in zip(PHASES, began, ended, strict=True):
        assert end - start > DEADLINE - 0.1, f"{phase.__name__} ended too early"
    assert loud_lines(server) == []
    wait_for(lambda: all_places_are_free(server), "their places are free again")


@pytest.mark.parametrize("options", [(), ("--password", "the right one")], ids=["open", "password"])
def test_a_half_closed_connection_ends_at_once_in_any_phase(
    door: StartServer, reach: Reach, options: tuple[str, ...]
) -> None:
    server = door(*options)
    for phase in PHASES:
        peer = reach(server, phase)
        peer.socket.shutdown(socket.SHUT_WR)
        peer.wait_closed()
        peer.socket.close()
        late = [line for line in server.log if TOO_LATE.search(line)]
        assert late == [], phase.__name__
    assert loud_lines(server) == []
    wait_for(lambda: all_places_are_free(server), "their places are free again")


def test_only_some_peers_of_an_address_get_the_time_to_type_a_password(door: StartServer, reach: Reach) -> None:
    server = door("--password", "the right one")
    patient = [reach(server, challenged) for _ in range(4)]
    reach(server, challenged).wait_closed()
    for peer in patient:
        peer.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.socket.recv(1)
        peer.socket.close()
    server.wait_for_log("did not finish the handshake within 5 s")
    reach(server, challenged).socket.close()
    assert loud_lines(server) == []
    wait_for(lambda: all_places_are_free(server), "their places are free again")


def test_a_proxy_header_from_a_stranger_gets_no_answer_and_one_line_in_the_log(door: StartServer) -> None:
    server = door()
    for _ in range(5):
        assert ask(server.port, header_of("192.0.2.1", 4000) + HEALTH) == b""
    assert "--trusted-proxy" in server.wait_for_log("it sent a PROXY header")
    assert len(loud_lines(server)) == 1


def test_https_to_a_server_without_pages_gets_an_explanation(start_server: StartServer) -> None:
    server = start_server()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"https://127.0.0.1:{server.port}/", timeout=PATIENCE, context=context)
    assert refused.value.code == 404
    assert "server for calls" in refused.value.read().decode()


def test_a_call_to_the_port_for_pages_gets_an_explanation(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--http", "--http-port", "0")
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    client = [sys.executable, "-m", "teleglyph", "client", f"127.0.0.1:{server.http_port}", "--snapshot"]
    done = subprocess.run(client, capture_output=True, text=True, timeout=PATIENCE, env=home, check=False)
    assert done.returncode == 44, done.stderr
    assert "speaks TLS, but is not a call server. Check the address and the port." in done.stderr


def test_acip_to_the_port_for_pages_gets_an_explanation(start_server: StartServer) -> None:
    server = start_server("--http", "--http-port", "0")
    answer = ask(server.http_port, packet(1, struct.pack(">HHBBBH7x", 1, 0, 1, 0, 0, 0)) + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert answer.endswith(b"The request is not valid HTTP.\n")
