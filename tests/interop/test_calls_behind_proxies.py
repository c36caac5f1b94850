"""Calls whose clients a proxy names with the PROXY protocol: through HAProxy, and byte for byte.

Clients connect from 127.0.0.2 and so on, because the server trusts only 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acip_peer import AcipPeer, PeerClosedError
from conftest import ServerProcess
from proxies import HaproxyPair, service_options
from proxy_header import LOCAL, UNIX, field, header, header_of
from terminal import wait_for

StartServer = Callable[..., ServerProcess]
ANN_HOST, BOB_HOST, PROXY_HOST = "127.0.0.2", "127.0.0.3", "127.0.0.1"
CLIENT = "192.0.2.7"


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """The server of docs/hosting.md, with two connections for each address."""
    data = ("--http", "--http-port", "0", "--data-dir", str(tmp_path / "data"))
    server = start_server(*data, "--connections-per-address", "2", *service_options())
    server.wait_for_log("HTTP on port")
    return server


@pytest.fixture
def pair(server: ServerProcess, tmp_path: Path) -> Iterator[HaproxyPair]:
    """HAProxy in front of the server; it also checks whether the server is there."""
    place = tmp_path / "proxy"
    place.mkdir()
    with contextlib.closing(HaproxyPair(place, server.http_port, server.port, "check inter 200ms")) as opened:
        yield opened


def call(port: int, source: str, first: bytes = b"", *, chunk: int = 1000) -> contextlib.closing[AcipPeer]:
    """Join a call.

    Args:
        port: of the proxy, or of the server.
        source: the address to connect from.
        first: bytes to send before anything else.
        chunk: how many of them to send at a time.
    """
    peer = AcipPeer(port, source=source)
    try:
        for place in range(0, len(first), chunk):
            peer.send_raw(first[place : place + chunk])
        return contextlib.closing(peer.join())
    except BaseException:
        peer.close()
        raise


def is_refused(port: int, source: str, first: bytes = b"") -> bool:
    """Whether the server closes a connection instead of letting it join."""
    try:
        with call(port, source, first):
            return False
    except (PeerClosedError, ConnectionError):
        return True


# --- through HAProxy --------------------------------------------------------------------------------------------------


def test_people_call_through_haproxy(pair: HaproxyPair, server: ServerProcess) -> None:
    with call(pair.calls, ANN_HOST) as ann, call(pair.calls, BOB_HOST) as bob:
        ann.send_color(200, 10, 10)
        assert bob.frame()
        for host in (ANN_HOST, BOB_HOST):
            server.wait_for_log(f"{host} connected as")


def test_our_client_joins_over_link_2_through_haproxy(shared_server: StartServer, tmp_path: Path) -> None:
    server = shared_server(*service_options())
    with contextlib.closing(HaproxyPair(tmp_path, server.http_port, server.port)) as pair:
        done = subprocess.run(
            [sys.executable, "-m", "teleglyph", "client", f"127.0.0.1:{pair.calls}/team", "--protocol", "2"]
            + ["--snapshot", "--test-pattern"],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    server.wait_for_log("Call room team opened")


def test_limits_apply_to_the_callers_behind_haproxy(pair: HaproxyPair, server: ServerProcess) -> None:
    with call(pair.calls, ANN_HOST), call(pair.calls, ANN_HOST):
        assert is_refused(pair.calls, ANN_HOST)
        server.wait_for_log(f"{ANN_HOST} was refused: it already has 2 connections")
        with call(pair.calls, BOB_HOST), call(pair.calls, BOB_HOST):
            assert is_refused(pair.calls, BOB_HOST)


def test_a_caller_cannot_claim_an_address(pair: HaproxyPair, server: ServerProcess) -> None:
    forged = header_of(CLIENT, 5)
    assert is_refused(pair.calls, ANN_HOST, forged), "behind the header of HAProxy"
    assert is_refused(server.port, ANN_HOST, forged), "without HAProxy"
    assert f"{CLIENT} connected" not in "".join(server.log)
    with call(server.port, ANN_HOST):
        server.wait_for_log(f"{ANN_HOST} connected as")


# --- byte for byte ----------------------------------------------------------------------------------------------------


def wait_for_caller(server: ServerProcess, host: str, since: int) -> None:
    """Wait until the server logs the connection of a caller, after so many lines of its log."""
    wait_for(lambda: any(f" {host} connected as" in line for line in server.log[since:]), f"{host} is logged")


@pytest.mark.parametrize("chunk", [1, 1000])
@pytest.mark.parametrize(
    ("first", "client"),
    [
        (header_of(CLIENT, 5), CLIENT),
        (header_of("2001:db8::7", 5), "2001:db8::7"),
        (header_of(f"::ffff:{CLIENT}", 5), CLIENT),
        (header_of(CLIENT, 5, field(2, b"example.org"), has_checksum=True), CLIENT),
        (header(command=LOCAL, family=0), PROXY_HOST),
        (header(bytes(216), family=UNIX), PROXY_HOST),
        (b"", PROXY_HOST),
    ],
    ids=["IPv4", "IPv6", "IPv4 as IPv6", "fields", "check", "UNIX", "none"],
)
def test_the_client_is_the_one_that_a_trusted_proxy_names(
    shared_server: StartServer, first: bytes, client: str, chunk: int
) -> None:
    server = shared_server("--trusted-proxy", PROXY_HOST)
    since = len(server.log)
    with call(server.port, PROXY_HOST, first, chunk=chunk) as peer:
        peer.send_color(200, 10, 10)
        assert peer.frame()
        wait_for_caller(server, client, since)


@pytest.mark.parametrize(
    "first",
    [
        header(bytes(12), command=0x11),
        header(bytes(12), command=0x2F),
        header(bytes(12), family=0x41),
        header(bytes(4)),
        header_of(CLIENT, 5, field(4, bytes(600))),
        header_of(CLIENT, 5, b"\x04\xff\xff"),
        header_of(CLIENT, 5, has_checksum=True)[:-1] + b"\0",
    ],
    ids=["version", "command", "family", "short", "long", "field", "checksum"],
)
def test_a_connection_with_an_invalid_header_is_closed(shared_server: StartServer, first: bytes) -> None:
    server = shared_server("--trusted-proxy", PROXY_HOST)
    since = len(server.log)
    assert is_refused(server.port, PROXY_HOST, first)
    with call(server.port, PROXY_HOST, header_of("192.0.2.8", 5)):
        wait_for_caller(server, "192.0.2.8", since)
    assert sum("connected as" in line for line in server.log[since:]) == 1, "only the other caller got in"


@pytest.mark.parametrize("line", [b"", b"X-Forwarded-For: 127.0.0.1\r\n", b"Forwarded: for=127.0.0.1\r\n"])
def test_requests_on_the_call_port_are_those_of_the_named_client(shared_server: StartServer, line: bytes) -> None:
    server = shared_server("--trusted-proxy", PROXY_HOST)

    def status(path: bytes, first: bytes) -> bytes:
        with socket.create_connection((PROXY_HOST, server.port), 10) as peer:
            peer.sendall(first + b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n")
            answer = peer.recv(4096)
        assert answer.startswith(b"HTTP/1.1 "), answer
        return answer.split(b" ")[1]

    assert status(b"/health", header_of(CLIENT, 5)) == b"200"
    assert status(b"/statistics", header_of(CLIENT, 5)) == b"403"
    assert status(b"/health", header(command=LOCAL, family=0)) == b"200"
    assert status(b"/statistics", header(command=LOCAL, family=0)) == b"403", "nor is the proxy itself a local program"
