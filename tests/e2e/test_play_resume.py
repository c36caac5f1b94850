"""Games that survive their processes: killed hosts and guests, lost servers, in real terminals."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from conftest import ServerProcess
from teleglyph.rooms.client import Host
from terminal import Terminal, terminal, wait_for

StartServer = Callable[..., ServerProcess]


def game_server(start_server: StartServer, *options: str) -> ServerProcess:
    server = start_server("--http", "--game", "four:2", *(options or ("--http-port", "0")))
    server.wait_for_log("HTTP on port")
    return server


class Side:
    """One player: a terminal, and the command that is repeatedly typed there."""

    def __init__(self, server: ServerProcess, window: Terminal, state: Path, *, hosts: bool, options: str = "") -> None:
        self.window = window
        self.state = state / "teleglyph" / "seats"
        self.role = "host" if hosts else "guest"
        self.line = (
            f"XDG_STATE_HOME={state} {sys.executable} -m teleglyph play table "
            f"--server 127.0.0.1:{server.http_port} {'--host' if hosts else ''} {options}; echo code=$?"
        )

    def start(self) -> None:
        self.window.begin(self.line, "reset; clear")

    @property
    def screen(self) -> str:
        # A sentence may be broken anywhere.
        return self.window.screen

    def expect(self, text: str) -> None:
        compact = text.replace(" ", "")
        self.window.wait(
            lambda screen: compact in screen.replace("\n", "").replace(" ", ""), f"{text!r} never appeared"
        )

    @property
    def pid(self) -> int:
        for path in self.state.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                if json.loads(path.read_text())["role"] == self.role:
                    return int(path.with_suffix(".lock").read_text())
        raise AssertionError(f"no {self.role} has saved a seat")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.window.wait(lambda screen: "code=137" in screen, "the shell is back")

    def leaves_no_traceback(self) -> None:
        assert "Traceback" not in self.window.tmux("capture-pane", "-p", "-S", "-200")


@contextlib.contextmanager
def two_sides(server: ServerProcess, tmp_path: Path, options: str = "") -> Iterator[tuple[Side, Side]]:
    with terminal(100, 24) as left, terminal(80, 20) as right:
        ann = Side(server, left, tmp_path / "ann", hosts=True, options=options)
        bob = Side(server, right, tmp_path / "bob", hosts=False, options=options)
        ann.start()
        ann.expect("Waiting for someone to join")
        bob.start()
        ann.expect("Your turn")
        bob.expect("The other player's turn")
        yield ann, bob
        ann.leaves_no_traceback()
        bob.leaves_no_traceback()


def stones(side: Side) -> tuple[int, int]:
    """The stones on the board, without the one in the status line."""
    board = "\n".join(row for row in side.window.rows if "│" in row)
    return board.count("●"), board.count("○")


def has_stones(side: Side, *wanted: int) -> None:
    wait_for(lambda: stones(side) == wanted, f"{wanted} stones", lambda: side.screen)


def move(who: Side, other: Side, column: str) -> None:
    who.expect("Your turn")
    who.window.press(column)
    other.expect("Your turn")


def record(server: ServerProcess, number: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/games/{number}", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def until_ended(server: ServerProcess, number: int) -> dict[str, Any]:
    wait_for(lambda: record(server, number)["ended_at"] is not None, f"record {number} is closed")
    return record(server, number)


@pytest.mark.parametrize(
    "database_place", ["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)], indirect=True
)
def test_a_killed_guest_and_a_killed_host_resume_their_game_and_it_is_recorded_once(
    start_server: StartServer, database_place: str, tmp_path: Path
) -> None:
    where = (
        ("--database", database_place)
        if database_place.startswith("postgresql")
        else ("--data-dir", str(tmp_path / "data"))
    )
    server = game_server(start_server, "--http-port", "0", *where)
    with two_sides(server, tmp_path) as (ann, bob):
        move(ann, bob, "1")
        move(bob, ann, "2")
        bob.kill()
        ann.expect("The other player is away (")
        bob.start()
        bob.expect("Resumed your game as guest")
        ann.expect("The other player is back")
        has_stones(bob, 1, 1)
        move(ann, bob, "1")
        ann.kill()
        bob.expect("The other player is away (")
        bob.window.press("2")
        ann.start()
        ann.expect("Resumed your game as host")
        bob.expect("The other player is back")
        has_stones(ann, 2, 2)
        has_stones(bob, 2, 2)
        for side in (ann, bob):
            side.kill()
        for side in (ann, bob):
            side.start()
            side.expect("Resumed your game as")
        move(ann, bob, "1")
        move(bob, ann, "2")
        ann.window.press("1")
        ann.expect("You won")
        bob.expect("You lost")
        first = until_ended(server, 1)
        assert first["result"] == {"winner": "host", "moves": 7}
        assert first["outcomes"] == {"0": "win", "1": "loss"}
        assert first["end_reason"] == "the host gave a result"
        ann.kill()
        ann.start()
        ann.expect("Resumed your game as host")
        ann.expect("You won")
        # The loser begins, and wins.
        bob.window.press("n")
        bob.expect("Your turn")
        for column in "123":
            move(bob, ann, column)
            move(ann, bob, column)
        bob.window.press("4")
        bob.expect("You won")
        second = until_ended(server, 2)
        assert second["result"] == {"winner": "guest", "moves": 7}
        assert second["outcomes"] == {"0": "loss", "1": "win"}
        bob.window.press("n")
        ann.expect("Your turn")
        move(ann, bob, "7")
        ann.window.press("q")
        ann.expect("code=0")
        third = until_ended(server, 3)
        assert (third["result"], third["end_reason"]) == (None, "abandoned: the host left")
        assert third["outcomes"] == {"0": None, "1": None}
        bob.expect("The host has closed table 'table'.")
        bob.expect("code=47")
        assert list(ann.state.glob("*.json")) == list(bob.state.glob("*.json")) == []


@pytest.mark.thorough
def test_a_key_shows_who_won_even_after_the_process_was_killed(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server, "--http-port", "0", "--data-dir", str(tmp_path / "data"))
    keys = {}
    for name in ("ann", "bob"):
        path = tmp_path / name / "key"
        path.parent.mkdir()
        subprocess.run([sys.executable, "-m", "teleglyph", "keygen", "--no-passphrase", str(path)], check=True)
        # The last 32 bytes of an OpenSSH public key are the key itself.
        keys[name] = base64.b64decode(path.with_suffix(".pub").read_text().split()[1])[-32:].hex()

    def totals(name: str) -> list[int]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{server.http_port}/players/{keys[name]}/games", timeout=10
        ) as answer:
            found = json.load(answer)
        return [found[each] for each in ("games", "wins", "losses", "draws")]

    with terminal(100, 24) as left, terminal(80, 20) as right:
        ann = Side(server, left, tmp_path / "ann", hosts=True, options=f"--key {tmp_path / 'ann' / 'key'}")
        bob = Side(server, right, tmp_path / "bob", hosts=False, options=f"--key {tmp_path / 'bob' / 'key'}")
        ann.start()
        ann.expect("Waiting for someone to join")
        bob.start()
        ann.expect("Your turn")
        for column in "123":
            move(ann, bob, column)
            move(bob, ann, column)
        for side in (bob, ann):
            side.kill()
            side.start()
            side.expect("Resumed your game as")
        ann.expect("Your turn")
        ann.window.press("4")
        ann.expect("You won")
        until_ended(server, 1)
        assert (totals("ann"), totals("bob")) == ([1, 1, 0, 0], [1, 0, 1, 0])
        bob.kill()
        with_key = bob.line
        bob.line = with_key.partition("--key")[0] + "; echo code=$?"
        bob.start()
        bob.expect("Your seat at table 'table' belongs to a key.")
        bob.line = with_key
        bob.start()
        bob.expect("Resumed your game as guest")


@pytest.mark.thorough
def test_an_absent_host_ends_the_game_with_a_message_and_starts_a_new_one_later(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = game_server(start_server, "--http-port", "0", "--room-grace", "3", "--data-dir", str(tmp_path / "data"))
    with two_sides(server, tmp_path) as (ann, bob):
        move(ann, bob, "4")
        ann.kill()
        bob.expect("The other player is away (")
        bob.expect("teleglyph: The host did not return in time. The game at table 'table' is over.")
        bob.expect("code=47")
        assert until_ended(server, 1)["end_reason"] == "the host did not return"
        bob.start()
        bob.expect("There is no table 'table' here.")
        ann.start()
        ann.expect("Your earlier game at this table is over; this is a new one")
        assert stones(ann) == (0, 0)
        bob.start()
        bob.expect("The other player's turn")


@pytest.mark.thorough
def test_an_absent_guest_ends_the_game_with_a_message(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server, "--http-port", "0", "--room-grace", "3", "--data-dir", str(tmp_path / "data"))
    with two_sides(server, tmp_path) as (ann, bob):
        move(ann, bob, "4")
        bob.kill()
        ann.expect("The other player is away (")
        ann.expect("teleglyph: The other player did not return within 3 s. The game at table 'table' is over.")
        ann.expect("code=47")
        ended = until_ended(server, 1)
        assert (ended["result"], ended["end_reason"]) == (None, "abandoned: the guest did not return")
        bob.start()
        bob.expect("Your earlier game at table 'table' is over. There is no table 'table' here.")
        bob.expect("code=47")


@pytest.mark.thorough
def test_a_guest_that_leaves_makes_room_for_another(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server, "--http-port", "0", "--data-dir", str(tmp_path / "data"))
    with two_sides(server, tmp_path) as (ann, bob):
        move(ann, bob, "4")
        bob.window.press("Escape")
        bob.window.press("C-c")
        bob.expect("code=0")
        ann.expect("The other player has left")
        ann.expect("Waiting for someone to join")
        assert stones(ann) == (0, 0)
        ended = until_ended(server, 1)
        assert (ended["end_reason"], ended["outcomes"]) == ("abandoned: the guest left", {"0": None, "1": None})
        bob.start()
        ann.expect("Your turn")


@pytest.mark.thorough
def test_a_closed_terminal_keeps_the_seat_and_escape_does_not_leave(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with two_sides(server, tmp_path) as (ann, bob):
        for side in (ann, bob):
            side.window.press("Escape")
        time.sleep(0.5)
        move(ann, bob, "4")
        move(bob, ann, "4")
        for number in (signal.SIGHUP, signal.SIGTERM):
            os.kill(bob.pid, number)
            bob.expect("Your seat is kept for 30 s. Run the same command again to continue.")
            bob.expect("code=0")
            ann.expect("The other player is away (")
            bob.start()
            bob.expect("Resumed your game as guest")
            ann.expect("The other player is back")
        os.kill(ann.pid, signal.SIGHUP)
        ann.expect("code=0")
        ann.start()
        ann.expect("Resumed your game as host")
        has_stones(ann, 1, 1)


@pytest.mark.thorough
def test_a_second_window_does_not_take_the_seat(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with two_sides(server, tmp_path) as (ann, bob), terminal(100, 20) as window:
        for side in (ann, bob):
            window.begin(side.line)
            words = f"You are already playing at 'table' as {side.role} in another window (process {side.pid})"
            window.wait(lambda screen, words=words: words in screen.replace("\n", ""), "the second one is refused")  # type: ignore[misc]
            window.expect("code=47")
        move(ann, bob, "4")
        stranger = bob.line.replace(str(tmp_path / "bob"), str(tmp_path / "carl"))
        window.begin(stranger)
        window.wait(lambda screen: "Table 'table' already has two players." in screen, "a third is told why")
        window.begin(ann.line.replace(str(tmp_path / "ann"), str(tmp_path / "carl")))
        window.wait(lambda screen: "Someone already hosts 'table'. Join it without --host" in screen, "so is a host")


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)])
def test_a_game_continues_when_the_server_restarts(
    start_server: StartServer, tmp_path: Path, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = game_server(start_server, "--http-port", str(port))
    with two_sides(server, tmp_path) as (ann, bob):
        move(ann, bob, "4")
        server.process.send_signal(number)
        server.process.wait(20)
        for side in (ann, bob):
            side.expect("s left)")
        game_server(start_server, "--http-port", str(port))
        ann.expect("The table is open again")
        bob.expect("The table is open again")
        bob.expect("Your turn")
        has_stones(bob, 1, 0)
        move(bob, ann, "4")
        has_stones(ann, 1, 1)


def test_an_absent_server_ends_the_game_with_a_message(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with two_sides(server, tmp_path, "--wait 2") as (ann, bob):
        server.process.send_signal(signal.SIGTERM)
        for side in (ann, bob):
            side.expect("The server is shutting down. The game at table 'table' is over.")
            side.expect("code=47")


def test_ctrl_z_restores_the_shell_and_fg_resumes_the_game(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with terminal(100, 24) as left, terminal(80, 20) as right:
        # With nothing after it, so that the shell stops and continues exactly this command.
        ann = Side(server, left, tmp_path / "ann", hosts=True)
        left.type("exec bash --norc -i")
        left.type(ann.line.removesuffix("; echo code=$?"))
        ann.expect("Waiting for someone to join")
        bob = Side(server, right, tmp_path / "bob", hosts=False)
        bob.start()
        ann.expect("Your turn")
        left.press("C-z")
        ann.expect("Stopped")
        assert left.mode("alternate_on", "cursor_flag") == ["0", "1"]
        left.type("fg")
        ann.expect("Your turn")
        move(ann, bob, "4")
        left.resize(20, 9)
        bob.window.press("5")
        left.wait(lambda screen: "○" in screen and "Your turn" in screen, "it fits into a small window")
        assert stones(ann) == (1, 1)
        left.resize(9, 8)
        left.wait(lambda screen: "\n ···●○··\n" in screen, "it fits into the middle of a tiny one")
        left.press("C-c")
        left.resize(100, 24)
        bob.expect("code=47")


def test_ascii_terminals_see_ascii(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with terminal(70, 20, "LC_ALL=C NO_COLOR=1") as window:
        side = Side(server, window, tmp_path / "ann", hosts=True)
        side.line = side.line.replace("table", "größe")
        side.start()
        side.expect("Waiting for someone to join | You are X")
        assert window.screen.isascii()


@pytest.mark.parametrize("term", ["dumb", "", "paper"])
def test_a_terminal_without_a_cursor_gets_an_error(term: str, tmp_path: Path) -> None:
    (tmp_path / "paper.ti").write_text(
        "paper|a terminal that prints,\n\tam, cols#80, bel=^G, cr=\\r, cud1=\\n, ind=\\n,\n"
    )
    subprocess.run(["tic", "-o", str(tmp_path / "terminfo"), str(tmp_path / "paper.ti")], check=True)
    with terminal(100, 20) as window:
        where = f"XDG_STATE_HOME={tmp_path} TERMINFO={tmp_path / 'terminfo'} TERM={term}"
        window.type(f"{where} {sys.executable} -m teleglyph play table; echo code=$?")
        window.expect("code=25")
        said = window.screen.replace("\n", "").partition("teleglyph: ")[2]
        assert "cursor" in said
        assert f"TERM={term}" in said or (not term and "TERM is not set" in said)


@pytest.mark.thorough
def test_a_game_survives_kills_at_random_moments(start_server: StartServer, tmp_path: Path) -> None:
    server = game_server(start_server)
    with two_sides(server, tmp_path) as (ann, bob):
        for placed in range(5):
            mover = (ann, bob)[placed % 2]
            victims = random.choice([[ann], [bob], [ann, bob], [bob, ann]])
            column = str(placed + 1)
            mover.window.press(column)
            time.sleep(random.uniform(0, 0.15))
            for victim in victims:
                victim.kill()
            for victim in victims:
                victim.start()
                victim.expect("Resumed your game as")
            if len(victims) == 1:
                # A late board must not count as agreement.
                (ann if victims == [bob] else bob).expect("The other player is back")
            time.sleep(0.5)
            wait_for(lambda: stones(ann) == stones(bob), "both see the same", lambda: ann.screen + bob.screen)
            # Either the move was made, or it was lost together with its player.
            assert sum(stones(ann)) in (placed, placed + 1)
            if sum(stones(ann)) == placed:
                mover.window.press(column)
            for side in (ann, bob):
                has_stones(side, placed // 2 + 1, (placed + 1) // 2)


# --- killed at any moment ---------------------------------------------------------------------------------------------

_SITS_DOWN = """
import asyncio, os, signal, sys
from pathlib import Path
from teleglyph.client.play import saved_seats
from teleglyph.client.play.seating import Seating
from teleglyph.client.play.table_address import TableAddress
from websockets.asyncio.client import ClientConnection

url, directory, role, moment = sys.argv[1:]
passed = 0

def pass_by():
    global passed
    passed += 1
    if passed == int(moment):
        os.kill(os.getpid(), signal.SIGKILL)

def around(kind, name):
    original = getattr(kind, name)
    if asyncio.iscoroutinefunction(original):
        async def wrapped(*args, **kwargs):
            pass_by()
            result = await original(*args, **kwargs)
            pass_by()
            return result
    else:
        def wrapped(*args, **kwargs):
            pass_by()
            result = original(*args, **kwargs)
            pass_by()
            return result
    setattr(kind, name, wrapped)

around(os, "fsync")
around(os, "replace")
around(ClientConnection, "send")
around(ClientConnection, "recv")

async def main():
    file = saved_seats.SeatFile(Path(directory), url, "four", "table", role)
    file.open()
    seating = Seating(TableAddress(url, "four", "table", role == "host"), file, 5.0)
    seat = await seating.take_seat()
    print(seat.player, seating.is_resumed, passed, flush=True)
    if role == "guest":
        # Nothing is lost on the way: a kill that follows at once is one after the confirmation.
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


ONE_KILL = [[moment] for low in range(1, 9) for moment in (low, low + 8)]
MORE_KILLS = [
    *([16, second] for second in range(1, 13)),
    *([random.randint(8, 16), random.randint(1, 12), random.randint(1, 12)] for _ in range(4)),
]


@pytest.mark.parametrize("role", ["host", "guest"])
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(ONE_KILL, id="once"),
        pytest.param([*ONE_KILL[12:], *MORE_KILLS], id="repeatedly", marks=pytest.mark.thorough),
    ],
)
def test_a_process_killed_at_any_moment_of_joining_leaves_a_working_token(
    start_server: StartServer, tmp_path: Path, role: str, kills: list[list[int]]
) -> None:
    def play_through(url: str, number: int, moments: list[int]) -> None:
        """Each number has its own table; the second place is the only one for guests."""
        script = _SITS_DOWN.replace('"table"', f'"table {number}"')
        for moment in [*moments, 0]:
            done = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    script,
                    url,
                    str(tmp_path / url[5:].replace("/", " ") / str(number)),
                    role,
                    str(moment),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == -signal.SIGKILL, (moments, moment, done.stderr)
        player, is_resumed, _ = done.stdout.split()
        assert player == ("0" if role == "host" else "1"), moments
        # The first seven moments come before the join request is sent.
        assert is_resumed == "True" or moments[0] <= 7, moments

    async def with_hosts(plans: list[list[int]]) -> None:
        url = f"ws://127.0.0.1:{game_server(start_server).http_port}/rooms"
        async with contextlib.AsyncExitStack() as stack:
            for number, plan in enumerate(plans):
                if role == "guest":
                    await stack.enter_async_context(Host(url, "four", f"table {number}"))
                await asyncio.to_thread(play_through, url, number, plan)

    # Tokens without a seat count as guesses of the address: two for each server.
    for start in range(0, len(kills), 4):
        asyncio.run(with_hosts(kills[start : start + 4]))


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_server_without_the_game_or_without_rooms_is_explained(start_server: StartServer, tmp_path: Path) -> None:
    chess = start_server("--http", "--http-port", "0", "--game", "chess")
    nothing = start_server("--http", "--http-port", "0")
    with terminal(100, 24) as window:
        for server, words in (
            (chess, "does not offer the game 'four'. Start it with '--game four:2'"),
            (nothing, "--game"),
        ):
            server.wait_for_log("HTTP on port")
            side = Side(server, window, tmp_path, hosts=True)
            side.start()
            side.expect("code=47")
            side.expect(words)
            side.leaves_no_traceback()


@pytest.mark.parametrize("name", ["", "a\x1b[2Jb", "two\nlines", "n" * 129, "ü" * 65, b"\xff\xfe"])
def test_invalid_names_are_refused_before_anything_is_sent(name: str | bytes, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "teleglyph", "play", name],
        capture_output=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"use 1 to 128 bytes of printable characters." in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- hostile relays ---------------------------------------------------------------------------------------------------

_EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mgo away\u202e\n\rteleglyph: all is well"


@contextlib.contextmanager
def hostile_relay(speak: Callable[[ServerConnection], None]) -> Iterator[int]:
    def handle(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.recv(10)
            speak(connection)

    with serve(handle, "127.0.0.1", 0) as relay:
        thread = threading.Thread(target=relay.serve_forever)
        thread.start()
        try:
            yield relay.socket.getsockname()[1]
        finally:
            relay.shutdown()
            thread.join()


_REPLY = b"\x06\x00\x01\x00\x00" + bytes(8)


@pytest.mark.parametrize(
    "messages",
    [
        [b"\x05" + _EVIL.encode()],
        [_REPLY, b"\x05" + _EVIL.encode()],
        [_REPLY, b"\x03" + _EVIL.encode(), b"\x02", b"\x0c", b"\xff" * 70_000, b"\x05\xff\xfe"],
        [b"\x06\x00"],
        [b""],
        ["text"],
        [_REPLY + b"x"],
    ],
)
def test_a_hostile_relay_cannot_steer_the_terminal(messages: list[bytes | str], tmp_path: Path) -> None:
    def speak(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
            time.sleep(0.2)
        with contextlib.suppress(TimeoutError):
            connection.recv(2)

    with hostile_relay(speak) as port, terminal(100, 24) as window:
        window.type(
            f"XDG_STATE_HOME={tmp_path} {sys.executable} -m teleglyph play table --server 127.0.0.1:{port} --wait 1 "
            f"2>{tmp_path}/err; echo code=$?"
        )
        window.wait(lambda screen: "code=4" in screen, "it ends")
        said = (tmp_path / "err").read_text()
        assert said.startswith("teleglyph: ")
        assert said.count("\n") == 1
        assert not set(said) & set("\x1b\x9b\x07\r\u202e")
        assert "Traceback" not in said
        assert "owned" not in window.tmux("display-message", "-p", "#{pane_title}")
