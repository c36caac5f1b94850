"""Our client with a server that behaves like ascii-chat's C program: in a terminal, with a pipe, and for a snapshot."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from c_server import CServer, Draw, half_blocks, hostile, shades
from pseudo_terminal import PseudoTerminal
from teleglyph.wire.acip import ErrorMessage, encode

COLUMNS, ROWS = 60, 12
SIZE = ["-x", str(COLUMNS), "-y", str(ROWS)]
COLORED = ["--color-mode", "truecolor", "--render-mode", "half-block", "--utf8", "true"]
PLAIN = ["--color-mode", "none", "--render-mode", "half-block", "--utf8", "true"]


Check = Callable[[list[str]], bool]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def command(server: CServer, *options: str) -> list[str]:
    address = f"127.0.0.1:{server.port}"
    return [
        sys.executable,
        "-m",
        "teleglyph",
        "client",
        address,
        "--no-video",
        "--no-audio",
        "--accept-new-server",
        *options,
    ]


def snapshot(server: CServer, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = command(server, "--snapshot", "-D", "0", *SIZE, *options)
    return subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


class Pipe:
    """A client that writes its frames into a pipe."""

    def __init__(self, server: CServer, *options: str) -> None:
        self.process = subprocess.Popen(
            command(server, *SIZE, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.log = b""
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line

    def wait_for_log(self, words: bytes) -> None:
        deadline = time.monotonic() + 30
        while words not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def close(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._reader.join(10)
        self.output.close()
        assert self.process.stderr is not None
        self.process.stderr.close()
        assert b"Traceback" not in self.log, self.log
        return code


@contextlib.contextmanager
def pipe(server: CServer, *options: str) -> Iterator[Pipe]:
    client = Pipe(server, *options)
    try:
        yield client
    finally:
        assert client.close() == 0, client.log


class ClientTerminal(PseudoTerminal):
    """A terminal one row higher than the picture, and the client that runs in it."""

    client: subprocess.Popen[bytes]


@contextlib.contextmanager
def on_terminal(server: CServer, *options: str) -> Iterator[ClientTerminal]:
    """A client in a terminal."""
    terminal = ClientTerminal(COLUMNS, ROWS + 1)
    client = terminal.client = subprocess.Popen(
        command(server, *options),
        stdin=terminal.fd,
        stdout=terminal.fd,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
    )
    try:
        yield terminal
        terminal.type(b"q")
        assert client.wait(20) == 0
    finally:
        client.kill()
        client.wait()
        assert client.stderr is not None
        log = client.stderr.read()
        client.stderr.close()
        terminal.close()
    assert b"Traceback" not in log, log


def is_half_block_picture(rows: list[str], columns: int = COLUMNS, height: int = ROWS) -> bool:
    """Whether these are the rows of half_blocks(): the last of the padding, then the numbered ones."""
    picture = [f"{row:02d}{'▀' * (columns - 2)}" for row in range(height - 1)]
    return rows[:height] == ["", *picture]


def is_shade_picture(rows: list[str]) -> bool:
    """Whether these are the rows of shades(), the last of them cut."""
    picture = [f"{row:02d}{'░' * (COLUMNS - 2)}" for row in range(ROWS - 1)]
    return rows[:ROWS] == [*picture, f"{ROWS - 1:02d}{'█' * (COLUMNS - 2)}"]


CASES = pytest.mark.parametrize(
    ("draw", "options", "is_picture"),
    [(half_blocks, COLORED, is_half_block_picture), (shades, PLAIN, is_shade_picture)],
    ids=["half-blocks in colour", "shades without colour"],
)


def bare(text: str) -> list[str]:
    """The rows of a frame without its colours; fails if it holds anything else but characters."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    return text.split("\n")


# --- frames with repetitions and surplus rows -------------------------------------------------------------------------


@CASES
def test_its_frames_fill_the_terminal(draw: Draw, options: list[str], is_picture: Check) -> None:
    with CServer(draw) as server, on_terminal(server, *options) as terminal:
        terminal.wait_for(lambda: is_picture(terminal.rows))
        assert server.sizes[-1] == (COLUMNS, ROWS)
        if draw is half_blocks:
            left, right = terminal.screen.buffer[5][10], terminal.screen.buffer[5][COLUMNS - 1]
            assert (left.fg, left.bg, right.fg, right.bg) == ("c80401", "010203", "090909", "010203")
        # What stays the same is not written 57 times per second.
        before = len(terminal.written)
        time.sleep(1.0)
        assert len(terminal.written) - before < 10 * len(draw(COLUMNS, ROWS))


@pytest.mark.thorough
@CASES
def test_its_frames_go_through_a_pipe_one_after_the_other(draw: Draw, options: list[str], is_picture: Check) -> None:
    with CServer(draw) as server, pipe(server, *options) as client:
        for _ in range(5):
            rows = bare("".join(client.output.readline().decode() for _ in range(ROWS)))
            assert is_picture(rows), rows


@pytest.mark.thorough
@CASES
def test_a_snapshot_prints_one_of_its_frames(draw: Draw, options: list[str], is_picture: Check) -> None:
    with CServer(draw) as server:
        done = snapshot(server, *options)
    assert done.returncode == 0, done.stderr
    rows = bare(done.stdout)
    assert is_picture(rows), rows
    assert rows[ROWS:] == [""]


def test_a_window_that_changes_its_size_gets_frames_that_fit() -> None:
    with CServer(half_blocks) as server, on_terminal(server, *COLORED) as terminal:
        terminal.wait_for(lambda: is_half_block_picture(terminal.rows))
        for columns, rows in ((30, 8), (80, 20)):
            terminal.resize(columns, rows + 1)
            terminal.client.send_signal(signal.SIGWINCH)
            terminal.wait_for(lambda size=(columns, rows): is_half_block_picture(terminal.rows, *size))  # type: ignore[misc]


# --- frames that cannot be shown --------------------------------------------------------------------------------------

SENTENCE = "The server's frames cannot be shown: they contain the escape sequence ESC ]."


def has_notice(rows: list[str]) -> bool:
    """Whether the terminal shows the notice, in two lines of a box."""
    head, reason = SENTENCE.split(": ")
    return any(f"  {head}:" in row and f"  {reason}" in below for row, below in itertools.pairwise(rows))


def test_the_terminal_shows_a_notice_while_frames_cannot_be_shown() -> None:
    with CServer(hostile) as server, on_terminal(server, *COLORED) as terminal:
        terminal.wait_for(lambda: has_notice(terminal.rows))
        assert b"gotcha" not in terminal.written
        server.draw = half_blocks
        terminal.wait_for(lambda: is_half_block_picture(terminal.rows))
        server.draw = hostile
        terminal.wait_for(lambda: has_notice(terminal.rows))
        server.draw = half_blocks
        terminal.wait_for(lambda: is_half_block_picture(terminal.rows))
        assert b"gotcha" not in terminal.written


def test_a_single_bad_frame_shows_no_notice() -> None:
    count = 0

    def draw(columns: int, rows: int) -> bytes:
        nonlocal count
        count += 1
        return hostile(columns, rows) if count % 10 == 1 else half_blocks(columns, rows)

    with CServer(draw) as server, on_terminal(server, *COLORED) as terminal:
        terminal.wait_for(lambda: count > 150)
        assert is_half_block_picture(terminal.rows)
        assert SENTENCE[:30].encode() not in terminal.written


@pytest.mark.thorough
def test_with_a_pipe_bad_frames_are_logged_and_not_written() -> None:
    with CServer(hostile) as server, pipe(server, *COLORED) as client:
        client.wait_for_log(SENTENCE.encode())
        time.sleep(2.5)
        server.draw = half_blocks
        rows = bare("".join(client.output.readline().decode() for _ in range(ROWS)))
        assert is_half_block_picture(rows)
        assert client.log.count(SENTENCE.encode()) == 1


def test_a_snapshot_of_bad_frames_fails_with_one_sentence() -> None:
    with CServer(hostile) as server:
        done = snapshot(server, *COLORED)
    assert (done.returncode, done.stdout) == (44, "")
    assert done.stderr == f"teleglyph: {SENTENCE}\n"


def test_damaged_frames_are_reported_as_damaged() -> None:
    with CServer(lambda _columns, _rows: b"a\0b") as server:
        done = snapshot(server, *COLORED)
    assert (done.returncode, done.stdout) == (44, "")
    assert "they arrive damaged (its text contains NUL)." in done.stderr


# --- connections that are reset before a byte -------------------------------------------------------------------------


@pytest.mark.thorough
def test_joining_just_after_somebody_left_is_retried_quietly() -> None:
    with CServer(half_blocks, resets=3) as server:
        done = snapshot(server, *COLORED)
        assert (done.returncode, done.stderr) == (0, "")
        assert is_half_block_picture(bare(done.stdout))
        assert (server.accepted, server.joined) == (4, 1)
        server.resets = 3
        with pipe(server, *COLORED) as client:
            assert is_half_block_picture(bare("".join(client.output.readline().decode() for _ in range(ROWS))))
        server.resets = 3
        with on_terminal(server, *COLORED) as terminal:
            terminal.wait_for(lambda: is_half_block_picture(terminal.rows))
        assert (server.accepted, server.joined) == (12, 3)


@pytest.mark.thorough
def test_a_disconnected_client_rejoins_despite_resets() -> None:
    with CServer(half_blocks) as server, on_terminal(server, *COLORED) as terminal:
        terminal.wait_for(lambda: is_half_block_picture(terminal.rows))
        server.resets = 3
        server.drop()
        terminal.wait_for(lambda: server.joined == 2 and is_half_block_picture(terminal.rows))


@pytest.mark.thorough
def test_a_server_that_resets_every_connection_is_given_up_with_likely_reasons() -> None:
    with CServer(half_blocks, resets=-1) as server:
        done = snapshot(server, *COLORED)
        assert 4 <= server.accepted <= 8
    assert (done.returncode, done.stdout) == (46, "")
    (line,) = done.stderr.splitlines()
    assert "closes every connection without a response. It may" in line
    assert "or another service may be listening on this port. Check the address" in line


def test_a_server_that_says_it_is_full_is_not_retried() -> None:
    count = 0

    def refuse(listener: socket.socket) -> None:
        nonlocal count
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                count += 1
                with client:
                    client.recv(1000)
                    client.sendall(encode(ErrorMessage(46, "Wait 30 s.")))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        done = subprocess.run(
            [sys.executable, "-m", "teleglyph", "client", f"127.0.0.1:{listener.getsockname()[1]}", "--snapshot"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        listener.shutdown(socket.SHUT_RDWR)
    # Our client tries TLS first, and takes any other answer for a server without it.
    assert (done.returncode, count) == (46, 2), done.stderr
    assert "Wait 30 s." in done.stderr


def test_the_user_can_leave_during_retries() -> None:
    with CServer(half_blocks, resets=-1) as server:
        client = Pipe(server, *COLORED)
        deadline = time.monotonic() + 20
        while server.accepted < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert client.close() == 0
        assert server.accepted < 6
