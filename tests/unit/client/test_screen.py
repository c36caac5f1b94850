"""Drawing on a terminal, and leaving it as it was."""

import fcntl
import os
import termios
import threading
from collections.abc import Iterator

import pytest

from pseudo_terminal import PseudoTerminal
from teleglyph.client.screen import Screen, clip


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    made = PseudoTerminal(20, 6)
    yield made
    made.close()


def screen_on(terminal: PseudoTerminal, *, synchronized: bool = False) -> Screen:
    return Screen(20, 6, synchronized=synchronized, input_fd=terminal.fd, output_fd=terminal.fd)


FULL = b"\n".join([b"%d" % row * 20 for row in range(5)])


def test_a_frame_and_the_status_line_are_drawn_whole(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status(" status")
        screen.show(FULL)
        terminal.wait_for(lambda: terminal.rows == [*FULL.decode().split("\n"), " status"])


def test_nothing_of_a_larger_frame_stays_beside_or_below_a_smaller_one(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status("status")
        screen.show(FULL)
        terminal.wait_for(lambda: terminal.rows[4] == "4" * 20)
        screen.show(b"ab\n\x1b[31mc\x1b[0m")
        terminal.wait_for(lambda: terminal.rows == ["ab", "c", "", "", "", "status"])


def test_rows_that_are_too_many_or_too_long_stay_within_the_picture(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status("status")
        screen.show(b"\n".join([b"x" * 50] * 30))
        terminal.wait_for(lambda: terminal.rows == ["x" * 20] * 5 + ["status"])


def test_text_that_could_do_anything_else_is_not_drawn(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.show(b"\x1b]0;title\x07evil")
        terminal.wait_for(lambda: screen.unsafe_frames == 1)
        screen.show(b"good")
        terminal.wait_for(lambda: terminal.rows[0] == "good")
    assert b"evil" not in terminal.written


def test_an_overlay_lies_over_the_picture_and_goes_away(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.show(FULL)
        screen.set_overlay(["help", "text\x1b[2J"])
        terminal.wait_for(lambda: "help" in terminal.rows[1] and "text?[2J" in terminal.rows[2])
        screen.show(FULL)
        terminal.wait_for(lambda: "help" in terminal.rows[1] and terminal.rows[0] == "0" * 20)
        screen.set_overlay([])
        terminal.wait_for(lambda: terminal.rows[1] == "1" * 20 and terminal.rows[2] == "2" * 20)


def test_frames_are_bracketed_where_the_terminal_can_hold_them_back(terminal: PseudoTerminal) -> None:
    with screen_on(terminal, synchronized=True) as screen:
        screen.show(b"frame")
        terminal.wait_for(lambda: b"frame" in terminal.written)
        terminal.wait_for(lambda: terminal.written.count(b"\x1b[?2026h") == terminal.written.count(b"\x1b[?2026l"))
        start, end = (terminal.written.rfind(code) for code in (b"\x1b[?2026h", b"\x1b[?2026l"))
        assert start < terminal.written.rfind(b"frame") < end or terminal.written.count(b"\x1b[?2026h") > 1


def test_on_leaving_cursor_wrapping_screen_and_keyboard_are_as_before(terminal: PseudoTerminal) -> None:
    before = termios.tcgetattr(terminal.fd)
    with screen_on(terminal) as screen:
        screen.show(FULL)
        assert not termios.tcgetattr(terminal.fd)[3] & termios.ECHO
    terminal.wait_for(lambda: terminal.written.endswith(b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"))
    assert terminal.written.startswith(b"\x1b[?1049h\x1b[?25l\x1b[?7l")
    assert termios.tcgetattr(terminal.fd) == before


def test_an_exception_restores_the_terminal_as_well(terminal: PseudoTerminal) -> None:
    before = termios.tcgetattr(terminal.fd)
    with pytest.raises(ZeroDivisionError), screen_on(terminal):
        raise ZeroDivisionError
    assert termios.tcgetattr(terminal.fd) == before
    terminal.wait_for(lambda: terminal.written.endswith(b"\x1b[?1049l"))


def test_it_can_be_left_and_entered_again(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.leave()
        screen.enter()
        screen.show(b"again")
        terminal.wait_for(lambda: terminal.rows[0] == "again")


def test_a_terminal_that_takes_nothing_neither_stalls_producers_nor_leaving() -> None:
    ours, theirs = os.openpty()
    try:
        fcntl.fcntl(theirs, fcntl.F_SETFL, fcntl.fcntl(theirs, fcntl.F_GETFL) | os.O_NONBLOCK)
        screen = Screen(20, 6, input_fd=None, output_fd=theirs)
        screen.enter()
        for _ in range(3000):
            screen.show(FULL)
        ended = threading.Thread(target=screen.leave)
        ended.start()
        ended.join(20)
        assert not ended.is_alive()
        assert screen.dropped_frames > 0
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [("abc", 2, "ab"), ("abc", 9, "abc"), ("日本", 3, "日"), ("a\x1bb\n", 9, "a?b?"), ("", 3, "")],
)
def test_a_line_is_clipped_to_columns_without_controls(text: str, columns: int, expected: str) -> None:
    assert clip(text, columns) == expected
