"""Independent WebSocket clients, in ascii-chat's order, join a real server process."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nacl.signing
import pytest
from websockets.exceptions import InvalidStatus

import acip_peer as acip
from acip_peer import AcipPeer, RefusedError
from conftest import ServerProcess
from teleglyph.keys import format_public_key
from websocket_peer import BrowserPeer, WebSocketPeer

StartServer = Callable[..., ServerProcess]
Connect = Callable[[ServerProcess], AcipPeer]
PASSWORD = "correct horse"
START_VIDEO = struct.pack(">I", 1)


@pytest.fixture
def web_server(start_server: StartServer) -> Callable[..., ServerProcess]:
    """Starts servers with HTTP on both ports."""
    return lambda *options: start_server("--http", "--http-port", "0", *options)


@pytest.fixture
def join() -> Iterator[Callable[..., WebSocketPeer]]:
    """Connects peers and closes them at the end."""
    with contextlib.ExitStack() as stack:

        def start(
            server: ServerProcess,
            *arguments: str,
            kind: type[WebSocketPeer] = WebSocketPeer,
            port: int = 0,
            **options: object,
        ) -> WebSocketPeer:
            peer = kind(port or server.port, *arguments, **options)  # type: ignore[arg-type]
            stack.callback(peer.close)
            return peer

        yield start


Join = Callable[..., WebSocketPeer]


def colors_of(text: str) -> set[tuple[int, int, int]]:
    return {(int(r), int(g), int(b)) for r, g, b in re.findall(r"38;2;(\d+);(\d+);(\d+)m", text)}


def status_of(server: ServerProcess, *arguments: str, **options: object) -> tuple[int, str]:
    """The answer to an upgrade that is refused."""
    with pytest.raises(InvalidStatus) as refused:
        WebSocketPeer(server.port, *arguments, **options)  # type: ignore[arg-type]
    body = bytes(refused.value.response.body or b"").decode()
    return refused.value.response.status_code, json.loads(body)["error"] if body.startswith("{") else body


# --- joining ----------------------------------------------------------------------------------------------------------


def test_peers_over_websocket_and_tcp_see_each_other(web_server: StartServer, join: Join, connect: Connect) -> None:
    server = web_server()
    over_websocket, over_tcp = join(server).join(), connect(server).join()
    red, blue = (250, 0, 0), (60, 60, 250)
    over_websocket.send_color(*red)
    over_tcp.send_color(*blue)
    assert over_websocket.frame(lambda text: colors_of(text) == {red, blue})
    assert over_tcp.frame(lambda text: colors_of(text) == {red, blue})
    assert over_websocket.websocket.subprotocol == "acip"


@pytest.mark.parametrize("path", ["/", "/call", "/call/", "/anything/else", "/rooms", "/health"])
def test_the_subprotocol_joins_on_any_path(web_server: StartServer, join: Join, tmp_path: Path, path: str) -> None:
    server = web_server("--events", "--game", "go", "--data-dir", str(tmp_path))
    peer = join(server, path).join()
    peer.send_color(201, 102, 3)
    assert peer.frame(lambda text: (201, 102, 3) in colors_of(text))


def test_without_a_subprotocol_only_the_path_of_calls_joins(
    web_server: StartServer, join: Join, tmp_path: Path
) -> None:
    server = web_server("--events", "--data-dir", str(tmp_path))
    peer = join(server, subprotocols=()).join()
    peer.send_color(201, 102, 3)
    assert peer.frame()
    assert peer.websocket.subprotocol is None
    assert status_of(server, "/x", subprotocols=())[0] == 404
    relay = join(server, "/", subprotocols=())
    assert json.loads(relay.websocket.recv(10))[0] == "AUTH", "the Nostr relay"


def test_a_client_that_prefers_the_conversation_of_tcp_gets_it(web_server: StartServer, join: Join) -> None:
    server = web_server()
    peer = join(server, subprotocols=("acip.tcp",))
    AcipPeer.handshake(peer)
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
    peer.send(acip.STREAM_START, START_VIDEO)
    peer.send_color(204, 105, 6)
    assert peer.frame()


def test_headers_of_ascii_chats_client_are_accepted(web_server: StartServer) -> None:
    # Its library sends the host as origin, both without the port.
    lines = [
        "GET / HTTP/1.1",
        "Host: 127.0.0.1",
        "Origin: http://127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: acip",
    ]
    with socket.create_connection(("127.0.0.1", web_server().port), timeout=10) as peer:
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while answer.count(acip.MAGIC.to_bytes(8, "big")) < 2:
            answer += peer.recv(1000)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Protocol: acip\r\n" in answer
    assert answer.partition(b"\r\n\r\n")[2][:2] == b"\x82\x28", "a message of one packet: the server speaks first"


def test_a_browser_joins_with_its_introduction_in_plaintext(web_server: StartServer, join: Join) -> None:
    server = web_server("--origin", "https://chat.example")
    peer = join(server, "/", kind=BrowserPeer, origin="https://chat.example")
    assert isinstance(peer, BrowserPeer)
    peer.handshake()
    peer.introduce(100, 30)
    peer.send_color(207, 108, 9)
    text = peer.frame(lambda text: (207, 108, 9) in colors_of(text))
    assert len(text.split("\n")) == 30
    peer.send_raw(acip.packet(acip.STREAM_START, START_VIDEO))
    assert peer.close_code() == 1002, "plaintext after an encrypted packet"


@pytest.mark.parametrize("subprotocol", ["acip", "acip.tcp"])
def test_other_plaintext_is_refused(web_server: StartServer, join: Join, subprotocol: str) -> None:
    server = web_server()
    peer = join(server, subprotocols=(subprotocol,))
    if subprotocol == "acip":
        peer.handshake()
        peer.send_raw(acip.packet(acip.PING))
    else:
        AcipPeer.handshake(peer)
        peer.send_raw(acip.packet(acip.CLIENT_CAPABILITIES, acip.capabilities()))
    assert peer.close_code() == 1002
    server.wait_for_log("came unencrypted")


# --- proofs -----------------------------------------------------------------------------------------------------------


def test_a_password_is_required(web_server: StartServer, join: Join) -> None:
    server = web_server("--password", PASSWORD)
    peer = join(server).join(PASSWORD)
    peer.send_color(201, 102, 3)
    assert peer.frame()
    wrong = join(server)
    with pytest.raises(RefusedError, match="0x02"):
        wrong.handshake("battery staple")
    assert wrong.close_code() == 1008
    browser = join(server, kind=BrowserPeer)
    assert isinstance(browser, BrowserPeer)
    browser.receive_outer(), browser.receive_outer()
    with contextlib.suppress(ConnectionError):  # its first message ends the connection, perhaps before the second
        browser.introduce()
    assert browser.close_code() == 1002, "it cannot skip the password"


def test_client_keys_are_required(web_server: StartServer, join: Join, tmp_path: Path) -> None:
    key, other = nacl.signing.SigningKey.generate(), nacl.signing.SigningKey.generate()
    keys = tmp_path / "friends"
    keys.write_text(format_public_key(bytes(key.verify_key)) + "\n")
    server = web_server("--client-keys", str(keys))
    peer = join(server)
    peer.handshake(key=key)
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities())
    assert peer.frame()
    for wrong in (other, None):
        stranger = join(server)
        with pytest.raises((RefusedError, AssertionError)):
            stranger.handshake(key=wrong)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_full_server_says_so_before_the_upgrade(web_server: StartServer, join: Join) -> None:
    server = web_server("--max-clients", "1")
    join(server).join().frame()
    assert status_of(server) == (503, "Maximum client limit reached.")


def test_an_address_that_connects_too_often_is_refused(web_server: StartServer, join: Join) -> None:
    server = web_server("--connection-rate", "2")
    for _ in range(2):
        join(server).join()
    assert status_of(server)[0] == 429


def test_a_client_behind_a_proxy_counts_by_its_own_address(web_server: StartServer, join: Join) -> None:
    server = web_server("--trusted-proxy", "127.0.0.1", "--connections-per-address", "1")
    for name in ("192.0.2.7", "192.0.2.8"):
        join(server, port=server.http_port, headers={"X-Forwarded-For": name}).join()
    with pytest.raises(InvalidStatus, match="429"):
        join(server, port=server.http_port, headers={"X-Forwarded-For": "192.0.2.8"})
    server.wait_for_log(r"192\.0\.2\.7 connected as guest")


def test_a_path_names_a_room(web_server: StartServer, join: Join) -> None:
    server = web_server()
    tea, again, lobby = join(server, "/call/tea").join(), join(server, "/call/TEA/").join(), join(server).join()
    tea.send_color(250, 0, 0)
    assert again.frame(lambda text: (250, 0, 0) in colors_of(text))
    server.wait_for_log("Call room tea opened")
    lobby.send_color(60, 60, 250)
    assert lobby.frame(lambda text: colors_of(text) == {(60, 60, 250)})


def test_an_unknown_room_is_refused(web_server: StartServer) -> None:
    server = web_server("--rooms", "closed")
    for options in ({}, {"subprotocols": ()}):
        status, reason = status_of(server, "/call/tea", **options)
        assert (status, reason.partition(".")[0]) == (404, "There is no room 'tea' on this server")
    assert status_of(server, "/call/-")[0] == 404


def test_foreign_pages_are_refused(web_server: StartServer) -> None:
    assert status_of(web_server(), origin="https://evil.example")[0] == 403


def test_a_request_without_upgrade_gets_an_explanation(web_server: StartServer) -> None:
    server = web_server()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/call", timeout=10)
    assert refused.value.code == 426
    assert "ws://HOST:PORT" in refused.value.read().decode()


# --- life and end -----------------------------------------------------------------------------------------------------


def test_a_silent_client_is_pinged_and_stays(web_server: StartServer, join: Join) -> None:
    server = web_server()
    peer, other = join(server).join(), join(server).join()
    # The package answers pings in its own thread; TCP's limit for silence is 5 s.
    deadline = time.monotonic() + 9
    while time.monotonic() < deadline:
        other.send(acip.PING)
        time.sleep(0.3)
    peer.send_color(211, 112, 13)
    assert other.frame(lambda text: (211, 112, 13) in colors_of(text))
    assert acip.PING not in {kind for kind, _ in peer.received + other.received}


def test_leaving_and_stopping_have_their_codes(web_server: StartServer, join: Join) -> None:
    server = web_server()
    leaver, rest = join(server).join(), join(server).join()
    leaver.send(acip.CLIENT_LEAVE)
    assert leaver.close_code() == 1000
    rest.frame()
    assert server.stop() == 0
    logs = [body[8:].decode() for kind, body in rest.wait_closed() if kind == acip.REMOTE_LOG]
    assert "The server is shutting down" in logs
    assert rest.websocket.close_code == 1001


def test_bad_values_are_explained_before_the_close(web_server: StartServer, join: Join) -> None:
    peer = join(web_server())
    peer.handshake()
    peer.send(acip.CLIENT_CAPABILITIES, acip.capabilities(5000, 24))
    errors = [body[8:].decode() for kind, body in peer.wait_closed() if kind == acip.ERROR_MESSAGE]
    assert errors == ["CLIENT_CAPABILITIES width out of range: 5000 (valid: 1-4096)"]
    assert peer.websocket.close_code == 1002


def test_text_and_long_messages_are_refused(web_server: StartServer, join: Join) -> None:
    server = web_server()
    peer = join(server)
    peer.websocket.send("hello")
    assert peer.close_code() == 1003
    peer = join(server)
    peer.websocket.send(bytes(1047))
    assert peer.close_code() == 1009
    peer = join(server).join()
    peer.websocket.send(bytes(1 << 21))
    assert peer.close_code() == 1009


def test_a_client_that_vanishes_leaves_the_call(web_server: StartServer, join: Join) -> None:
    server = web_server()
    peer = join(server).join()
    peer.frame()
    peer.websocket.socket.close()
    server.wait_for_log("guest-1 is gone")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=10) as answer:
        assert json.load(answer)["participants"] == 0
