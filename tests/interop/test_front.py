"""The HTTP front on real sockets: names, proxies, and requests as foreign programs write them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conftest import ServerProcess
from nostr_peer import ANN, make
from teleglyph.wire.rooms.extended import SUBPROTOCOL, JoinExtras, claim_identity
from teleglyph.wire.rooms.messages import JoinRequest, decode_error

StartServer = Callable[..., ServerProcess]
TOKEN = "a token of the administrator"


@pytest.fixture
def front(start_server: StartServer, tmp_path: Path) -> StartServer:
    def start(*options: str) -> ServerProcess:
        data = ("--events", "--data-dir", str(tmp_path / "data"), "--game", "chess:3")
        server = start_server("--http", "--http-port", "0", *data, *options)
        server.wait_for_log("HTTP on port")
        return server

    return start


class Relayer:
    """A man in the middle that forwards everything, and may change request heads.

    Args:
        target: port of the server.
        head: changes the head of each connection's first request.
    """

    def __init__(self, target: int, head: Callable[[bytes], bytes] = lambda head: head) -> None:
        self._target, self._head = target, head
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            data = b""
            while b"\r\n\r\n" not in data:
                data += client.recv(4096)
            head, blank, rest = data.partition(b"\r\n\r\n")
            server.sendall(self._head(head) + blank + rest)
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
            self._pump(server, client)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def relayer() -> Iterator[Callable[..., Relayer]]:
    opened: list[Relayer] = []

    def open_relayer(*args: Any) -> Relayer:
        opened.append(Relayer(*args))
        return opened[-1]

    yield open_relayer
    for one in opened:
        one.close()


def with_host(host: str) -> Callable[[bytes], bytes]:
    return lambda head: re.sub(rb"(?im)^host: [^\r]*", f"Host: {host}".encode(), head)


def adding(*lines: str) -> Callable[[bytes], bytes]:
    return lambda head: b"\r\n".join([head, *(line.encode() for line in lines)])


def dial(url: str, port: int, **options: Any) -> ClientConnection:
    """Connect to a URL, wherever its name really leads."""
    return connect(url, sock=socket.create_connection(("127.0.0.1", port)), compression=None, **options)  # type: ignore[no-any-return]


def knock(url: str, port: int, **options: Any) -> None:
    """Open a WebSocket and close it again."""
    with dial(url, port, **options):
        pass


def authenticate(url: str, port: int, relay: str | None = None) -> list[Any]:
    """Act as a victim: sign for the relay it believes it is talking to."""
    with dial(url, port) as peer:
        challenge = json.loads(peer.recv(10))[1]
        event = make("", ANN, 22242, ["relay", relay or url], ["challenge", challenge])
        peer.send(json.dumps(["AUTH", json.loads(event.text)]))
        answer: list[Any] = json.loads(peer.recv(10))
        return answer[2:]


class Key:
    """An identity."""

    def __init__(self) -> None:
        self._key = nacl.signing.SigningKey.generate()
        self.public_key = bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data).signature


def prove(url: str, port: int, room: str) -> str | None:
    """What a player does; the refusal, or None if there is a seat."""
    with dial(url, port, subprotocols=[SUBPROTOCOL]) as peer:
        hello = peer.recv(10)
        assert isinstance(hello, bytes)
        assert peer.request is not None
        request = JoinRequest("chess", room, create=True)
        extras = claim_identity(JoinExtras(), Key(), request, peer.request.headers["Host"], hello)
        peer.send(request.encode() + extras.encode())
        answer = peer.recv(10)
        assert isinstance(answer, bytes)
        return decode_error(answer)


def ask(port: int, data: bytes) -> tuple[int, str, str]:
    """Status, head and body of a request that closes its connection."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        peer.sendall(data)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := peer.recv(4096):
                answer += piece
                head, blank, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if (blank and head.split()[1] == b"101") or (length and len(body) >= int(length[1])):
                    break
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body.decode(errors="replace")


def get(port: int, path: str, *lines: str, host: str = "localhost", verb: str = "GET") -> tuple[int, str, str]:
    return ask(port, "\r\n".join([f"{verb} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode())


# --- names ------------------------------------------------------------------------------------------------------------


def test_an_authentication_for_a_relay_in_the_middle_is_refused(
    front: StartServer, relayer: Callable[..., Relayer]
) -> None:
    server = front("--relay-url", "wss://relay.example")
    evil = "ws://evil.example:1/"
    port = server.http_port
    for head in (lambda head: head, with_host("relay.example"), with_host(f"127.0.0.1:{port}")):
        accepted, text = authenticate(evil, relayer(port, head).port)
        assert accepted is False
        assert text.startswith("invalid: this authentication is for another relay")
        assert "relay.example" in text
        assert "--relay-url" in text
        assert "evil.example" not in text


def test_an_authentication_for_one_of_our_names_is_accepted(
    front: StartServer, relayer: Callable[..., Relayer]
) -> None:
    server = front("--relay-url", "wss://relay.example", "--relay-url", "ws://other.example:99")
    port, proxy = server.http_port, relayer(server.http_port, adding("X-Forwarded-For: 192.0.2.1"))
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]", "relay.example", "other.example:99"):
        assert authenticate(f"ws://{name}/", port)[0] is True, name
    for name, is_ours in (("relay.example", True), ("localhost", False), ("127.0.0.1", False)):
        assert authenticate(f"ws://{name}/", proxy.port)[0] is is_ours, name
    assert authenticate("ws://evil.example/", port, "wss://Relay.Example.:444/x")[0] is True
    assert authenticate("ws://other.example/", port)[0] is False


def test_an_identity_proof_through_a_relay_in_the_middle_is_refused(
    front: StartServer, relayer: Callable[..., Relayer]
) -> None:
    server = front("--relay-url", "wss://relay.example")
    port, evil = server.http_port, "ws://evil.example:1/rooms"
    told = prove(evil, relayer(port).port, "a")
    assert told is not None
    assert told.startswith("The identity was not proved: this server is called relay.example")
    assert told.endswith("--relay-url.")
    assert prove(evil, relayer(port, with_host("relay.example")).port, "b") == "The identity was not proved."
    assert prove("ws://relay.example/rooms", relayer(port, with_host(f"127.0.0.1:{port}")).port, "c") is None
    assert prove(f"ws://localhost:{port}/rooms", port, "d") is None


def test_a_page_whose_name_resolves_to_this_machine_reads_nothing(front: StartServer) -> None:
    server = front()
    port = server.http_port
    assert get(port, "/statistics")[0] == get(port, "/metrics/", host=f"127.0.0.1:{port}")[0] == 200
    assert get(port, "/statistics", host="evil.example")[0] == 403
    assert get(port, "/statistics", "Origin: http://evil.example")[0] == 403
    assert get(port, "/metrics", host=f"evil.example:{port}")[0] == 403
    with pytest.raises(InvalidStatus) as refused:
        knock("ws://evil.example/rooms", port, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    knock(f"ws://localhost:{port}/rooms", port, origin=f"http://localhost:{port}")


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--trusted-proxy", "127.0.0.1"), ("--trusted-proxy", "127.0.0.0/8")])
@pytest.mark.parametrize(
    "line",
    [
        "Forwarded: for=127.0.0.1",
        "X-Forwarded-For: 127.0.0.1",
        "x-forwarded-host: localhost",
        "X-Real-IP: 127.0.0.1",
        "VIA: 1.1 proxy",
        "Forwarded:",
        "X-Forwarded-For: garbage, , ;",
    ],
)
def test_a_client_behind_a_proxy_does_not_count_as_local(
    shared_server: StartServer, relayer: Callable[..., Relayer], options: tuple[str, ...], line: str
) -> None:
    proxy = relayer(shared_server(*options).http_port, adding(line))
    for path in ("/statistics", "/metrics", "/statistics/", "/metrics/"):
        assert get(proxy.port, path)[0] == 403
    assert get(proxy.port, "/health")[0] == 200


def test_the_administrator_can_read_statistics_from_anywhere(
    front: StartServer, relayer: Callable[..., Relayer]
) -> None:
    server = front("--admin-token", TOKEN, "--trusted-proxy", "127.0.0.1")
    right = f"Authorization: Bearer {TOKEN}"
    ann = relayer(server.http_port, adding("X-Forwarded-For: 192.0.2.1"))
    bob = relayer(server.http_port, adding('Forwarded: for="[2001:db8::1]:4711"'))
    assert json.loads(get(ann.port, "/statistics", right)[2])["players"] == 0
    assert "teleglyph_rooms 0" in get(ann.port, "/metrics", "authorization: bearer " + TOKEN)[2]
    statuses = [get(ann.port, "/statistics", "Authorization: Bearer wrong")[0] for _ in range(6)]
    assert statuses[0] == 403
    assert statuses[-1] == 429
    # Only the guesser is paused, and nobody else behind the same proxy.
    assert get(ann.port, "/metrics", right)[0] == 429
    assert get(bob.port, "/metrics", right)[0] == 200
    assert get(server.http_port, "/metrics")[0] == 200
    assert get(server.http_port, "/reload", verb="POST")[0] == 403


def test_limits_and_logs_know_the_clients_behind_a_trusted_proxy(
    front: StartServer, relayer: Callable[..., Relayer]
) -> None:
    server = front("--trusted-proxy", "127.0.0.1", "--connections-per-address", "2")
    ann = relayer(server.http_port, adding("X-Forwarded-For: 198.51.100.9, 192.0.2.1"))
    bob = relayer(server.http_port, adding("X-Forwarded-For: 192.0.2.2"))
    with dial("ws://a/", ann.port), dial("ws://a/", ann.port):
        with pytest.raises(InvalidStatus):
            knock("ws://a/", ann.port)
        knock("ws://a/", bob.port)
        server.wait_for_log(r"192\.0\.2\.1 was refused")


def test_an_untrusted_proxy_counts_as_one_client(front: StartServer, relayer: Callable[..., Relayer]) -> None:
    server = front("--connections-per-address", "2")
    one = relayer(server.http_port, adding("X-Forwarded-For: 192.0.2.1"))
    two = relayer(server.http_port, adding("X-Forwarded-For: 192.0.2.2"))
    with dial("ws://a/", one.port), dial("ws://a/", two.port), pytest.raises(InvalidStatus):
        knock("ws://a/", two.port)


# --- requests as others write them ------------------------------------------------------------------------------------


def test_a_slash_at_the_end_changes_nothing(front: StartServer) -> None:
    server = front()
    for path in ("/", "/events", "/events/"):
        with dial(f"ws://localhost{path}", server.http_port) as peer:
            assert json.loads(peer.recv(10))[0] == "AUTH"
    for path in ("/rooms", "/rooms/", "/ws", "/ws/", "/ws/rooms", "/ws/rooms/"):
        knock(f"ws://localhost{path}", server.http_port)
    assert get(server.http_port, "/rooms/")[2] == get(server.http_port, "/rooms")[2]
    assert get(server.http_port, "/health/")[0] == 200
    assert get(server.http_port, "/events//")[0] == 404


@pytest.mark.parametrize("line", ["Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol: ,"])
@pytest.mark.parametrize("path", ["/", "/rooms"])
def test_an_empty_list_of_subprotocols_is_ignored(shared_server: StartServer, line: str, path: str) -> None:
    key = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    port = shared_server("--game", "chess:3").http_port
    status, head, _ = get(port, path, *key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", line, "Via: a")
    assert status == 101
    assert "sec-websocket-protocol" not in head.lower()


def test_malformed_requests_get_a_sentence_and_log_no_traceback(front: StartServer) -> None:
    server = front()
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n"
    for data in (
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /events HTTP/1.1\r\n" + upgrade,
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a,b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade,
        b"\x01\x02garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /games/result HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /games/result HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /games/result HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n[1",
        b'POST /games/result HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n{"outcomes":[[]]}',
    ):
        status, _, body = ask(server.http_port, data)
        assert status == 400, data
        assert len(body) > 20
        assert not PYTHON.search(body), body
    assert ask(server.http_port, b"GET /health HTTP/1.0\r\n\r\n")[0] == 200
    assert "Traceback" not in "".join(server.log)


PYTHON = re.compile(
    r"b'|'[^' ]*'|\\x|Error\b|Expecting|NoneType|Traceback|\bstr\b|\bint\b|delimiter|codec|object at 0x|sys\."
)
"""What an answer looks like that shows what the server is written in."""


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "'x'",
        "{}",
        "[",
        "[1",
        '["REQ"',
        '["REQ",}',
        '["a\\q"]',
        '["\x01"]',
        '["NOPE"]',
        '["it\'s"]',
        '["\\u0000\\ud800"]',
        '["EVENT"]',
        '["EVENT",[]]',
        '["EVENT",{"id":null}]',
        "[" * 5000,
        "[" + "9" * 5000 + "]",
        "[NaN]",
        "[-Infinity]",
        '[{"a":1,"a":2}]',
        '["REQ",1,{}]',
        '["REQ","s",{"nope\'s":1}]',
        '["REQ","s",{"\\u0007":1}]',
        '["REQ","s",{"#ab":["x"]}]',
        '["REQ","s",[]]',
        '["REQ","s",{"ids":[1]}]',
        '["REQ","s",{"kinds":["1"]}]',
        '["REQ","s",{"since":1.5}]',
        '["REQ","s",{"search":null}]',
        '["COUNT","s",{"authors":["AB"]}]',
        '["AUTH",{"id":"x"}]',
        '["AUTH","x"]',
        '["NEG-OPEN","s"]',
    ],
)
def test_the_relays_answers_contain_no_python_errors(front_once: ServerProcess, message: str) -> None:
    with dial("ws://localhost/", front_once.http_port) as peer:
        peer.recv(10)
        peer.send(message)
        verb, *rest = json.loads(peer.recv(10))
        assert verb in ("NOTICE", "OK", "CLOSED", "NEG-ERR")
        assert len(rest[-1]) > 10
        assert not PYTHON.search(rest[-1]), rest[-1]


@pytest.fixture(scope="module")
def front_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = str(tmp_path_factory.mktemp("data"))
    server = ServerProcess("--http", "--http-port", "0", "--events", "--data-dir", data)
    server.wait_for_log("HTTP on port")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in "".join(server.log)


def test_an_http_port_in_use_is_reported_before_the_server_claims_to_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["server", "127.0.0.1", "--port", "0", "--http-port", str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "teleglyph", *words], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 41
    assert f"Cannot listen on 127.0.0.1:{port} for HTTP: the port is in use." in done.stderr
    assert "--http-port" in done.stderr
    assert "listening" not in done.stderr
    assert "Errno" not in done.stderr


def test_the_relays_information_is_sent_to_clients_that_accept_it(front: StartServer) -> None:
    port = front().http_port
    for lines, is_information in (
        (["Accept: application/nostr+json"], True),
        (["accept: APPLICATION/Nostr+JSON"], True),
        (["Accept: text/html", "Accept: application/nostr+json; charset=utf-8"], True),
        (["Accept: text/html, application/nostr+json;q=0.1"], True),
        (["Accept: application/nostr+json;q=0"], False),
        (["Accept: application/nostr+json; Q=0.000, text/html"], False),
        (['Accept: text/html;a=", application/nostr+json"'], False),
        (["Accept: application/nostr+jsonx"], False),
        (["Accept: */*"], False),
        ([], False),
    ):
        for path in ("/", "/events/"):
            assert ("application/nostr+json" in get(port, path, *lines)[1]) is is_information, lines
