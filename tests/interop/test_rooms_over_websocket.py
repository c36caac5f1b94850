"""Rooms on real sockets, with clients of other libraries."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conftest import ServerProcess
from teleglyph.wire.rooms.messages import JoinReply, JoinRequest, decode_error, kick, player_came, player_left

StartServer = Callable[..., ServerProcess]
DELTA, FULL, RESET, RPC = b"\x02d", b"\x03f", b"\x04r", b"\x02go"


def room_server(start_server: StartServer, *options: str) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--game", "chess:3", "--game", "go", *options)
    server.wait_for_log("HTTP on port")
    return server


class Player:
    """A player made with a library that does not know rooms."""

    def __init__(
        self, server: ServerProcess, request: JoinRequest | bytes | None, path: str = "/ws", **options: Any
    ) -> None:
        address = f"ws://127.0.0.1:{server.http_port}{path}"
        self._context = connect(address, compression=None, max_size=None, **options)
        self.socket: ClientConnection = self._context.__enter__()
        if request is not None:
            self.socket.send(request if isinstance(request, bytes) else request.encode())

    def get(self, timeout: float = 10.0) -> bytes:
        message = self.socket.recv(timeout)
        assert isinstance(message, bytes)
        return message

    def enter(self) -> JoinReply:
        self.reply = JoinReply.decode(self.get())
        return self.reply

    def ends_with(self) -> str | None:
        """The text of the last message; the connection must be closed after it, without a code."""
        text = decode_error(self.get())
        with pytest.raises(ConnectionClosed) as caught:
            self.socket.recv(10)
        assert caught.value.rcvd is None or caught.value.rcvd.code == 1005
        return text

    def close(self) -> None:
        """Leave with a goodbye."""
        with contextlib.suppress(OSError, ConnectionClosed):
            self._context.__exit__(None, None, None)

    def break_off(self) -> None:
        """Drop the connection without a goodbye."""
        raw = self.socket.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
        with contextlib.suppress(ConnectionClosed, OSError):
            self.socket.close_socket()


@pytest.fixture
def people() -> Iterator[Callable[..., Player]]:
    opened: list[Player] = []

    def come(*args: object, **kwargs: object) -> Player:
        opened.append(Player(*args, **kwargs))  # type: ignore[arg-type]
        return opened[-1]

    yield come
    for player in opened:
        player.close()


Come = Callable[..., Player]


@pytest.mark.parametrize("path", ["/ws", "/rooms", "/ws/rooms"])
def test_a_host_and_guests_play(start_server: StartServer, people: Come, path: str) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("chess", "lobby", 300, create=True), path)
    assert (host.enter().player, host.reply.variation) == (0, 300)
    ann = people(server, JoinRequest("chess", "lobby"), path)
    assert (ann.enter().player, ann.reply.variation) == (1, 300)
    assert host.get() == player_came(1)
    host.socket.send("text means nothing")
    host.socket.send(FULL)
    host.socket.send([b"\x02", b"in ", b"pieces"])
    assert [ann.get(), ann.get()] == [FULL, b"\x02in pieces"]
    ann.socket.send(RPC)
    assert host.get() == b"\x02\x00\x01go"
    bob = people(server, JoinRequest("chess", "lobby"), path)
    bob.enter()
    assert host.get() == player_came(2)
    assert people(server, JoinRequest("chess", "lobby")).ends_with() == (
        "Room  lobby exceeded max amount of players 3."
    )
    host.socket.send(kick(2))
    assert bob.ends_with() == "We got rejected by server."
    assert host.get() == player_left(2)
    ann.socket.send(b"\x03")
    assert ann.ends_with() == "Client disconnected intentionally"
    assert host.get() == player_left(1)
    host.socket.send(b"\x00")
    assert host.ends_with() == "Server disconnected intentionally"
    assert people(server, JoinRequest("chess", "lobby")).ends_with() == ("Room lobby does not exist for game chess.")


def test_a_disconnected_host_finds_its_room_unchanged(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("go", "r", create=True))
    token = host.enter().token
    ann, bob = (people(server, JoinRequest("go", "r")) for _ in range(2))
    ann.enter()
    bob.enter()
    host.socket.send(RESET)
    assert ann.get() == bob.get() == RESET
    host.break_off()
    time.sleep(0.3)
    ann.socket.send(RPC)
    bob.break_off()
    time.sleep(0.3)
    again = people(server, JoinRequest("go", "r", token=token))
    assert again.enter() == JoinReply(0, 0, token)
    assert [again.get(), again.get(), again.get()] == [player_came(1), player_left(2), b"\x02\x00\x01go"]
    again.socket.send(DELTA)
    again.socket.send(FULL)
    assert ann.get() == FULL, "a change is not sent to players without a state"
    bob_again = people(server, JoinRequest("go", "r", token=bob.reply.token))
    assert bob_again.enter().player == 2
    assert again.get() == player_came(2)


def test_a_player_may_disconnect_rejoin_and_disconnect_again(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server, "--room-grace", "1.5")
    host = people(server, JoinRequest("go", "r", create=True))
    host.enter()
    ann = people(server, JoinRequest("go", "r"))
    ann.enter()
    host.break_off()
    time.sleep(0.7)
    host = people(server, JoinRequest("go", "r", token=host.reply.token))
    host.enter()
    time.sleep(0.4)
    host.break_off()
    gone = time.monotonic()
    assert ann.ends_with() == "Server has left the game."
    assert time.monotonic() - gone > 1.2, "the whole time of grace, counted from the second loss"


def test_a_host_rejoins_after_three_hundred_guests_left(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server, "--room-grace", "5")
    host = people(server, JoinRequest("go", "r", create=True))
    token = host.enter().token
    for number in range(300):
        guest = Player(server, JoinRequest("go", "r"))
        guest.enter()
        guest.socket.send(b"\x03")
        assert guest.ends_with() == "Client disconnected intentionally"
        guest.close()
        assert [host.get(), host.get()] == [player_came(number + 1), player_left(number + 1)]
    stays = people(server, JoinRequest("go", "r"))
    assert stays.enter().player == 301
    assert host.get() == player_came(301)
    host.break_off()
    again = people(server, JoinRequest("go", "r", token=token))
    assert again.enter().player == 0
    assert again.get() == player_came(301)
    stays.socket.send(RPC)
    assert again.get() == b"\x02" + (301).to_bytes(2, "big") + b"go", "nothing from the guests who left comes between"


def test_a_disconnected_players_seat_is_kept_and_a_leavers_seat_is_free(
    start_server: StartServer, people: Come
) -> None:
    server = room_server(start_server, "--room-grace", "1.5")
    people(server, JoinRequest("chess", "r", create=True)).enter()
    ann, bob = (people(server, JoinRequest("chess", "r")) for _ in range(2))
    ann.enter()
    bob.enter()
    full = "Room  r exceeded max amount of players 3."
    ann.break_off()
    time.sleep(0.3)
    assert people(server, JoinRequest("chess", "r")).ends_with() == full
    assert people(server, JoinRequest("chess", "r", token=ann.reply.token)).enter().player == 1
    bob.socket.send(b"\x03")
    bob.ends_with()
    carl = people(server, JoinRequest("chess", "r"))
    assert carl.enter().player == 3
    assert people(server, JoinRequest("chess", "r", token=bob.reply.token)).ends_with() == full
    carl.break_off()
    time.sleep(1.8)
    assert people(server, JoinRequest("chess", "r")).enter().player == 4, "the time of grace is over"
    assert people(server, JoinRequest("chess", "r", token=carl.reply.token)).ends_with() == full


def test_floods_of_names_are_refused_and_forgotten(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    watcher = people(server, JoinRequest("go", "watched", create=True))
    watcher.enter()
    before = memory_mib(server)
    for number in range(400):
        name = f"{number:03}" + "n" * (125 if number % 2 else 600)
        guest = Player(server, JoinRequest("go", name))
        text = guest.ends_with()
        assert text is not None
        assert len(text) < 300
        guest.close()
    rooms = []
    for number in range(60):
        rooms.append(people(server, JoinRequest("go", f"room {number}", create=True)))
    answers = [decode_error(room.get()) for room in rooms]
    assert answers[:49] == [None] * 49
    assert answers[49:] == ["Too many rooms, try again later."] * 11
    assert memory_mib(server) < before + 12
    people(server, JoinRequest("go", "watched")).enter()
    assert watcher.get() == player_came(1)


def test_a_seat_has_one_socket_at_a_time(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("go", "r", create=True))
    host.enter()
    ann = people(server, JoinRequest("go", "r"))
    ann.enter()
    assert host.get() == player_came(1)
    other = people(server, JoinRequest("go", "r", token=ann.reply.token))
    other.enter()
    assert ann.ends_with() == "This seat was taken over by another connection."
    assert [host.get(), host.get()] == [player_left(1), player_came(1)]
    other.socket.send(RPC)
    assert host.get() == b"\x02\x00\x01go"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (b"", "Failed to parse join request."),
        (bytes(1100), "Message too large."),
        (JoinRequest("poker", "r", create=True), "Unknown game poker."),
        (JoinRequest("go", "r", token=5), "Room r no longer exists for game go."),
    ],
)
def test_a_refusal_is_the_last_message(
    start_server: StartServer, people: Come, request_: JoinRequest | bytes, text: str
) -> None:
    assert people(room_server(start_server), request_).ends_with() == text


@pytest.mark.parametrize("size", [65_537, 70_001, 200_000])
def test_a_too_large_message_gets_a_reason_before_the_close(start_server: StartServer, people: Come, size: int) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("chess", "lobby", create=True))
    host.enter()
    host.socket.send(bytes([2]) * size)
    assert decode_error(host.get()) == "Message too large."
    with pytest.raises(ConnectionClosed) as caught:
        host.socket.recv(10)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_vanished_connections_leave_no_descriptors(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    silent = people(server, None)
    for _ in range(20):
        people(server, None).break_off()
    with pytest.raises(TimeoutError):
        silent.get(1)
    silent.socket.close()
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    count = len(list(descriptors.iterdir()))
    for _ in range(30):
        people(server, JoinRequest("go", os.urandom(8).hex(), create=True)).break_off()
    deadline = time.monotonic() + 10
    while len(list(descriptors.iterdir())) > count + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(list(descriptors.iterdir())) <= count + 2


def test_too_large_messages_disconnect_their_sender(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server, "--room-message-bytes", "5000")
    host = people(server, JoinRequest("go", "r", create=True))
    host.enter()
    ann = people(server, JoinRequest("go", "r"))
    ann.enter()
    ann.socket.send(b"\x02" + bytes(4999))
    assert [host.get(), len(host.get())] == [player_came(1), 5002]
    with contextlib.suppress(ConnectionClosed):
        ann.socket.send(b"\x02" + bytes(64 << 20))
        while True:
            ann.get()
    assert host.get() == player_left(1)


def memory_mib(server: ServerProcess) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_a_guest_that_stops_reading_harms_nobody_else(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("go", "r", create=True))
    host.enter()
    ann, stalled = (people(server, JoinRequest("go", "r")) for _ in range(2))
    ann.enter()
    stalled.enter()
    stalled.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = memory_mib(server)
    got: list[int] = []

    def read() -> None:
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            while len(got) < 300:
                got.append(len(ann.get(20)))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(300):
        host.socket.send(b"\x04" + bytes(60_000))
        time.sleep(0.005)
    reader.join(30)
    assert got == [60_001] * 300
    assert memory_mib(server) < before + 24


def test_a_host_that_stops_reading_is_not_waited_for(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    with socket.create_connection(("127.0.0.1", server.http_port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in raw.recv(4096)
        request = JoinRequest("go", "r", create=True).encode()
        raw.sendall(bytes([0x82, 0x80 | len(request)]) + bytes(4) + request)
        time.sleep(0.3)
        ann = people(server, JoinRequest("go", "r"))
        ann.enter()
        for _ in range(200):
            ann.socket.send(b"\x02" + bytes(60_000))
        bob = people(server, JoinRequest("go", "r"))
        assert bob.enter().player == 2, "others come and go meanwhile"
        ann.socket.send(RPC)
        with pytest.raises(TimeoutError):
            ann.get(1)


def test_pages_of_other_origins_may_not_connect(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server, "--origin", "https://friend.example")
    for origin in ("https://friend.example", f"http://127.0.0.1:{server.http_port}"):
        player = people(server, JoinRequest("go", origin, create=True), additional_headers={"Origin": origin})
        player.enter()
    with pytest.raises(InvalidStatus) as caught:
        people(server, None, additional_headers={"Origin": "https://evil.example"})
    assert caught.value.response.status_code == 403


def test_a_request_without_an_upgrade_gets_an_answer(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/ws", timeout=10)
    assert caught.value.code in (400, 426)
    caught.value.close()
    plain = start_server("--http", "--http-port", "0")
    plain.wait_for_log("HTTP on port")
    with pytest.raises(InvalidStatus) as refused:
        people(plain, None)
    assert refused.value.response.status_code == 404
    for junk in (b"\x00" * 50, b"GET /ws HTTP/1.1\r\n", b"\x82\xff" + b"\xff" * 20):
        with socket.create_connection(("127.0.0.1", server.http_port)) as raw:
            raw.sendall(junk)
    broken = people(server, JoinRequest("go", "r", create=True))
    broken.enter()
    broken.socket.socket.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(ConnectionClosed):
        while True:
            broken.get()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/statistics", timeout=10) as answer:
        assert json.load(answer)["rooms_open"] == 1, "the room waits for its host"


def test_connections_per_address_are_limited(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server, "--connections-per-address", "2")
    people(server, JoinRequest("go", "r", create=True)).enter()
    second = people(server, JoinRequest("go", "r"))
    second.enter()
    with pytest.raises(InvalidStatus) as refused:
        people(server, None)
    assert refused.value.response.status_code == 429
    second.socket.close()
    time.sleep(0.3)
    people(server, JoinRequest("go", "r")).enter()


def test_players_are_notified_of_a_shutdown(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    host = people(server, JoinRequest("go", "r", create=True))
    host.enter()
    ann = people(server, JoinRequest("go", "r"))
    ann.enter()
    server.process.send_signal(signal.SIGTERM)
    assert ann.ends_with() == "Server has left the game."
    assert server.process.wait(10) == 0


def test_games_are_reloaded_and_an_invalid_file_changes_nothing(
    start_server: StartServer, people: Come, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[rooms]\ngame = ["chess:2"]\nroom_grace = 1\n')
    server = start_server("--http", "--http-port", "0", environment={"TELEGLYPH_CONFIG": str(file)})
    server.wait_for_log("HTTP on port")
    host = people(server, JoinRequest("chess", "r", create=True))
    host.enter()
    file.write_text('[rooms]\ngame = ["go"]\n')
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("Reloaded the games: go")
    people(server, JoinRequest("go", "r", create=True)).enter()
    assert people(server, JoinRequest("chess", "s", create=True)).ends_with() == "Unknown game chess."
    host.break_off()
    again = people(server, JoinRequest("chess", "r", token=host.reply.token))
    assert again.enter().player == 0, "an existing room continues"
    file.write_text('[rooms]\ngmae = ["x"]\n')
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("The games were not reloaded: .*Did you mean 'game'")
    people(server, JoinRequest("go", "t", create=True)).enter()


def test_metrics_count_rooms_and_players(start_server: StartServer, people: Come) -> None:
    server = room_server(start_server)
    people(server, JoinRequest("go", "r", create=True)).enter()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    assert "teleglyph_rooms 1" in lines
    assert "teleglyph_players 1" in lines


def ask(server: ServerProcess, path: str, body: object = None, token: int | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}{path}", None if body is None else json.dumps(body).encode()
    )
    if token is not None:
        request.add_header("Authorization", f"Bearer {token:016x}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - it is always http
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_rounds_are_recorded_and_only_the_host_reports_the_outcome(
    start_server: StartServer, people: Come, tmp_path: Path
) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    server = room_server(start_server, *data)
    host = people(server, JoinRequest("chess", "lobby", create=True))
    token = host.enter().token
    ann, bob = (people(server, JoinRequest("chess", "lobby")) for _ in range(2))
    ann.enter()
    bob.enter()
    assert [host.get(), host.get()] == [player_came(1), player_came(2)]
    host.socket.send(kick(2))
    bob.ends_with()
    result = {"game_id": "chess", "room_code": "lobby", "result": {"moves": 12}, "outcomes": {"0": "win", "1": "loss"}}
    assert ask(server, "/games/result", result)[0] == 403
    assert ask(server, "/games/result", result, ann.reply.token)[0] == 403
    assert ask(server, "/games/result", {**result, "outcomes": {"2": "win"}}, token)[0] == 400, "a kicked player is out"
    assert ask(server, "/games/result", {**result, "outcomes": {"1": "great"}}, token)[0] == 400
    assert ask(server, "/games/result", {**result, "room_code": "other"}, token)[0] == 404
    assert ask(server, "/games/result", ["nonsense"], token)[0] == 400
    status, answer = ask(server, "/games/result", result, token)
    assert (status, answer) == (200, {"game_record_id": 1})
    assert ask(server, "/games/result", {**result, "result": None, "outcomes": {}}, token)[1] == {"game_record_id": 2}
    status, record = ask(server, "/games/1")
    assert (record["result"], record["outcomes"]) == ({"moves": 12}, {"0": "win", "1": "loss"})
    assert ask(server, "/games/2")[1]["outcomes"] == {"0": None, "1": None}
    assert ask(server, "/games/3")[1]["ended_at"] is None
    assert ask(server, "/games/4")[0] == 404
    server.process.kill()
    server.process.wait()
    again = room_server(start_server, *data)
    assert ask(again, "/games/3")[1]["end_reason"] == "the server stopped"
    assert ask(again, "/games/1")[1]["end_reason"] == "the host gave a result"


def test_the_hosts_token_cannot_be_guessed_over_http(start_server: StartServer, people: Come, tmp_path: Path) -> None:
    server = room_server(start_server, "--data-dir", str(tmp_path / "data"))
    token = people(server, JoinRequest("go", "r", create=True)).enter().token
    result = {"game_id": "go", "room_code": "r", "result": 1}
    for number in range(3):
        assert ask(server, "/games/result", result, token ^ (number + 1))[0] == 403
    assert ask(server, "/games/result", result, token)[0] == 403, "the address has to wait"
    time.sleep(1.1)
    assert ask(server, "/games/result", result, token)[0] == 200


def test_requests_over_the_rate_are_refused(start_server: StartServer) -> None:
    server = room_server(start_server, "--connection-rate", "50")
    answers = []
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    for _ in range(1210):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)
    connection.close()
    assert answers == [200] * 1200 + [429] * 10
