"""``teleglyph.rooms.1``, TLS, lists and administration on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from cryptography import x509
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from certificates import certificate
from conftest import ServerProcess
from nostr_peer import ANN, NostrPeer, make
from teleglyph.errors import NotSupportedError, SeatEndedError, SeatRefusedError
from teleglyph.rooms.client import Away, Call, Change, Event, Guest, Host, PlayerCame, PlayerLeft, Returned, State
from teleglyph.wire.rooms.extended import SUBPROTOCOL, TOKEN_KEPT, JoinExtras, decode_hello, only_for, seat_kept
from teleglyph.wire.rooms.messages import JoinReply, JoinRequest, decode_error, kick, player_came, player_left
from terminal import terminal

StartServer = Callable[..., ServerProcess]


def room_server(start_server: StartServer, *options: str, **kwargs: Any) -> ServerProcess:
    server = start_server(
        "--http", "--http-port", "0", "--game", "chess:3", "--game", "go:0:public", *options, **kwargs
    )
    server.wait_for_log("on port")
    return server


class Key:
    """An identity."""

    def __init__(self) -> None:
        self._key = nacl.signing.SigningKey.generate()
        self.public_key = bytes(self._key.verify_key)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data).signature


def ask(
    server: ServerProcess, path: str, body: object = None, bearer: str = "", scheme: str = "http", **options: Any
) -> tuple[int, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{scheme}://127.0.0.1:{server.http_port}{path}", None if body is None else json.dumps(body).encode()
    )
    if bearer:
        request.add_header("Authorization", bearer)
    try:
        with urllib.request.urlopen(request, timeout=10, **options) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture
def extended() -> Iterator[Callable[..., ClientConnection]]:
    """A client made with a library that does not know rooms; it requests the sub-protocol."""
    opened: list[Any] = []

    def open_socket(server: ServerProcess, request: JoinRequest, extras: JoinExtras | None = None) -> ClientConnection:
        context = connect(f"ws://127.0.0.1:{server.http_port}/rooms", compression=None, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
        opened.append(context)
        ws = context.__enter__()
        assert ws.subprotocol == SUBPROTOCOL
        assert len(decode_hello(get(ws))) == 32
        ws.send(request.encode() + (extras or JoinExtras()).encode())
        return ws

    yield open_socket
    for context in opened:
        context.__exit__(None, None, None)


def get(ws: ClientConnection) -> bytes:
    message = ws.recv(10)
    assert isinstance(message, bytes)
    return message


def closed_with(ws: ClientConnection) -> tuple[str, int, str]:
    text: str | None = None
    while text is None:
        text = decode_error(get(ws))
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(10)
    assert caught.value.rcvd is not None
    return text, caught.value.rcvd.code, caught.value.rcvd.reason


def test_connections_end_with_a_code_and_the_reason(start_server: StartServer, extended: Any) -> None:
    server = room_server(start_server)
    host = extended(server, JoinRequest("chess", "r", create=True))
    JoinReply.decode(get(host))
    ann, bob = (extended(server, JoinRequest("chess", "r")) for _ in range(2))
    for guest in (ann, bob):
        JoinReply.decode(get(guest))
    full = closed_with(extended(server, JoinRequest("chess", "r")))
    assert full == ("Room  r exceeded max amount of players 3.", 4001, "Room  r exceeded max amount of players 3.")
    host.send(kick(1))
    assert closed_with(ann)[1:] == (4003, "We got rejected by server.")
    bob.send(b"\x63")
    assert closed_with(bob)[1:] == (4006, "Illegal Command from client")
    carl = extended(server, JoinRequest("chess", "r"))
    get(carl)
    host.send(b"\x00")
    assert closed_with(carl)[1] == 4002
    assert closed_with(host)[1] == 4005
    name = "ü" * 64
    text, code, reason = closed_with(extended(server, JoinRequest("chess", name)))
    assert (code, text.startswith(reason), len(reason.encode()) <= 123) == (4001, True, True)


def test_tokens_change_with_each_rejoin(start_server: StartServer, extended: Any) -> None:
    server = room_server(start_server)
    first = JoinReply.decode(get(extended(server, JoinRequest("go", "r", create=True)))).token
    again = extended(server, JoinRequest("go", "r", token=first), JoinExtras(rotates=True))
    second = JoinReply.decode(get(again)).token
    assert second != first
    again.send(TOKEN_KEPT)
    again.send(b"\x04x")
    time.sleep(0.2)
    assert closed_with(extended(server, JoinRequest("go", "r", token=first)))[0] == "Invalid reconnect token."
    assert JoinReply.decode(get(extended(server, JoinRequest("go", "r", token=second)))).token == second


def collect(player: Host | Guest, events: list[Event]) -> asyncio.Task[None]:
    async def listen() -> None:
        async for event in player:
            events.append(event)

    return asyncio.get_running_loop().create_task(listen())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.01)


def test_hands_stay_hidden_and_players_are_identified(start_server: StartServer) -> None:
    server = room_server(start_server)
    url, key = f"ws://127.0.0.1:{server.http_port}/rooms", Key()

    async def play() -> None:
        to_host: list[Event] = []
        to_ann: list[Event] = []
        to_bob: list[Event] = []
        async with Host(url, "chess", "r") as host, Guest(url, "chess", "r", identity=key) as ann:
            tasks = [collect(host, to_host), collect(ann, to_ann)]
            async with Guest(url, "chess", "r") as bob:
                tasks.append(collect(bob, to_bob))
                await until(lambda: len(to_host) == 2)
                assert to_host == [PlayerCame(1, key.public_key), PlayerCame(2)]
                await host.send_state_to(1, b"ann's cards")
                await host.send_state_to(2, b"bob's cards")
                await host.send_change_to(2, b"one more")
                await host.send_change(b"for all")
                await until(lambda: len(to_ann) == 2 and len(to_bob) == 3)
                assert to_ann == [State(b"ann's cards"), Change(b"for all")]
                assert to_bob == [State(b"bob's cards"), Change(b"one more"), Change(b"for all")]
            await until(lambda: len(to_host) == 3)
            assert to_host[2] == PlayerLeft(2)
            for task in tasks:
                task.cancel()

    asyncio.run(play())


def test_the_library_rejoins_with_a_new_token_each_time(start_server: StartServer) -> None:
    server = room_server(start_server)
    url, key = f"ws://127.0.0.1:{server.http_port}/rooms", Key()

    async def play() -> None:
        events: list[Event] = []
        seen: list[Event] = []
        async with Host(url, "go", "r") as host, Guest(url, "go", "r", identity=key) as ann:
            tasks = [collect(ann, events), collect(host, seen)]
            tokens = [ann.authorization]
            for number in range(3):
                assert ann._socket is not None
                ann._socket.transport.abort()
                await until(lambda number=number: events[-1:] == [Returned()] and len(events) == 2 * (number + 1))  # type: ignore[misc]
                await ann.call(b"%d" % number)
                await until(lambda number=number: Call(1, b"%d" % number) in seen)  # type: ignore[misc]
                tokens.append(ann.authorization)
            assert len(set(tokens)) == 4
            assert isinstance(events[0], Away)
            stolen = int(tokens[-1].removeprefix("Bearer "), 16)
            thief = Guest(url, "go", "r", identity=Key())
            thief._token = stolen
            with pytest.raises(SeatRefusedError, match="belongs to an identity"):
                await thief._connect()
            for task in tasks:
                task.cancel()

    asyncio.run(play())


def test_a_relay_with_the_plain_protocol_works(start_server: StartServer) -> None:
    """Our server, behind a proxy that removes the sub-protocol from the request."""
    server = room_server(start_server)

    async def strip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.http_port)
        head = await reader.readuntil(b"\r\n\r\n")
        back.write(b"\r\n".join(line for line in head.split(b"\r\n") if b"protocol" not in line.lower()))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(4096):
                target.write(data)
            target.close()

        await asyncio.gather(pump(reader, back), pump(there, writer))

    async def play() -> None:
        proxy = await asyncio.start_server(strip, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/rooms"
        async with Host(url, "go", "r") as host:
            assert not host.is_extended
            await host.reset(b"state")
            with pytest.raises(NotSupportedError, match="single player"):
                await host.send_state_to(1, b"x")
            with pytest.raises(NotSupportedError, match="identities"):
                async with Guest(url, "go", "r", identity=Key()):
                    pass
            with pytest.raises(SeatEndedError):
                await host.end()
                async for _ in host:
                    pass
        proxy.close()

    asyncio.run(play())


def test_public_rooms_are_listed_in_pages(start_server: StartServer, extended: Any) -> None:
    server = room_server(start_server)
    extended(server, JoinRequest("chess", "secret", create=True))
    extended(server, JoinRequest("chess", "open", 7, create=True), JoinExtras(is_public=True))
    for number in range(3):
        get(extended(server, JoinRequest("go", f"r{number}", create=True)))
    status, page = ask(server, "/rooms?per_page=3")
    assert (status, page["total"], page["page"], page["per_page"]) == (200, 4, 1, 3)
    assert page["rooms"][0] == {
        "game": "chess",
        "room": "open",
        "variation": 7,
        "players": 1,
        "max_players": 3,
        "host_present": True,
    }
    assert [room["room"] for room in ask(server, "/rooms?per_page=3&page=2")[1]["rooms"]] == ["r2"]
    for wrong in ("page=0", "page=x", "per_page=101", "per_page=0", "page=-1", "page=99999999999", "page=%C2%B2"):
        assert ask(server, f"/rooms?{wrong}")[0] == 400, wrong


def test_a_public_room_has_a_chat_group_while_it_exists(
    start_server: StartServer, extended: Any, tmp_path: Path
) -> None:
    server = room_server(start_server, "--events", "--data-dir", str(tmp_path / "data"))
    host = extended(server, JoinRequest("go", "salon", create=True))
    get(host)
    extended(server, JoinRequest("chess", "secret", create=True))
    group = ask(server, "/rooms")[1]["rooms"][0]["group"]
    assert group == "room-go-salon"
    peer = NostrPeer(server)

    def described() -> list[str]:
        return [tag[1] for event in peer.ask({"kinds": [39000]}) for tag in event["tags"] if tag[0] == "d"]

    def until_described(names: set[str]) -> None:
        deadline = time.monotonic() + 5
        while set(described()) != names and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(described()) == names

    until_described({"lobby", group})
    message = make("good game", ANN, 9, ["h", group])
    assert peer.publish(message)[1] is True
    assert peer.publish(make("", ANN, 9007, ["h", "room-go-other"]))[2].startswith("restricted: ")
    host.send(b"\x00")
    closed_with(host)
    until_described({"lobby"})
    assert [event["content"] for event in peer.ask({"#h": [group]})] == ["good game"], "no accepted report is lost"
    get(extended(server, JoinRequest("go", "salon", create=True)))
    until_described({"lobby", group})
    peer.close()
    server.process.kill()
    server.process.wait()
    again = room_server(start_server, "--events", "--data-dir", str(tmp_path / "data"))
    peer = NostrPeer(again)
    until_described({"lobby"})
    peer.close()


def test_records_of_a_key_can_be_read(start_server: StartServer, database_place: str, tmp_path: Path) -> None:
    where = (
        ("--database", database_place)
        if database_place.startswith("postgresql")
        else ("--data-dir", str(tmp_path / "data"))
    )
    server = room_server(start_server, *where)
    url, key = f"ws://127.0.0.1:{server.http_port}/rooms", Key()

    async def play() -> None:
        async with Host(url, "chess", "r", identity=key) as host, Guest(url, "chess", "r"):
            for outcome in ("win", "draw", "win"):
                body = {"game_id": "chess", "room_code": "r", "result": outcome, "outcomes": {"0": outcome}}
                assert (await asyncio.to_thread(ask, server, "/games/result", body, host.authorization))[0] == 200

    asyncio.run(play())
    status, page = ask(server, f"/players/{key.public_key.hex()}/games?per_page=2")
    assert status == 200
    assert (page["games"], page["wins"], page["losses"], page["draws"]) == (3, 2, 0, 1)
    assert [record["result"] for record in page["records"]] == ["win", "draw"]
    assert page["records"][0]["identities"] == {"0": key.public_key.hex()}
    assert page["records"][0]["outcomes"] == {"0": "win", "1": None}
    assert ask(server, f"/players/{'0' * 64}/games")[1]["games"] == 0
    assert ask(server, "/players/ann/games")[0] == 400
    assert ask(server, f"/players/{key.public_key.hex()}/games?page=0")[0] == 400
    server.process.kill()
    server.process.wait()
    again = room_server(start_server, *where)
    deadline = time.monotonic() + 10
    while ask(again, "/games/4")[1]["end_reason"] is None and time.monotonic() < deadline:
        again.stop()  # PostgreSQL may take a moment to see that the first server is dead
        again = room_server(start_server, *where)
    assert ask(again, "/games/4")[1]["end_reason"] == "the server stopped"


def test_rounds_are_reported_once_and_may_be_abandoned(
    start_server: StartServer, extended: Any, database_place: str, tmp_path: Path
) -> None:
    where = (
        ("--database", database_place)
        if database_place.startswith("postgresql")
        else ("--data-dir", str(tmp_path / "data"))
    )
    server = room_server(start_server, *where)
    host = extended(server, JoinRequest("chess", "r", create=True))
    bearer = f"Bearer {JoinReply.decode(get(host)).token:016x}"
    ann = extended(server, JoinRequest("chess", "r"))
    get(ann)
    base = {"game_id": "chess", "room_code": "r"}

    def report(**body: object) -> tuple[int, Any]:
        return ask(server, "/games/result", {**base, **body}, bearer)

    won = {"round": 1, "result": {"winner": "host"}, "outcomes": {"0": "win", "1": "loss"}}
    assert report(**won) == report(**won) == (200, {"game_record_id": 1})
    assert report(round=3, result=1)[0] == 404
    for wrong in (0, -1, "1", 1.5, True, 1 << 40):
        assert report(round=wrong, result=1)[0] == 400, wrong
    for reason in ("x" * 201, "two\nlines", 5, ["a"], "\x1b[2J"):
        assert report(round=2, abandoned=reason)[0] == 400, reason
    assert report(round=2, abandoned="why", result=1)[0] == 400
    ann.send(b"\x03")
    assert get(host) == player_came(1)
    assert get(host) == b"\x01\x00\x01"
    assert report(round=2, outcomes={"1": None, "2": None}, abandoned="the guest left")[0] == 400
    assert report(round=2, outcomes={"1": None}, abandoned="the guest left") == (200, {"game_record_id": 2})
    assert report(round=3, outcomes={"1": "win"}, result=1)[0] == 400, (
        "ann has no part in a round that began without her"
    )
    record = ask(server, "/games/2")[1]
    assert (record["result"], record["end_reason"]) == (None, "abandoned: the guest left")
    assert record["outcomes"] == {"0": None, "1": None}
    assert ask(server, "/games/1")[1]["outcomes"] == {"0": "win", "1": "loss"}


def test_only_players_that_ask_get_notices_of_absences(start_server: StartServer, extended: Any) -> None:
    server = room_server(start_server, "--room-grace", "2")
    told = JoinExtras(wants_absences=True)
    host = extended(server, JoinRequest("go", "r", create=True), told)
    get(host)
    assert get(host) == seat_kept(0, 2.0)
    ann = extended(server, JoinRequest("go", "r"), told)
    get(ann)
    assert get(ann) == seat_kept(1, 2.0)
    bob = extended(server, JoinRequest("go", "r"))
    get(bob)
    stack = contextlib.ExitStack()
    plain = stack.enter_context(connect(f"ws://127.0.0.1:{server.http_port}/rooms", compression=None))
    plain.send(JoinRequest("go", "r").encode())
    get(plain)
    assert [get(host) for _ in range(3)] == [player_came(1), player_came(2), player_came(3)]
    plain.socket.shutdown(socket.SHUT_RDWR)
    assert [get(host) for _ in range(2)] == [seat_kept(3, 2.0), player_left(3)]
    carl = stack.enter_context(connect(f"ws://127.0.0.1:{server.http_port}/rooms", compression=None))
    carl.send(JoinRequest("go", "r").encode())
    get(carl)
    host.socket.shutdown(socket.SHUT_RDWR)
    assert get(ann) == seat_kept(0, 2.0)
    assert closed_with(ann) == ("The host did not return.", 4002, "The host did not return.")
    assert closed_with(bob) == ("Server has left the game.", 4002, "Server has left the game.")
    assert decode_error(get(carl)) == "Server has left the game."
    stack.close()


def test_nonsense_from_a_guest_does_not_affect_a_terminal_game(
    start_server: StartServer, extended: Any, tmp_path: Path
) -> None:
    server = start_server("--http", "--http-port", "0", "--game", "four")
    server.wait_for_log("HTTP on port")
    with terminal(90, 24, f"LC_ALL=C.UTF-8 XDG_STATE_HOME={tmp_path}") as window:
        window.type(f"{sys.executable} -m teleglyph play t --host --server 127.0.0.1:{server.http_port}; echo code=$?")
        window.expect("Waiting for someone to join")
        guest = extended(server, JoinRequest("four", "t"))
        get(guest)
        window.expect("Your turn")
        # A move out of turn, columns that do not exist, a rematch of a game in progress, escape sequences.
        for call in (b"\x00", b"\x07", b"\xff", b"", b"again", b"\x1b[2J\x1b]0;owned\x07", bytes(60_000)):
            guest.send(b"\x02" + call)
        second = extended(server, JoinRequest("four", "t"))
        assert closed_with(second)[0] == "We got rejected by server.", "two are playing"
        window.press("4")
        window.expect("The other player's turn")
        # The stones on the board; one more is in the status line.
        assert (window.screen.count("●"), window.screen.count("○")) == (2, 0)
        guest.send(b"\x02\x03")
        window.expect("Your turn")
        assert (window.screen.count("●"), window.screen.count("○")) == (2, 1)
        window.press("q")
        window.expect("code=0")


def test_the_tokens_owner_can_reload_games(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[rooms]\ngame = ["chess:2"]\n')
    token = "0123456789abcdef!"
    server = start_server(
        *("--http", "--http-port", "0", "--admin-token", token), environment={"TELEGLYPH_CONFIG": str(file)}
    )
    server.wait_for_log("HTTP on port")
    file.write_text('[rooms]\ngame = ["go:4:public", "whist"]\n')
    assert ask(server, "/reload", {}) == (
        403,
        {"error": "Wrong token. Send the header Authorization: Bearer with the server's --admin-token."},
    )
    with pytest.raises(urllib.error.HTTPError) as wrong_method:
        urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/reload", timeout=10)
    assert wrong_method.value.code == 405
    wrong_method.value.close()
    assert ask(server, "/reload", {}, f"Bearer {token}") == (200, {"games": ["go", "whist"], "problems": []})
    file.write_text('[rooms]\ngame = ["go:x"]\n')
    status, answer = ask(server, "/reload", {}, f"Bearer {token}")
    assert (status, answer["games"]) == (409, ["go", "whist"])
    assert "'go:x' is not a game" in answer["problems"][0]
    statuses = [ask(server, "/reload", {}, "Bearer wrong")[0] for _ in range(6)]
    assert (statuses[0], statuses[-1]) == (403, 429)
    assert token not in "".join(server.log)


def test_reloading_games_needs_a_token(start_server: StartServer) -> None:
    assert ask(room_server(start_server), "/reload", {}, "Bearer ") == (
        403,
        {"error": "Nobody may do this. To allow it, start the server with --admin-token."},
    )


def shown_certificate(server: ServerProcess) -> str:
    pem = ssl.get_server_certificate(("127.0.0.1", server.http_port), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


def test_rooms_over_tls(start_server: StartServer, tmp_path: Path) -> None:
    file = certificate(tmp_path, "first")
    server = room_server(start_server, "--tls-cert", str(file))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    assert ask(server, "/health", scheme="https", context=context)[0] == 200
    url = f"wss://127.0.0.1:{server.http_port}/rooms"
    with (
        connect(url, compression=None, ssl=context) as host,
        connect(url, compression=None, ssl=context) as guest,
    ):
        host.send(JoinRequest("go", "r", create=True).encode())
        JoinReply.decode(get(host))
        guest.send(JoinRequest("go", "r").encode())
        JoinReply.decode(get(guest))
        host.send(b"\x04" + bytes(60_000))
        assert len(get(guest)) == 60_001
        file.write_bytes(certificate(tmp_path, "second").read_bytes())
        server.process.send_signal(1)
        server.wait_for_log("Reloaded the certificate")
        assert shown_certificate(server) == "CN=second"
        file.write_text("junk")
        server.process.send_signal(1)
        server.wait_for_log("certificate was not reloaded: The certificate '.*first.pem' cannot be used")
        assert shown_certificate(server) == "CN=second"
        assert get(host) == player_came(1)
        host.send(b"\x00")
        assert decode_error(get(host)) == "Server disconnected intentionally"
        assert decode_error(get(guest)) == "Server has left the game."
        with pytest.raises(ConnectionClosed):
            guest.recv(10)


def test_an_unusable_certificate_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    for options, code, text in (
        (["--tls-cert", str(tmp_path / "junk.pem")], 4, "junk.pem' cannot be used"),
        (["--tls-cert", str(tmp_path / "none.pem")], 4, "no such file or directory."),
        (["--tls-key", "x"], 2, "--tls-key needs a certificate. Add --tls-cert."),
        (["--admin-token", "short"], 2, "at least 16 characters"),
        (["--database", "mysql://secret"], 2, "Write postgresql://user@host/name"),
        (["--database", "postgresql://ann:secret@127.0.0.1:9/x", "--game", "go"], 105, "cannot be reached"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "teleglyph", "server", "--port", "0", "--http-port", "0", *options],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert result.returncode == code, result.stderr
        assert text in result.stderr
        assert "secret" not in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.thorough
def test_slow_requests_are_closed_and_harm_nobody_else(start_server: StartServer, tmp_path: Path) -> None:
    """Connections without a request, with half of one, and with one and then half of the next; with TLS without any."""
    plain = room_server(start_server)
    tls = room_server(start_server, "--tls-cert", str(certificate(tmp_path, "c")))
    sockets = [socket.create_connection(("127.0.0.1", plain.http_port)) for _ in range(9)]
    sockets += [socket.create_connection(("127.0.0.1", tls.http_port)) for _ in range(3)]
    sockets += [socket.create_connection(("127.0.0.1", plain.http_port)) for _ in range(2)]
    with connect(f"ws://127.0.0.1:{plain.http_port}/rooms", compression=None) as host:
        host.send(JoinRequest("go", "r", create=True).encode())
        get(host)
        for half in sockets[3:6]:
            half.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for second in sockets[6:9]:
            second.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        for body in sockets[12:]:
            body.sendall(b"POST /games/result HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{")
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(1.0):
                for slow in sockets[3:6]:
                    try:
                        slow.sendall(b"y")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        started = time.monotonic()
        for each in sockets:
            each.settimeout(30)
            try:
                while each.recv(4096):
                    pass
            except ConnectionError:
                pass
            each.close()
        assert time.monotonic() - started < 40
        stop.set()
        thread.join()
        host.send(only_for(1, b"\x04x"))
        assert decode_error(get(host)) == "Illegal Server -> Client command.", "the room existed all the time"
