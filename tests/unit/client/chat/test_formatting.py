"""The look of chat lines, and what they cannot imitate."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.chat.formatting import Message, PipeFormatter, TerminalFormatter
from teleglyph.media.modes import ColorLevel
from teleglyph.printable import printable, width

FORGERIES = [
    "hi\n* bob left",
    "hi\n  4 12:00 bob: I owe you 100",
    "hi\r* bob left",
    "hi\r\n\r\n* bob left",
    "hi\x1b[2K\x1b[1G* bob left",
    "hi\u2028* bob left",
    "hi\x85* bob left",
    "hi\x0b* bob left",
    "x" * 23 + " * bob left",
    "x " * 40 + "* bob left " * 40,
    "\n\n\n* bob left",
    "日" * 50 + "\n* bob left",
]


def message(text: str, at: float = 0.0, number: int = 3) -> Message:
    return Message(number, int(at), "ab" * 32, printable("ann"), text)


def terminal(columns: int = 30, color: ColorLevel = ColorLevel.NONE, *, utf8: bool = True) -> TerminalFormatter:
    return TerminalFormatter(color, utf8=utf8, columns=lambda: columns)


@pytest.mark.parametrize("text", FORGERIES)
@pytest.mark.parametrize("columns", [10, 20, 30, 41, 80])
def test_only_the_first_row_of_a_message_begins_at_the_edge(text: str, columns: int) -> None:
    view = terminal(columns)
    view.format_date(0.0)
    first, *rest = view.format_message(message(text)).splitlines()
    assert first.startswith("  3 ")
    assert all(row.startswith("     ") or not row for row in rest), rest
    assert all(width(row) < columns for row in (first, *rest))


@given(st.text(max_size=300), st.integers(5, 100))
def test_no_text_reaches_the_left_edge_or_steers_the_terminal(text: str, columns: int) -> None:
    view = terminal(columns)
    view.format_date(0.0)
    shown = view.format_message(message(text)) + PipeFormatter().format_message(message(text))
    assert printable(shown, lines=True) == shown
    assert all(row.startswith("  ") or not row for row in shown.split("\n"))


@pytest.mark.parametrize("text", FORGERIES)
def test_notices_and_pipes_keep_a_text_on_its_own_lines(text: str) -> None:
    assert len(PipeFormatter().format_notice(text).splitlines()) == 1
    assert all(row.startswith(("* ", "     ")) for row in terminal(20).format_notice(text).splitlines())
    assert all(row.startswith("     ") for row in PipeFormatter().format_message(message(text)).split("\n")[1:-1])


def test_the_day_is_shown_when_it_changes() -> None:
    view, day = terminal(80), 86400.0
    noon = time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, -1))
    rows = "".join(view.format_message(message("x", at)) for at in (noon, noon + 60, noon + day)).splitlines()
    assert [row for row in rows if row.startswith("*")] == ["* Sunday 01 March 2026", "* Monday 02 March 2026"]


@pytest.mark.parametrize("at", [0, -5, 1 << 52, 253_402_300_800, 10**18])
def test_any_time_can_be_shown(at: int) -> None:
    assert re.search(r"  3 \d\d:\d\d ann: x\n", terminal(80).format_message(message("x", at)))


def test_a_person_has_one_colour_and_none_without_colours() -> None:
    view = terminal(80, ColorLevel.ANSI256)
    one, two = view.format_message(message("a")), view.format_message(message("b"))
    color = re.compile(r"\x1b\[38;5;\d+mann")
    assert color.findall(one) == color.findall(two) != []
    assert re.search(r"\x1b\[3\d|\x1b\[9\d", terminal(80, ColorLevel.ANSI16).format_message(message("a")))
    assert "\x1b" not in terminal(80).format_message(message("a")) + terminal(80).format_notice("a", 5.0)


def test_a_terminal_without_utf8_gets_ascii() -> None:
    view = terminal(80, utf8=False)
    assert (view.format_message(message("日本 é")) + view.format_notice("“x”")).isascii()


def test_a_message_with_very_many_lines_is_cut() -> None:
    rows = terminal(80).format_message(message("\n".join("x" * 5000))).splitlines()
    assert len(rows) < 250
    assert "is not shown" in rows[-1]
