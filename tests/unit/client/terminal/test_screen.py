"""Drawing on a terminal, and restoring it."""

import fcntl
import os
import termios
import threading
from collections.abc import Iterator

import pytest

from pseudo_terminal import PseudoTerminal
from teleglyph.client.terminal.screen import Screen
from teleglyph.media.frame_text import SafeFrame, check_frame
from teleglyph.media.grid import Grid, Label, glyphs_of


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    made = PseudoTerminal(20, 6)
    yield made
    made.close()


def screen_on(terminal: PseudoTerminal, *, synchronized: bool = False) -> Screen:
    return Screen(20, 6, synchronized=synchronized, input_fd=terminal.fd, output_fd=terminal.fd)


def frame(text: bytes, columns: int = 20, rows: int = 5) -> SafeFrame:
    checked = check_frame(text, columns, rows)
    assert checked is not None
    return checked


FULL = frame(b"\n".join([b"%d" % row * 20 for row in range(5)]))


def test_a_frame_and_the_status_line_are_drawn_whole(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status(" status")
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: terminal.rows == [*FULL.decode().split("\n"), " status"])


def test_nothing_of_a_larger_frame_stays_beside_or_below_a_smaller_one(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status("status")
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: terminal.rows[4] == "4" * 20)
        screen.draw_frame(frame(b"ab\n\x1b[31mc\x1b[0m"))
        terminal.wait_for(lambda: terminal.rows == ["ab", "c", "", "", "", "status"])


def test_rows_that_are_too_many_or_too_long_stay_within_the_picture(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.set_status("status")
        screen.draw_frame(frame(b"\n".join([b"x" * 50] * 30), 50, 30))
        terminal.wait_for(lambda: terminal.rows == ["x" * 20] * 5 + ["status"])


def test_colours_that_a_frame_carries_on_from_row_to_row_are_seen_in_each(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.draw_frame(frame(b"\x1b[31mab\ncd\n\x1b[32me"))
        terminal.wait_for(lambda: terminal.rows[2] == "e")
        buffer = terminal.screen.buffer
        assert [buffer[row][0].fg for row in range(3)] == ["red", "red", "green"]


def test_a_frame_that_is_shown_already_is_not_drawn_again(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: terminal.rows[4] == "4" * 20)
        screen.draw_frame(frame(bytes(FULL)))
        screen.set_status("later")
        terminal.wait_for(lambda: terminal.rows[5] == "later")
        assert terminal.written.count(b"4" * 20) == 1
        screen.set_overlay(["box"])
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: any("box" in row for row in terminal.rows))
        screen.set_overlay([])
        terminal.wait_for(lambda: terminal.rows[:5] == FULL.decode().split("\n"))


def test_an_overlay_covers_the_picture_until_it_is_removed(terminal: PseudoTerminal) -> None:
    with screen_on(terminal) as screen:
        screen.draw_frame(FULL)
        screen.set_overlay(["help", "text\x1b[2J"])
        terminal.wait_for(lambda: "help" in terminal.rows[1] and "text\N{REPLACEMENT CHARACTER}[2J" in terminal.rows[2])
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: "help" in terminal.rows[1] and terminal.rows[0] == "0" * 20)
        screen.set_overlay([])
        terminal.wait_for(lambda: terminal.rows[1] == "1" * 20 and terminal.rows[2] == "2" * 20)


def test_frames_are_bracketed_on_terminals_with_synchronized_output(terminal: PseudoTerminal) -> None:
    with screen_on(terminal, synchronized=True) as screen:
        screen.draw_frame(frame(b"frame"))
        terminal.wait_for(lambda: b"frame" in terminal.written)
        terminal.wait_for(lambda: terminal.written.count(b"\x1b[?2026h") == terminal.written.count(b"\x1b[?2026l"))
        start, end = (terminal.written.rfind(code) for code in (b"\x1b[?2026h", b"\x1b[?2026l"))
        assert start < terminal.written.rfind(b"frame") < end or terminal.written.count(b"\x1b[?2026h") > 1


def test_leaving_restores_cursor_wrapping_screen_and_keyboard(terminal: PseudoTerminal) -> None:
    before = termios.tcgetattr(terminal.fd)
    with screen_on(terminal) as screen:
        screen.draw_frame(FULL)
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
        screen.draw_frame(frame(b"again"))
        terminal.wait_for(lambda: terminal.rows[0] == "again")


def test_a_terminal_that_accepts_nothing_blocks_neither_producers_nor_leaving() -> None:
    ours, theirs = os.openpty()
    try:
        fcntl.fcntl(theirs, fcntl.F_SETFL, fcntl.fcntl(theirs, fcntl.F_GETFL) | os.O_NONBLOCK)
        screen = Screen(20, 6, input_fd=None, output_fd=theirs)
        screen.enter()
        for _ in range(3000):
            screen.draw_frame(FULL)
        ended = threading.Thread(target=screen.leave)
        ended.start()
        ended.join(20)
        assert not ended.is_alive()
        assert screen.dropped_frames > 0
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("abc", "abc"),
        ("a" * 30, "a" * 20),
        ("a" * 19 + "日本", "a" * 19),
        ("a\x1bb\x07", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("", ""),
    ],
)
def test_the_status_line_is_cut_to_the_window_without_controls(
    terminal: PseudoTerminal, status: str, shown: str
) -> None:
    with screen_on(terminal) as screen:
        screen.set_status(status)
        screen.draw_frame(frame(b"ready"))
        terminal.wait_for(lambda: terminal.rows[0] == "ready" and terminal.rows[5] == shown)


def test_a_family_emoji_takes_two_columns_of_the_status_line(terminal: PseudoTerminal) -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    with screen_on(terminal) as screen:
        screen.set_status(family * 11)
        terminal.wait_for(lambda: terminal.written.count(family.encode()) == 10)


def test_a_terminal_without_utf8_gets_a_status_line_and_a_box_in_ascii(terminal: PseudoTerminal) -> None:
    with Screen(20, 6, utf8=False, input_fd=terminal.fd, output_fd=terminal.fd) as screen:
        screen.set_overlay(["naïve 日"])
        screen.set_status("José \N{MAN}\u200d\N{WOMAN}")
        terminal.wait_for(lambda: terminal.rows[5] == "Jos? ?" and any("na?ve ?" in row for row in terminal.rows))
    assert terminal.written.isascii()


class Source:
    """A grid to be drawn."""

    def __init__(self, columns: int, rows: int) -> None:
        self.lock = threading.Lock()
        self.grid: Grid | None = Grid(columns, rows)
        self.number = 0

    def put(self, *lines: str) -> None:
        """Write lines of text, starting at the upper left."""
        self.number += 1
        assert self.grid is not None
        with self.lock:
            for y, line in enumerate(lines):
                self.grid.put([Label(0, y, 0, 0, glyphs_of(line, self.grid.columns))])


def test_only_changed_cells_of_a_grid_are_drawn_and_then_reported(terminal: PseudoTerminal) -> None:
    source = Source(20, 5)
    seen: list[object] = []
    with screen_on(terminal) as screen:
        screen.set_status("status")
        source.put("one", "two", "世界")
        screen.draw_grid(source, seen.append)
        terminal.wait_for(lambda: terminal.rows[:3] == ["one", "two", "世界"] and terminal.rows[5] == "status")
        terminal.wait_for(lambda: seen == [1])
        before = len(terminal.written)
        source.put("one", "twO")
        screen.draw_grid(source, seen.append)
        terminal.wait_for(lambda: terminal.rows[1] == "twO" and seen == [1, 2])
        # One character and a cursor move, instead of a whole picture of a hundred.
        assert len(terminal.written) - before < 40


def test_a_grid_is_cut_to_the_window_and_follows_it(terminal: PseudoTerminal) -> None:
    source = Source(30, 9)
    with screen_on(terminal) as screen:
        source.put(*("x" * 19 + "界" + "y" * 9 for _ in range(9)))
        screen.draw_grid(source)
        # A wide character that would be cut in half is left out.
        terminal.wait_for(lambda: terminal.rows[:5] == ["x" * 19] * 5)
        terminal.resize(40, 12)
        screen.resize(40, 12)
        terminal.wait_for(lambda: terminal.rows[:9] == ["x" * 19 + "界" + "y" * 9] * 9)


def test_a_removed_overlay_uncovers_the_picture(terminal: PseudoTerminal) -> None:
    source = Source(20, 5)
    with screen_on(terminal) as screen:
        source.put(*("z" * 20 for _ in range(5)))
        screen.draw_grid(source)
        terminal.wait_for(lambda: terminal.rows[:5] == ["z" * 20] * 5)
        screen.set_overlay(["help"], at_foot=True)
        terminal.wait_for(lambda: "help" in terminal.rows[4] and terminal.rows[0] == "z" * 20)
        source.put("a" * 20, *("z" * 20 for _ in range(4)))
        screen.draw_grid(source)
        terminal.wait_for(lambda: terminal.rows[0] == "a" * 20 and "help" in terminal.rows[4])
        screen.set_overlay([])
        terminal.wait_for(lambda: terminal.rows[:5] == ["a" * 20, *["z" * 20] * 4])


def test_text_and_grids_take_turns(terminal: PseudoTerminal) -> None:
    """A client that is reconnected may meet another server."""
    source = Source(20, 5)
    with screen_on(terminal) as screen:
        source.put("grid")
        screen.draw_grid(source)
        terminal.wait_for(lambda: terminal.rows[0] == "grid")
        screen.draw_frame(FULL)
        terminal.wait_for(lambda: terminal.rows[4] == "4" * 20)
        screen.draw_grid(source)
        terminal.wait_for(lambda: terminal.rows[0] == "grid" and terminal.rows[4] == "")
