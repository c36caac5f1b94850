"""The server behind Debian's HAProxy and nginx, with the configurations of docs/hosting.md.

Clients connect from 127.0.0.2 and so on, because the server trusts only 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from acip_peer import AcipPeer
from certificates import certificate
from conftest import ServerProcess
from nostr_peer import ANN, make
from proxies import NAME, HaproxyPair, NginxPair, ProxyPair, adapt, block, free_port, service_options
from proxy_header import SIGNATURE
from teleglyph.events.limits import EventLimits
from teleglyph.net import own_addresses
from teleglyph.rooms.service import RoomsLimits
from teleglyph.wire.proxy_protocol import HEADER_SIZE, ProxiedAddress, header_length, parse_header
from teleglyph.wire.rooms.messages import JoinRequest, decode_error
from websocket_peer import WebSocketPeer

StartServer = Callable[..., ServerProcess]
TOKEN = "a token of the administrator"
ANN_HOST, BOB_HOST, PROXY_HOST = "127.0.0.2", "127.0.0.3", "127.0.0.1"


PROXIES = pytest.mark.parametrize("kind", [HaproxyPair, NginxPair], ids=["haproxy", "nginx"])


@pytest.fixture(scope="module", params=[HaproxyPair, NginxPair], ids=["haproxy", "nginx"])
def pair(
    request: pytest.FixtureRequest, shared_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxyPair]:
    """A proxy in front of the server of the page."""
    server = shared_server(*service_options(), "--admin-token", TOKEN)
    place = tmp_path_factory.mktemp("proxy")
    with contextlib.closing(request.param(place, server.http_port, server.port)) as opened:
        yield opened


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """The server of the page, with two connections for each address."""
    limits = ("--connections-per-address", "2", "--admin-token", TOKEN)
    data = ("--http", "--http-port", "0", "--data-dir", str(tmp_path / "data"))
    server = start_server(*data, *limits, *service_options())
    server.wait_for_log("HTTP on port")
    return server


def get(
    pair: ProxyPair, path: str, *lines: str, source: str = ANN_HOST, verb: str = "GET", host: str = NAME
) -> tuple[int, str]:
    """Status and body of a request."""
    head = [f"{verb} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""]
    with pair.tls.wrap_socket(pair.open_socket(source), server_hostname=NAME) as peer:
        peer.sendall("\r\n".join(head).encode())
        answer = b"".join(iter(lambda: peer.recv(4096), b""))
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), body.decode()


def dial(pair: ProxyPair, path: str = "/", *, source: str = ANN_HOST, **options: Any) -> connect:
    """Open a WebSocket through the proxy.

    The client has one thread: two that use one TLS socket at the same time would sometimes lose what they send.
    """
    return connect(
        f"wss://{NAME}{path}", sock=pair.open_socket(source), ssl=pair.tls, compression=None, open_timeout=30, **options
    )


async def knock(pair: ProxyPair, **options: Any) -> None:
    """Open a WebSocket and close it again."""
    async with dial(pair, **options):
        pass


async def receive(peer: ClientConnection) -> Any:
    async with asyncio.timeout(30):
        return await peer.recv()


# --- pages and WebSockets ---------------------------------------------------------------------------------------------


def test_pages_are_served(pair: ProxyPair) -> None:
    assert get(pair, "/")[1].startswith("Teleglyph")
    status, body = get(pair, "/health")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    status, body = get(pair, "/rooms")
    assert (status, json.loads(body)["total"]) == (200, 0)
    assert get(pair, "/nowhere/else")[0] == 404


def test_the_relay_answers(pair: ProxyPair) -> None:
    async def query() -> None:
        async with dial(pair) as peer:
            assert json.loads(await receive(peer))[0] == "AUTH"
            for number in range(20):
                await peer.send(json.dumps(["REQ", str(number), {"kinds": [1]}]))
                assert json.loads(await receive(peer)) == ["EOSE", str(number)], "nothing waits in the proxy"

    asyncio.run(query())


@pytest.mark.parametrize("path", ["/rooms", "/ws"])
def test_a_player_gets_a_seat(pair: ProxyPair, path: str) -> None:
    async def play() -> None:
        async with dial(pair, path) as peer:
            await peer.send(JoinRequest("chess", f"table-{pair.pages}-{path[1:]}", create=True).encode())
            assert decode_error(await receive(peer)) is None

    asyncio.run(play())


def test_calls_over_websocket_pass(pair: ProxyPair) -> None:
    # With threads, the peer's library can hang in a handshake of TLS 1.3.
    pair.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with contextlib.closing(WebSocketPeer(pair.pages, "/call/team", tls=pair.tls)) as peer:
        peer.join()
        peer.send_color(250, 0, 0)
        assert peer.frame(lambda text: "38;2;250;0;0" in text or "48;2;250;0;0" in text)


def test_pages_of_the_server_may_connect_and_others_may_not(pair: ProxyPair) -> None:
    asyncio.run(knock(pair, path="/rooms", origin=f"https://{NAME}"))
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(knock(pair, path="/rooms", origin="https://evil.example"))
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("relay", "is_ours"), [(f"wss://{NAME}/", True), ("wss://evil.example/", False), ("ws://127.0.0.1/", False)]
)
def test_clients_authenticate_for_the_name_of_the_page(pair: ProxyPair, relay: str, is_ours: bool) -> None:
    async def authenticate() -> Any:
        async with dial(pair) as peer:
            challenge = json.loads(await receive(peer))[1]
            event = make("", ANN, 22242, ["relay", relay], ["challenge", challenge])
            await peer.send(json.dumps(["AUTH", json.loads(event.text)]))
            return json.loads(await receive(peer))[2]

    assert asyncio.run(authenticate()) is is_ours


FORGED: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("X-Forwarded-For", "192.0.2.77"),),
    (("X-Forwarded-For", "192.0.2.77, 127.0.0.1"),),
    (("Forwarded", "for=192.0.2.77"),),
    (("Forwarded", 'for="'), ("X-Forwarded-For", "192.0.2.77")),
    (("X-Real-IP", "192.0.2.77"),),
)


@PROXIES
def test_limits_apply_to_the_client_whatever_it_claims(
    kind: type[ProxyPair], server: ServerProcess, tmp_path: Path
) -> None:
    async def exceed(pair: ProxyPair) -> None:
        async with dial(pair), dial(pair):
            for headers in FORGED:
                with pytest.raises(InvalidStatus) as refused:
                    await knock(pair, additional_headers=headers)
                assert refused.value.response.status_code == 429, headers
                await knock(pair, source=BOB_HOST, additional_headers=headers)

    with contextlib.closing(kind(tmp_path, server.http_port, server.port)) as pair:
        asyncio.run(exceed(pair))
    assert f"{ANN_HOST} was refused" in server.wait_for_log("was refused")
    assert "192.0.2.77" not in "".join(server.log)


@pytest.mark.parametrize("source", [ANN_HOST, PROXY_HOST])
@pytest.mark.parametrize("lines", [(), ("X-Forwarded-For: 127.0.0.1",), ("Forwarded: for=127.0.0.1",)])
def test_figures_need_the_token(pair: ProxyPair, source: str, lines: tuple[str, ...]) -> None:
    for path in ("/statistics", "/metrics"):
        assert get(pair, path, *lines, source=source)[0] == 403
        assert get(pair, path, *lines, source=source, host="localhost")[0] == 403
        assert get(pair, path, *lines, f"Authorization: Bearer {TOKEN}", source=source)[0] == 200
    assert get(pair, "/reload", *lines, source=source, verb="POST")[0] == 403


@PROXIES
def test_wrong_tokens_pause_only_the_client_that_sends_them(
    kind: type[ProxyPair], server: ServerProcess, tmp_path: Path
) -> None:
    wrong, right = "Authorization: Bearer wrong", f"Authorization: Bearer {TOKEN}"
    with contextlib.closing(kind(tmp_path, server.http_port, server.port)) as pair:
        assert [get(pair, "/metrics", wrong)[0] for _ in range(6)][-1] == 429
        assert get(pair, "/metrics", right)[0] == 429
        assert get(pair, "/metrics", right, source=BOB_HOST)[0] == 200


def test_every_timeout_is_longer_than_the_time_between_two_pings() -> None:
    haproxy = re.findall(r"timeout (?:client|server) (\w+)", block("haproxy", "defaults"))
    nginx = [
        time
        for start in ("map", "stream")
        for time in re.findall(r"proxy_(?:read_|send_)?timeout (\w+);", block("nginx", start))
    ]
    assert (len(haproxy), len(nginx)) == (2, 3)
    pings = max(EventLimits().ping_after, RoomsLimits().ping_after)
    for time in (*haproxy, *nginx):
        assert time.endswith("m")
        assert int(time[:-1]) * 60 > 2 * pings


# --- calls ------------------------------------------------------------------------------------------------------------


class Recorder:
    """Takes the place of the call port, and returns the connections that a proxy makes."""

    def __init__(self) -> None:
        self._listener = socket.create_server((PROXY_HOST, 0))
        self._listener.settimeout(10)
        self.port = int(self._listener.getsockname()[1])

    def accept(self) -> tuple[socket.socket, ProxiedAddress | None]:
        """The next connection after its header, and the client that the header names."""
        peer, _ = self._listener.accept()
        peer.settimeout(10)
        first = read(peer, HEADER_SIZE)
        assert first.startswith(SIGNATURE)
        return peer, parse_header(first + read(peer, header_length(first) - HEADER_SIZE))

    def accept_from(self, host: str) -> tuple[socket.socket, ProxiedAddress]:
        """The next connection of a client with an address."""
        while True:
            peer, client = self.accept()
            if client is not None and client.address == host:
                return peer, client
            peer.close()

    def close(self) -> None:
        self._listener.close()


def read(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = peer.recv(size - len(data))
        assert piece, f"closed after {len(data)} of {size} bytes"
        data += piece
    return data


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with contextlib.closing(Recorder()) as opened:
        yield opened


def test_haproxy_names_the_client_of_a_call(recorder: Recorder, tmp_path: Path) -> None:
    with contextlib.closing(HaproxyPair(tmp_path, free_port(), recorder.port)) as pair:
        for host in (ANN_HOST, BOB_HOST):
            with socket.create_connection((PROXY_HOST, pair.calls), 10, (host, 0)) as client:
                client.sendall(b"first bytes")
                peer, named = recorder.accept_from(host)
                assert named == client.getsockname()
                with peer:
                    assert read(peer, 11) == b"first bytes"
                    peer.sendall(b"answer")
                assert read(client, 6) == b"answer"


def test_fields_that_haproxy_can_add_are_understood(recorder: Recorder, tmp_path: Path) -> None:
    options = "proxy-v2-options crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher"
    with (
        contextlib.closing(HaproxyPair(tmp_path, free_port(), recorder.port, options)) as pair,
        socket.create_connection((PROXY_HOST, pair.calls), 10, (ANN_HOST, 0)) as client,
    ):
        peer, named = recorder.accept_from(ANN_HOST)
        peer.close()
        assert named == client.getsockname()


def test_checks_of_haproxy_name_nobody(recorder: Recorder, tmp_path: Path) -> None:
    with contextlib.closing(HaproxyPair(tmp_path, free_port(), recorder.port, "check inter 200ms")):
        for _ in range(10):
            peer, named = recorder.accept()
            peer.close()
            if named is None:
                return
    raise AssertionError("HAProxy checked nothing")


def test_tls_inside_a_call_passes_haproxy_unchanged(recorder: Recorder, tmp_path: Path) -> None:
    asked: list[str | None] = []
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate(tmp_path, "call.example"))
    serving.set_alpn_protocols(["teleglyph/2"])
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    asking = ssl.create_default_context()
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    asking.set_alpn_protocols(["teleglyph/2", "other"])

    def answer() -> bytes:
        with serving.wrap_socket(recorder.accept_from(ANN_HOST)[0], server_side=True) as peer:
            peer.sendall(b"hello")
            return peer.recv(10)

    with contextlib.closing(HaproxyPair(tmp_path, free_port(), recorder.port)) as pair, ThreadPoolExecutor(1) as pool:
        answering = pool.submit(answer)
        plain = socket.create_connection((PROXY_HOST, pair.calls), 10, (ANN_HOST, 0))
        with asking.wrap_socket(plain, server_hostname="call.example") as client:
            assert client.recv(10) == b"hello"
            assert client.selected_alpn_protocol() == "teleglyph/2"
            client.sendall(b"thanks")
            assert answering.result(10) == b"thanks"
    assert asked == ["call.example"]


def test_a_call_passes_nginx(server: ServerProcess, tmp_path: Path) -> None:
    with (
        contextlib.closing(NginxPair(tmp_path, server.http_port, server.port)) as pair,
        contextlib.closing(AcipPeer(pair.calls, source=ANN_HOST).join()) as ann,
    ):
        ann.send_color(200, 10, 10)
        assert ann.frame()
        server.wait_for_log(f"{PROXY_HOST} connected as")
    assert ANN_HOST not in "".join(server.log)


def test_nginx_passes_calls_to_an_address_that_does_not_count_as_local() -> None:
    adapt(block("nginx", "stream"), {"proxy_pass 192.0.2.10:27225": ""})
    assert "127.0.0.1" not in block("nginx", "stream")


@pytest.mark.skipif(not own_addresses(), reason="this machine has only loopback addresses")
def test_visitors_of_the_call_port_behind_nginx_do_not_count_as_local(
    start_server: StartServer, tmp_path: Path
) -> None:
    address = own_addresses()[0]
    server = start_server(
        address, "--http", "--http-port", "0", *service_options(), "--data-dir", str(tmp_path / "data")
    )
    with (
        contextlib.closing(NginxPair(tmp_path, server.http_port, server.port, address)) as pair,
        socket.create_connection((PROXY_HOST, pair.calls), 10) as client,
    ):
        client.sendall(b"GET /statistics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 403 ")
