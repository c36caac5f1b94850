"""Whole commands in terminals that are slow, plain, or not what they claim to be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerProcess
from pseudo_terminal import PseudoTerminal

COMMAND = [sys.executable, "-m", "teleglyph"]
MIRROR = ("mirror", "--pattern", "bars")
StartServer = Callable[..., ServerProcess]


class Program:
    """A command in its own terminal."""

    def __init__(self, home: Path, *arguments: str, answers: tuple[bytes, ...] = (), **environment: str) -> None:
        self._answers = list(answers)
        self.terminal = PseudoTerminal(100, 30, answer=self._answer)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "INSIDE_"))}
        kept.pop("TERM", None)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=self.terminal.fd,
            stdout=self.terminal.fd,
            stderr=self.terminal.fd,
            env={
                **kept,
                "XDG_CONFIG_HOME": str(home),
                "XDG_STATE_HOME": str(home),
                "PYTHONFAULTHANDLER": "1",
                **environment,
            },
            start_new_session=True,
        )

    def _answer(self, written: bytes) -> bytes:
        return self._answers.pop(0) if self._answers and b"\x1b[c" in written else b""

    @property
    def status(self) -> str:
        """The status line."""
        return self.terminal.rows[-1]

    def type(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Type pieces with pauses between them."""
        for piece in pieces:
            self.terminal.type(piece)
            time.sleep(pause)

    def end(self) -> tuple[int, str]:
        """Wait until the command ends; return its exit code and its output."""
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            # It prints the stacks of its threads.
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(10)
            time.sleep(0.1)
            pytest.fail(self.terminal.written[-4000:].decode(errors="replace"))
        time.sleep(0.1)
        return code, self.terminal.written.decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self.terminal.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(*arguments: str, **options: Any) -> Program:
        programs.append(Program(tmp_path, *arguments, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


CUT = [
    (b"\x1b", b"[A"),
    (b"\x1b", b"[", b"A"),
    (b"\x1bO", b"C"),
    (b"\x1b[?6", b"2;22c"),
    (b"\x1bP>|XTerm(3", b"79)\x1b", b"\\"),
    (b"\x1b", b"P1$r48:2:1:2", b":3m\x1b", b"\\"),
    (b"\x1b[?2026", b";2", b"$y"),
    (b"\x1b]11;rgb:cccc/cc", b"cc/cccc\x07"),
    (b"\x1b[<35;1", b"0;10M"),
    (b"\x1b[200~ccc", b"q\x1b[2", b"01~"),
]


def test_split_escape_sequences_do_not_act_as_keys(start: Callable[..., Program]) -> None:
    program = start(*MIRROR, TERM="xterm-256color", LC_ALL="C.UTF-8")
    program.terminal.wait_for(lambda: "256 colours, quadrant" in program.status)
    for pieces in CUT:
        program.type(*pieces, pause=0.12)
    program.type(b"\x1b")
    time.sleep(0.7)
    # For a moment the status line says that the cursor keys do nothing here.
    program.terminal.wait_for(lambda: "quadrant" in program.status)
    assert "256 colours, quadrant" in program.status
    program.type(b"c")
    program.terminal.wait_for(lambda: "truecolor" in program.status)
    program.type(b"q")
    assert program.end()[0] == 0


def test_escape_closes_the_help_and_nothing_else(start: Callable[..., Program]) -> None:
    program = start(*MIRROR, TERM="xterm-256color")
    program.terminal.wait_for(lambda: "256 colours" in program.status)
    program.type(b"?")
    program.terminal.wait_for(lambda: any("render mode" in row for row in program.terminal.rows))
    program.type(b"\x1b")
    program.terminal.wait_for(lambda: not any("render mode" in row for row in program.terminal.rows))
    program.type(b"\x1b")
    time.sleep(0.7)
    assert program.process.poll() is None
    program.type(b"q")
    assert program.end()[0] == 0


def test_escape_does_not_leave_a_call(start: Callable[..., Program], start_server: StartServer) -> None:
    server = start_server()
    program = start(
        "client", f"127.0.0.1:{server.port}", "--no-audio", "--no-video", "--accept-new-server", TERM="xterm-256color"
    )
    program.terminal.wait_for(lambda: "in the call" in program.status)
    program.type(b"\x1b")
    time.sleep(0.7)
    program.type(b"\x1b", b"[A", pause=0.2)
    assert program.process.poll() is None
    program.type(b"q")
    assert program.end()[0] == 0


def test_a_key_typed_before_the_screen_is_drawn_counts(start: Callable[..., Program]) -> None:
    program = start(*MIRROR, TERM="xterm-256color", answers=(b"q\x1b[?62;22c",))
    assert program.end()[0] == 0


@pytest.mark.parametrize("command", [MIRROR, ("client", "127.0.0.1:9"), ("demo",), ("play", "chess")])
@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "INSIDE_EMACS": "29.1,comint"}])
def test_a_terminal_without_a_cursor_gets_one_sentence(
    start: Callable[..., Program], command: tuple[str, ...], environment: dict[str, str]
) -> None:
    code, written = start(*command, **environment).end()
    assert code == 25
    assert "\x1b" not in written
    assert written.startswith("teleglyph: This terminal (")
    assert written.count("\n") == 1
    assert ("--snapshot" in written) == (command[0] != "play")


def test_a_terminal_without_a_cursor_gets_a_picture_as_text(start: Callable[..., Program]) -> None:
    code, written = start(*MIRROR, "--snapshot", "--snapshot-delay", "0", TERM="dumb").end()
    assert code == 0
    assert "\x1b" not in written
    assert written.isascii()
    assert len(written.split()) > 20


@pytest.mark.parametrize(
    ("environment", "is_ascii"),
    [({"LANG": "C"}, True), ({}, True), ({"LC_ALL": "C.UTF-8"}, False), ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False)],
)
def test_drawing_uses_the_users_character_set(
    start: Callable[..., Program], environment: dict[str, str], is_ascii: bool
) -> None:
    program = start(*MIRROR, TERM="xterm-256color", **environment)
    program.terminal.wait_for(lambda: "256 colours" in program.status)
    program.type(b"q")
    code, written = program.end()
    assert code == 0
    assert written.isascii() is is_ascii


def test_a_family_emoji_in_a_name_stays_whole_and_takes_two_columns(
    start: Callable[..., Program], start_server: StartServer
) -> None:
    server = start_server()
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}"
    join = ("client", f"127.0.0.1:{server.port}", "--no-audio", "--accept-new-server")
    start(*join, "--no-video", "--name", "Bo", TERM="xterm-256color")
    program = start(*join, "--pattern", "bars", "--name", f"{family} Al", TERM="xterm-256color", LC_ALL="C.UTF-8")
    program.terminal.wait_for(lambda: any(re.search(r"\d \N{MAN} ?Al", row) for row in program.terminal.rows))
    program.type(b"q")
    assert program.end()[0] == 0
    server.wait_for_log(family)
