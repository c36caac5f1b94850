"""Whatever a server sends as a frame, the gate refuses it or a terminal shows exactly what was meant."""

from __future__ import annotations

import re

import pyte
import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st

from teleglyph.media.frame_text import check_frame

PIECE = re.compile(r"\x1b\[([0-9;]*)([mb])|(\n)|([^\x00-\x1f\x7f-\x9f])")

GLYPHS = ["x", " ", "~", "▀", "░", "世", "é", "e\N{COMBINING ACUTE ACCENT}", "\N{COMBINING ACUTE ACCENT}", "⣿", "🬀"]
COLORS = ["", "0", "1", "7", "22", "27", "31", "39", "44", "49", "97", "107", "38;5;9", "48;5;200", "38;2;1;2;3"]
COLORS += ["48;2;9;8;7", "31;44", "0;31", ";32", "1;38;2;200;100;0;48;2;0;0;0"]
COUNTS = ["", "0", "1", "3", "17", "999", "99999999999999999999", "2;5", ";"]
FORBIDDEN = [
    b"\x1b[2J",
    b"\x1b]0;t\x07",
    b"\r",
    b"\t",
    b"\x07",
    b"\x1b",
    b"\x9b",
    b"\xff",
    b"\x1b[?25l",
    b"\x1b[3C",
    b"\x0e",
]

allowed = st.one_of(
    st.sampled_from(GLYPHS),
    st.sampled_from(GLYPHS),
    st.just("\n"),
    st.sampled_from(COLORS).map(lambda numbers: f"\x1b[{numbers}m"),
    st.sampled_from(COUNTS).map(lambda count: f"\x1b[{count}b"),
).map(str.encode)
sizes = st.tuples(st.integers(1, 24), st.integers(1, 6))


def expanded(text: str, columns: int) -> list[str]:
    """The rows of a frame, cut, each with all earlier SGR sequences, and with REP expanded.

    It follows the observed behaviour of xterm: a repetition counts only right after a character.
    """
    rows, colors, row = [], "", ""
    room, last, repeats, is_full = columns, "", False, False

    def add(cluster: str) -> None:
        nonlocal row, room, is_full
        width = wcwidth.wcswidth(cluster)
        if is_full or width > room:
            is_full = True
            return
        row, room = row + cluster, room - width

    for numbers, final, line_feed, character in PIECE.findall(text):
        if line_feed:
            rows.append(row)
            row, room, last, repeats, is_full = colors, columns, "", False, False
        elif final == "m":
            colors += f"\x1b[{numbers}m"
            row += f"\x1b[{numbers}m"
            repeats = False
        elif final == "b":
            for _ in range(min(columns, max(1, int(numbers.split(";")[0] or 0))) if repeats else 0):
                add(last)
            repeats = False
        elif wcwidth.wcwidth(character) == 0:
            if room < columns and not is_full:
                row += character
                last += character
                repeats = True
        else:
            add(character)
            last, repeats = character, not is_full
    return [*rows, row]


def shown(rows: list[str], columns: int, height: int) -> list[list[pyte.screens.Char]]:
    """A terminal's screen after drawing rows, each without the colours of the others."""
    screen = pyte.Screen(columns + 1, height)
    stream = pyte.Stream(screen)
    for y, row in enumerate(rows):
        stream.feed(f"\x1b[{y + 1};1H\x1b[0m{row}")
    return [[screen.buffer[y][x] for x in range(columns)] for y in range(height)]


def assert_is_safe(frame: bytes, columns: int, rows: int) -> None:
    """Assert that a frame has only characters, row ends and colours, and that it fits."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", frame.decode())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", bare)
    lines = bare.split("\n")
    assert len(lines) <= rows
    assert all(0 <= wcwidth.wcswidth(line) <= columns for line in lines)


@settings(max_examples=500)
@given(pieces=st.lists(allowed, max_size=60), size=sizes)
def test_an_allowed_frame_looks_like_its_expansion(pieces: list[bytes], size: tuple[int, int]) -> None:
    columns, rows = size
    text = b"".join(pieces)
    frame = check_frame(text, columns, rows)
    assert frame is not None
    assert_is_safe(frame, columns, rows)
    expected = expanded(text.decode(), columns)
    after = re.sub(r"\x1b\[[0-9;]*[mb]", "", text.decode().rpartition("\n")[2])
    if len(expected) > 1 and not any(wcwidth.wcwidth(character) for character in after):
        expected.pop()  # no row begins after the last line feed
    lines = frame.decode().split("\n")
    assert frame.rows == len(lines) == min(rows, len(expected))
    assert frame.narrowest == min(wcwidth.wcswidth(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    assert shown(lines, columns, rows) == shown(expected[-rows:], columns, rows)
    # Written unchanged it looks the same: no row leaves its colours to the next one or to later output.
    screen = pyte.Screen(columns + 1, rows + 1)
    pyte.Stream(screen).feed((frame + b"\n").decode().replace("\n", "\r\n") + "!")
    assert [[screen.buffer[y][x] for x in range(columns)] for y in range(len(lines))] == shown(
        lines, columns, len(lines)
    )
    assert screen.buffer[len(lines)][0] == pyte.screens.Char("!")


@settings(max_examples=300)
@given(before=st.lists(allowed, max_size=20), bad=st.sampled_from(FORBIDDEN), after=st.lists(allowed, max_size=20))
def test_a_frame_with_anything_else_is_refused(before: list[bytes], bad: bytes, after: list[bytes]) -> None:
    rest = b"".join(after)
    if bad == b"\x1b" and rest.startswith(b"["):
        return
    assert check_frame(b"".join(before) + bad + rest, 20, 5) is None


@settings(max_examples=500)
@given(text=st.binary(max_size=60), size=sizes)
def test_random_bytes_are_refused_or_harmless(text: bytes, size: tuple[int, int]) -> None:
    if (frame := check_frame(text, *size)) is not None:
        assert_is_safe(frame, *size)


@settings(max_examples=500)
@given(text=st.text(st.one_of(st.sampled_from("\n\x1b[0123456789;mb"), st.characters()), max_size=60), size=sizes)
def test_random_characters_are_refused_or_harmless(text: str, size: tuple[int, int]) -> None:
    if (frame := check_frame(text.encode(errors="surrogatepass"), *size)) is not None:
        assert_is_safe(frame, *size)
        assert check_frame(frame, *size) == frame
