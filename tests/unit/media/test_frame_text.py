"""Checking and cutting a server's frames of text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import teleglyph
from teleglyph.media import _native
from teleglyph.media.frame_text import SafeFrame, check_frame, explain_refusal, paint_frame
from teleglyph.media.grid import Grid, Label, Painter, glyphs_of

BLOCK = "▀".encode()


def fitted(text: bytes, columns: int = 20, rows: int = 5) -> bytes:
    frame = check_frame(text, columns, rows)
    assert frame is not None, text
    return bytes(frame)


# --- accepted frames --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (b"", (1, 0)),
        (b"plain\nrows!", (2, 5)),
        ("▀█é𝄞".encode(), (1, 4)),
        ("世界\n世".encode(), (2, 2)),
        ("e\N{COMBINING ACUTE ACCENT}a".encode(), (1, 2)),
        (b"\x1b[38;2;1;2;3mX\x1b[0m", (1, 1)),
        (b"\x1b[0m\n\x1b[48;5;7m \x1b[m", (2, 0)),
        (b"abc\n\nabc", (3, 0)),
        (b"abc\n\n", (2, 0)),
    ],
)
def test_rows_and_the_columns_of_the_shortest_are_known(text: bytes, shape: tuple[int, int]) -> None:
    frame = check_frame(text, 20, 5)
    assert isinstance(frame, SafeFrame)
    assert (frame.rows, frame.narrowest) == shape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"\x1b[31mred", b"\x1b[31mred\x1b[0m"),
        (b"\x1b[31ma\nb\x1b[0m\nc", b"\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m\nc"),
        (b"\x1b[31m\x1b[32ma\x1b[32mb", b"\x1b[32mab\x1b[0m"),
        (b"\x1b[38;2;1;2;3;48;5;200ma", b"\x1b[38;2;1;2;3;48;5;200ma\x1b[0m"),
        (b"\x1b[31;44ma\x1b[39mb", b"\x1b[31;44ma\x1b[39mb\x1b[0m"),
        (b"\x1b[1;4;95ma\x1b[22mb", b"\x1b[1;4;95ma\x1b[0;4;95mb\x1b[0m"),
        (b"\x1b[107ma\x1b[;m b", b"\x1b[107ma\x1b[0m b"),
        (b"\x1b[8;6;11;58;5;7ma", b"a"),
        (b"\x1b[38;5ma\x1b[38;2;1;2mb\x1b[38;2;1;2;300mc\x1b[38;5;256md", b"abcd"),
        (b"\x1b[%s1ma" % (b"1;" * 9000), b"\x1b[1ma\x1b[0m"),
    ],
)
def test_colours_and_plain_attributes_stay_and_end_with_each_row(text: bytes, shown: bytes) -> None:
    assert fitted(text) == shown


def test_rows_are_cut_where_they_end_and_never_in_a_wide_character() -> None:
    assert fitted(b"abcdef\nab", 4) == b"abcd\nab"
    assert fitted("a世界b".encode(), 4) == "a世".encode()
    assert fitted("a世\N{COMBINING ACUTE ACCENT}".encode(), 2) == b"a"
    assert fitted(b"abc\x1b[31mdef\nx", 3) == b"abc\n\x1b[31mx\x1b[0m"


def test_of_too_many_rows_the_last_are_kept_in_the_colours_they_had() -> None:
    assert fitted(b"\n\n\n1\n2\n3", rows=2) == b"2\n3"
    assert fitted(b"\n\n\n1\n2\n3\n", rows=2) == b"2\n3"
    assert fitted(b"\n\n\n1\n2\n3\n\x1b[0m", rows=2) == b"2\n3"
    assert fitted(b"\x1b[31ma\n\x1b[44mb\nc\x1b[0m", rows=1) == b"\x1b[31;44mc\x1b[0m"
    assert fitted(b"1\n2\n\n", rows=2) == b"2\n"
    # 43 rows for a terminal of 29, as ascii-chat's server pads them.
    padded = b"\n" * 15 + b"\n".join(b"%02d" % row for row in range(28))
    assert fitted(padded, rows=29) == b"\n" + b"\n".join(b"%02d" % row for row in range(28))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (BLOCK + b"\x1b[3b", BLOCK * 4),
        (b"a\x1b[b", b"aa"),
        (b"a\x1b[0b", b"aa"),
        (b"a\x1b[;3b", b"aa"),
        (b"a\x1b[3;7b", b"aaaa"),
        (b"a\x1b[0003b", b"aaaa"),
        (b"a\x1b[8bc", b"aaaaaaaaac"),
        (b"a\x1b[9bc", b"a" * 10),
        (b"a\x1b[99999999999999999999999999bc", b"a" * 10),
        (b"a\x1b[%sb" % (b"9" * 5000), b"a" * 10),
        (b"ab\x1b[5b", b"abbbbbb"),
        ("世\x1b[3b".encode(), "世世世世".encode()),
        ("a世\x1b[9bx".encode(), "a世世世世".encode()),
        ("e\N{COMBINING ACUTE ACCENT}\x1b[2b".encode(), "e\N{COMBINING ACUTE ACCENT}".encode() * 3),
        (b"\x1b[31ma\x1b[2b\x1b[0mb", b"\x1b[31maaa\x1b[0mb"),
        (b" \x1b[4b\nx", b"     \nx"),
        # As ascii-chat's server encodes 8x3 pixels in half-blocks, and a row of eight white ones without colour.
        (
            "\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀\x1b[6b\x1b[0m \x1b[0m\n"
            "\x1b[38;2;9;9;9m\x1b[48;2;9;9;9m▀\x1b[7b\x1b[0m".encode(),
            f"\x1b[38;2;255;0;0;48;2;0;0;255m{'▀' * 7}\x1b[0m \n\x1b[38;2;9;9;9;48;2;9;9;9m{'▀' * 8}\x1b[0m".encode(),
        ),
        (b";\x1b[7b\n  .',;;;", b";;;;;;;;\n  .',;;;"),
    ],
)
def test_a_repeated_character_is_written_out_within_its_row(text: bytes, shown: bytes) -> None:
    assert fitted(text, 10) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"\x1b[5b", b""),
        (b"\x1b[5bx", b"x"),
        (b"a\n\x1b[3bx", b"a\nx"),
        (b"a\x1b[31m\x1b[3bx", b"a\x1b[31mx\x1b[0m"),
        (b"a\x1b[1b\x1b[4bx", b"aax"),
        ("\N{COMBINING ACUTE ACCENT}\x1b[3bx".encode(), b"x"),
    ],
)
def test_without_a_character_right_before_it_a_repetition_does_nothing_as_in_xterm(text: bytes, shown: bytes) -> None:
    assert fitted(text, 10) == shown


def test_repetitions_in_rows_that_are_not_shown_cost_nothing() -> None:
    text = b"a\x1b[99999b\n" * 200_000 + b"last"
    assert fitted(text, 1000, 1) == b"last"
    assert len(fitted(text, 1000, 10)) == 9 * 1001 + 4


def test_invisible_characters_are_dropped_and_unassigned_ones_become_question_marks() -> None:
    assert fitted("a\N{ZERO WIDTH JOINER}b\N{RIGHT-TO-LEFT OVERRIDE}c\N{VARIATION SELECTOR-16}".encode()) == b"abc"
    assert fitted("a\ue000b\U0010fffec\uffff".encode()) == b"a?b?c?"
    assert fitted("a\N{NO-BREAK SPACE}b".encode()) == "a\N{NO-BREAK SPACE}b".encode()
    piled = ("a" + 500 * "\N{COMBINING ACUTE ACCENT}").encode()
    assert len(fitted(piled)) == 1 + 8 * 2


# --- refused frames ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\x1b[2J", "the escape sequence ESC [ 2 J"),
        (b"\x1b]0;title\x07", "the escape sequence ESC ]"),
        (b"\x1bc", "the escape sequence ESC c"),
        (b"a\rb", "0x0d"),
        (b"a\tb", "0x09"),
        (b"\x00", "0x00"),
        (b"\x07", "0x07"),
        (b"\x1b[6n", "the escape sequence ESC [ 6 n"),
        (b"\x1b[?1m", "the escape sequence ESC [ ? 1 m"),
        (b"\x1b[>4;1m", "the escape sequence ESC [ > 4 ; 1 m"),
        (b"\x1b[4:3m", "the escape sequence ESC [ 4 : 3 m"),
        (b"a\x1b[3 b", "the escape sequence ESC [ 3   b"),
        (b"\x1b[3B", "the escape sequence ESC [ 3 B"),
        (b"a\x1b[-3b", "the escape sequence ESC [ - 3 b"),
        (b"\x1bP+q544e\x1b\\", "the escape sequence ESC P"),
        (b"\x7f", "0x7f"),
        (b"text\x1b", "the escape sequence ESC"),
        (b"text\x1b[1", "the escape sequence ESC [ 1"),
        (b"text\x1b[", "the escape sequence ESC ["),
        (b"\x1b[?1049l", "the escape sequence ESC [ ? 1 0 4 9 l"),
        (b"\x1b\x1b[1m", "the escape sequence ESC"),
        ("\x9b2J".encode(), "U+009B"),
        ("\x85".encode(), "U+0085"),
        (b"\x9b2J", "they are not UTF-8 (byte 0x9b)"),
        (b"\xff", "not UTF-8 (byte 0xff)"),
        (b"\xc0\x80", "not UTF-8 (byte 0xc0)"),
        (b"\xe0\x80\x80", "not UTF-8 (byte 0xe0)"),
        (b"\xed\xa0\x80", "not UTF-8 (byte 0xed)"),
        (b"\xf5\x80\x80\x80", "not UTF-8 (byte 0xf5)"),
        (b"\xe2\x96", "not UTF-8 (byte 0xe2)"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 5000))).encode(), "too many different characters"),
    ],
)
def test_whatever_else_a_server_could_send_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    for before in (b"", b"before\n", b"\x1b[31ma\x1b[3b"):
        assert check_frame(before + text, 20, 5) is None
        assert explain_refusal(before + text).endswith(reason)
    # Nor in rows that would not be visible anyway.
    assert check_frame(text + b"\n" * 30, 20, 5) is None
    assert check_frame(b"x" * 30 + text, 20, 5) is None


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_all_text_without_controls_may_be_drawn(text: str) -> None:
    assert check_frame(text.encode(), 80, 1) is not None


@pytest.mark.parametrize("kinds", [b"", b"\x05", b"\x01\x01"])
def test_the_native_code_refuses_invalid_kinds(kinds: bytes) -> None:
    with pytest.raises(ValueError, match="kind"):
        _native.fit_text("é".encode(), [0xE9], kinds, 10, 10)


def test_the_native_code_refuses_undrawable_text() -> None:
    with pytest.raises(ValueError, match="drawn"):
        _native.fit_text(b"\x1b[2J", [], b"", 10, 10)
    with pytest.raises(ValueError, match="at least one"):
        _native.fit_text(b"", [], b"", 0, 10)


# --- the type ---------------------------------------------------------------------------------------------------------


def test_a_grid_becomes_a_frame_of_its_size() -> None:
    grid = Grid(6, 2)
    grid.put([Label(0, 0, 0, 0, glyphs_of("世界", 6))])
    frame = paint_frame(Painter(), grid)
    assert isinstance(frame, SafeFrame)
    assert (frame.rows, frame.narrowest) == (2, 6)
    assert check_frame(frame, 6, 2) == frame


def calls_of(tree: ast.AST) -> list[str]:
    """The names of everything that is called, with what it is called on."""
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_only_the_gate_makes_safe_frames_and_only_known_places_write_bytes() -> None:
    """A frame's path to a terminal: Screen, FrameWriter and console.write_frame, which accept only safe frames.

    The decoding process has no terminal: its one descriptor is a socket to the server.
    """
    package = Path(teleglyph.__file__).parent
    makers, casts, writers = set(), set(), set()
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text())
        calls = calls_of(tree)
        makers |= {name for call in calls if call.split(".")[-1] in ("SafeFrame", "_safe")}
        writers |= {name for call in calls if call == "os.write" or call.endswith("stdout.buffer.write")}
        casts |= {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("cast")
            and "SafeFrame" in ast.unparse(node)
        }
    assert makers == {"media/frame_text.py"}
    assert casts == set()
    terminals = {
        "client/terminal/frame_writer.py",
        "client/terminal/screen.py",
        "client/terminal/capabilities.py",
        "console.py",
    }
    assert writers <= terminals | {"media/decoding_process.py"}
