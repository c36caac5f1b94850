"""The detected abilities of terminals."""

import os
import select
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable

import pytest

from pseudo_terminal import PseudoTerminal
from teleglyph.client.terminal.capabilities import PIECE_SECONDS, Terminal, detect, terminal_size
from teleglyph.client.terminal.key_parser import KeyParser
from teleglyph.errors import TerminalError
from teleglyph.media.modes import ColorLevel

ATTRIBUTES = b"\x1b[?62;22c"


def looked_at(answer: Callable[[bytes], bytes], **environment: str) -> tuple[Terminal, bytes]:
    """The detected capabilities of a pseudo terminal with these answers, and the queries."""
    terminal = PseudoTerminal(answer=answer)
    before = termios.tcgetattr(terminal.fd)
    try:
        found = detect(environment, input_fd=terminal.fd, output_fd=terminal.fd)
        assert termios.tcgetattr(terminal.fd) == before
        return found, terminal.written
    finally:
        terminal.close()


def silent(_written: bytes) -> bytes:
    return b""


def answering(*answers: bytes) -> Callable[[bytes], bytes]:
    """A terminal that answers all queries at once, the primary attributes last."""
    done = False

    def answer(written: bytes) -> bytes:
        nonlocal done
        if done or not written.endswith(b"\x1b[c"):
            return b""
        done = True
        return b"".join(answers) + ATTRIBUTES

    return answer


@pytest.mark.parametrize(
    ("environment", "color"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, ColorLevel.TRUECOLOR),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit"}, ColorLevel.TRUECOLOR),
        ({"TERM": "xterm-kitty"}, ColorLevel.TRUECOLOR),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ColorLevel.TRUECOLOR),
        ({"TERM": "xterm-256color"}, ColorLevel.ANSI256),
        ({"TERM": "linux"}, ColorLevel.ANSI16),
        ({"TERM": "vt100"}, ColorLevel.NONE),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, ColorLevel.NONE),
        ({}, ColorLevel.NONE),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, ColorLevel.NONE),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, ColorLevel.ANSI256),
        ({"TERM": "no-such-terminal-256color"}, ColorLevel.ANSI256),
    ],
)
def test_colours_follow_the_environment_and_terminfo(environment: dict[str, str], color: ColorLevel) -> None:
    # A process reads terminfo once, so every case gets one of its own.
    code = (
        "from teleglyph.client.terminal.capabilities import color_from_environment;"
        f"print(int(color_from_environment({environment!r}, 1, interactive=True)[0]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(int(color)), done.stderr


@pytest.mark.parametrize("reply", [b"48:2:1:2:3", b"0;48;2;1;2;3", b"48:2::1:2:3"])
def test_a_terminal_that_confirms_a_direct_colour_has_truecolor(reply: bytes) -> None:
    found, _ = looked_at(answering(b"\x1bP1$r" + reply + b"m\x1b\\"), TERM="xterm-256color")
    assert found.color is ColorLevel.TRUECOLOR
    assert found.color_source == "the terminal's answer"


@pytest.mark.parametrize("reply", [b"\x1bP1$r48:5:16m\x1b\\", b"\x1bP0$r\x1b\\", b""])
def test_an_answer_with_a_similar_colour_counts_as_well(reply: bytes) -> None:
    assert looked_at(answering(reply), TERM="xterm-256color")[0].color is ColorLevel.ANSI256


@pytest.mark.parametrize(("state", "can"), [(b"0", False), (b"1", True), (b"2", True), (b"4", False)])
def test_synchronized_output_is_queried(state: bytes, can: bool) -> None:
    found, _ = looked_at(answering(b"\x1b[?2026;" + state + b"$y"), TERM="xterm-256color", COLORTERM="truecolor")
    assert found.synchronized is can


def test_a_silent_terminal_costs_only_a_moment() -> None:
    found, asked = looked_at(silent, TERM="xterm-256color")
    assert asked.endswith(b"\x1b[c")
    assert (found.color, found.synchronized) == (ColorLevel.ANSI256, False)


class SlowAnswer:
    """Types an answer in pieces, with pauses between them, after the queries."""

    def __init__(self, *pieces: bytes, pause: float) -> None:
        self._pieces, self._pause = pieces, pause
        self._thread: threading.Thread | None = None
        self.terminal = PseudoTerminal(answer=self._begin)

    def _begin(self, written: bytes) -> bytes:
        if self._thread is None and written.endswith(b"\x1b[c"):
            self._thread = threading.Thread(target=self._type)
            self._thread.start()
        return b""

    def _type(self) -> None:
        for piece in self._pieces:
            time.sleep(self._pause)
            self.terminal.type(piece)

    def ask(self) -> tuple[Terminal, bytes]:
        """The detected capabilities, and everything that the keyboard reads afterwards."""
        fd = self.terminal.fd
        try:
            found = detect({"TERM": "xterm-256color"}, input_fd=fd, output_fd=fd)
            if self._thread is not None:
                self._thread.join()
            tty.setcbreak(fd, termios.TCSADRAIN)
            left = os.read(fd, 4096) if select.select([fd], [], [], 0.2)[0] else b""
            return found, found.typed + left
        finally:
            self.terminal.close()


ANSWERS = (b"\x1b[?2026;2$y", b"\x1bP>|kitty(0.35.2)\x1b\\", b"\x1bP1$r48:2:1:2:3m\x1b\\", ATTRIBUTES)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_terminal_that_answers_in_pieces_is_understood(size: int) -> None:
    whole = b"".join(ANSWERS)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    found, read = SlowAnswer(*pieces, pause=0.01).ask()
    assert (found.color, found.synchronized, found.sextants) == (ColorLevel.TRUECOLOR, True, True)
    assert KeyParser().feed(read, 0.0) == []


def test_keys_typed_during_the_queries_are_not_lost() -> None:
    first, *others = ANSWERS
    found, read = SlowAnswer(b"c", first, b"r\x1b[A", *others, b"q", pause=0.02).ask()
    assert (found.color, found.synchronized, found.sextants) == (ColorLevel.TRUECOLOR, True, True)
    assert KeyParser().feed(read, 0.0) == ["c", "r", "up", "q"]


def test_keys_typed_at_a_silent_terminal_are_not_lost() -> None:
    found, read = SlowAnswer(b"c", b"1", b"q", pause=0.02).ask()
    assert not found.synchronized
    assert KeyParser().feed(read, 0.0) == ["c", "1", "q"]


def test_late_answers_are_not_keys() -> None:
    found, read = SlowAnswer(ANSWERS[0][:5], ANSWERS[0][5:], *ANSWERS[1:], pause=PIECE_SECONDS + 0.3).ask()
    assert len(found.typed) < len(read), "detection ended before the answers"
    assert KeyParser().feed(read + b"q", 0.0) == ["q"]


@pytest.mark.parametrize("term", ["dumb", "linux", "vt100", "eterm-color"])
def test_terminals_that_would_print_the_queries_are_not_queried(term: str) -> None:
    assert looked_at(silent, TERM=term)[1] == b""


def test_no_color_disables_the_colour_query() -> None:
    _, asked = looked_at(answering(), TERM="xterm-256color", NO_COLOR="1")
    assert b"48;2" not in asked


def test_gnu_screen_is_not_queried_for_what_it_would_pass_on() -> None:
    _, asked = looked_at(answering(), TERM="screen-256color", STY="1234.pts-0.host")
    assert asked.endswith(b"\x1b[c")
    assert b"\x1bP" not in asked


def test_a_pipe_is_not_a_terminal() -> None:
    reader, writer = os.pipe()
    try:
        found = detect({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, input_fd=reader, output_fd=writer)
        assert not found.interactive
        assert not found.has_keys
        assert found.color is ColorLevel.NONE
    finally:
        os.close(reader)
        os.close(writer)


def test_the_size_is_the_terminals_else_the_environments_else_80_by_24() -> None:
    terminal = PseudoTerminal(33, 7)
    reader, writer = os.pipe()
    try:
        assert terminal_size({"COLUMNS": "5", "LINES": "5"}, terminal.fd) == (33, 7)
        assert terminal_size({"COLUMNS": "120", "LINES": "50"}, writer) == (120, 50)
        assert terminal_size({"COLUMNS": "-3", "LINES": "many"}, writer) == (80, 24)
    finally:
        terminal.close()
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("version", "draws"),
    [
        (b"kitty(0.35.2)", True),
        (b"WezTerm 20240203-110809", True),
        (b"foot(1.16.2)", True),
        (b"ghostty 1.0.0", True),
        (b"VTE(6600)", True),
        (b"VTE(7403)", True),
        (b"VTE(6401)", False),
        (b"Konsole 23.08.1", True),
        (b"Konsole 21.12.3", False),
        (b"XTerm(379)", False),
        (b"tmux 3.4", False),
    ],
)
def test_sextants_follow_the_terminals_name_and_version(version: bytes, draws: bool) -> None:
    answer = b"\x1bP>|" + version + b"\x1b\\"
    # Whatever TERM says: within tmux it depends on the outer terminal, which tmux does not reveal.
    assert looked_at(answering(answer), TERM="xterm-kitty")[0].sextants is draws


@pytest.mark.parametrize(
    ("environment", "draws"),
    [
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot-extra"}, True),
        ({"TERM": "alacritty"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "linux"}, False),
    ],
)
def test_without_an_answer_sextants_follow_the_environment(environment: dict[str, str], draws: bool) -> None:
    assert looked_at(answering(), **environment)[0].sextants is draws


@pytest.mark.parametrize(
    ("environment", "moves"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "linux"}, True),
        ({"TERM": "vt100"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-that-terminfo-lacks"}, True),
        ({"TERM": "foot"}, True),
        ({"TERM": "eterm-color", "INSIDE_EMACS": "29.1,term:0.96"}, True),
        ({"TERM": "xterm-256color", "INSIDE_EMACS": "vterm"}, True),
        ({"TERM": "xterm-256color", "INSIDE_EMACS": "29.1,comint"}, False),
        ({"TERM": "dumb", "INSIDE_EMACS": "29.1,comint"}, False),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, False),
        ({"TERM": "unknown"}, False),
        ({"TERM": "no-such-terminal"}, False),
        ({"TERM": ""}, False),
        ({}, False),
    ],
)
def test_only_terminals_whose_cursor_moves_are_drawn_on(environment: dict[str, str], moves: bool) -> None:
    # A process reads terminfo once, so every case gets one of its own.
    code = (
        "import os; from teleglyph.client.terminal.capabilities import detect\n"
        "from teleglyph.errors import TerminalError\n"
        f"found = detect({environment!r}, output_fd=os.openpty()[1], ask=False)\n"
        "try: found.require_cursor()\n"
        "except TerminalError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    if moves:
        assert done.stdout == ""
    else:
        assert "ANSI cursor movements" in done.stdout
        assert "--snapshot" in done.stdout


def test_a_terminal_without_a_movable_cursor_is_not_queried() -> None:
    found, asked = looked_at(silent, TERM="unknown")
    assert asked == b""
    with pytest.raises(TerminalError, match="TERM=unknown"):
        found.require_cursor()


def test_a_pipe_needs_no_cursor() -> None:
    reader, writer = os.pipe()
    try:
        detect({"TERM": "dumb"}, input_fd=reader, output_fd=writer).require_cursor()
    finally:
        os.close(reader)
        os.close(writer)
