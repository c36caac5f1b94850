"""Two people play in two terminals, and the client library rejoins after lost connections."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ServerProcess
from teleglyph.errors import ConnectError, SeatEndedError, SeatRefusedError
from teleglyph.rooms.client import Away, Call, Change, Guest, Host, PlayerCame, PlayerLeft, Returned, State
from terminal import terminal

pytestmark = pytest.mark.usefixtures("own_state")
StartServer = Callable[..., ServerProcess]


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seats are saved in the test's own directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def game_server(start_server: StartServer) -> ServerProcess:
    server = start_server("--http", "--http-port", "0", "--game", "four:2")
    server.wait_for_log("HTTP on port")
    return server


def test_two_terminals_play_to_the_end(start_server: StartServer) -> None:
    server = game_server(start_server)
    play = f"{sys.executable} -m teleglyph play table --server 127.0.0.1:{server.http_port}"
    with terminal(90, 24) as ann, terminal(60, 20) as bob:
        ann.type(f"{play} --host; echo code=$?")
        ann.expect("Waiting for someone to join")
        bob.type(f"{play}; echo code=$?")
        bob.expect("The other player's turn")
        ann.expect("Your turn")
        for column in "123":
            ann.press(column)
            bob.wait(lambda screen: "Your turn" in screen, "it is bob's turn")
            bob.press(column)
            ann.wait(lambda screen: "Your turn" in screen, "it is ann's turn")
        ann.press("4")
        ann.expect("You won")
        bob.expect("You lost")
        # One more is in the status line, which names the player's own stones.
        assert (ann.screen.count("●"), bob.screen.count("●")) == (5, 4)
        assert (ann.screen.count("○"), bob.screen.count("○")) == (3, 4)
        bob.press("n")
        bob.expect("Your turn")
        bob.press("Right", "Right", "Right", "Space")
        ann.wait(lambda screen: "Your turn" in screen and screen.count("○") == 1, "bob's stone is there")
        ann.press("q")
        ann.expect("code=0")
        bob.expect("teleglyph: The host has closed table 'table'.")
        bob.expect("code=47")
        assert "●" not in bob.screen


def test_a_player_can_leave_a_game_whose_server_stopped(start_server: StartServer) -> None:
    server = game_server(start_server)
    play = f"{sys.executable} -m teleglyph play table --server 127.0.0.1:{server.http_port}"
    with terminal(90, 24) as ann, terminal(90, 24) as bob:
        ann.type(f"{play} --host; echo code=$?")
        ann.expect("Waiting for someone to join")
        bob.type(f"{play} --wait 1; echo code=$?")
        ann.expect("Your turn")
        server.process.kill()
        server.process.wait()
        ann.expect("Connection lost, reconnecting (")
        ann.press("q")
        ann.expect("code=0")
        bob.expect("Nobody listens on")
        bob.expect("code=40")
        for window in (ann, bob):
            assert "Traceback" not in window.screen


def test_errors_are_one_sentence(start_server: StartServer) -> None:
    server = game_server(start_server)
    play = f"{sys.executable} -m teleglyph play"
    with terminal(100, 24) as window:
        window.type(f"{play} nobody --server 127.0.0.1:{server.http_port}; echo code=$?")
        window.expect("teleglyph: There is no table 'nobody' here.")
        window.expect("code=47")
        window.type(f"{play} r --server 127.0.0.1:1; echo next=$?")
        window.expect("Nobody listens on 127.0.0.1:1")
        window.expect("next=42")
    done = subprocess.run([*play.split(), "r"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (
        25,
        "teleglyph: A game needs a terminal. Run it without redirecting its input or output.\n",
    )


class Wire:
    """A path to the server that can be cut and repaired."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        # Their ends are noticed one step of the event loop later, and closed after another step.
        for _ in range(5):
            await asyncio.sleep(0.01)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ends = {writer, far_writer}
        self._writers |= ends

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()

        copies = {asyncio.create_task(copy(reader, far_writer)), asyncio.create_task(copy(far_reader, writer))}
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in copies:
                task.cancel()
            for end in ends:
                end.transport.abort()


def test_host_and_guest_rejoin_by_themselves(start_server: StartServer) -> None:
    server = game_server(start_server)

    async def run() -> None:
        host_wire, guest_wire = Wire(server.http_port), Wire(server.http_port)
        await host_wire.mend()
        await guest_wire.mend()
        at = "ws://127.0.0.1:{}/rooms"
        async with (
            Host(at.format(host_wire.port), "four", "r", 7) as host,
            Guest(at.format(guest_wire.port), "four", "r") as guest,
        ):
            assert (host.player, guest.player, guest.variation) == (0, 1, 7)
            at_host, at_guest = aiter(host), aiter(guest)

            async def next_of(events: object, kind: type) -> object:
                async with asyncio.timeout(15):
                    while not isinstance(event := await anext(events), kind):  # type: ignore[call-overload]
                        pass
                return event

            assert await next_of(at_host, PlayerCame) == PlayerCame(1)
            await host.send_state(b"one")
            assert await next_of(at_guest, State) == State(b"one")
            await host.send_change(b"two")
            assert await next_of(at_guest, Change) == Change(b"two")

            await host_wire.cut()
            assert isinstance(await next_of(at_host, Away), Away)
            await guest.call(b"while you were away")
            await host_wire.mend()
            assert await next_of(at_host, Returned) == Returned()
            assert await next_of(at_host, PlayerCame) == PlayerCame(1)
            assert await next_of(at_host, Call) == Call(1, b"while you were away")
            await host.send_state(b"three")
            assert await next_of(at_guest, State) == State(b"three")

            await guest_wire.cut()
            await next_of(at_guest, Away)
            assert await next_of(at_host, PlayerLeft) == PlayerLeft(1)
            await guest_wire.mend()
            await next_of(at_guest, Returned)
            assert guest.player == 1
            assert await next_of(at_host, PlayerCame) == PlayerCame(1)
            await host.kick(1)
            with pytest.raises(SeatEndedError, match="rejected"):
                await next_of(at_guest, State)
        await host_wire.cut()
        await guest_wire.cut()

    asyncio.run(run())


def test_a_refused_or_unreachable_seat_is_an_error_at_once(start_server: StartServer) -> None:
    server = game_server(start_server)
    none = start_server("--http", "--http-port", "0")
    none.wait_for_log("HTTP on port")

    async def enter(url: str) -> None:
        async with Guest(url, "four", "r"):
            pass

    for url, kind, words in (
        (f"ws://127.0.0.1:{server.http_port}/rooms", SeatRefusedError, "does not exist"),
        (f"ws://127.0.0.1:{none.http_port}/rooms", SeatRefusedError, "start it with --game"),
        ("ws://127.0.0.1:1/rooms", ConnectError, "Nobody listens on 127.0.0.1:1"),
        ("http:nonsense", ConnectError, "not the address of a server"),
    ):
        with pytest.raises(kind, match=words):
            asyncio.run(enter(url))
