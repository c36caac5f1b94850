"""Keys parsed from a terminal's bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.terminal.key_parser import ALT_SECONDS, ESCAPE_SECONDS, STALL_SECONDS, KeyParser

WITHIN = 0.12
"""Seconds between two pieces of a sequence that a network splits."""

SEQUENCES: list[tuple[bytes, list[str]]] = [
    (b"q", ["q"]),
    (b"QC?", ["q", "c", "?"]),
    (b" ", ["space"]),
    (b"\x03", ["ctrl-c"]),
    (b"\r\n\t\x00\x7f", []),
    # cursor keys, plain, in application mode, with modifiers
    (b"\x1b[A\x1b[B\x1bOC\x1bOD", ["up", "down", "right", "left"]),
    (b"\x1b[1;5A\x1b[1;2D\x1bO5B", ["up", "left", "down"]),
    (b"\x9bA\x8fB", ["up", "down"]),
    (b"\x1b\x1b[A", ["escape", "up"]),
    # function and editing keys of xterm, rxvt and Linux's console
    (b"\x1b[15~\x1b[3;5~\x1bOP\x1b[H\x1b[Z\x1b[a", []),
    (b"\x1b[[A\x1b[[C\x1b[[Cq", ["q"]),
    # the keypad in application mode
    (b"\x1bOq\x1bOy\x1bOM", ["1", "9"]),
    # kitty's protocol and xterm's modifyOtherKeys
    (b"\x1b[113u\x1b[99;1u\x1b[57400u\x1b[57419u", ["q", "c", "1", "up"]),
    (b"\x1b[27u\x1b[32u", ["escape", "space"]),
    (b"\x1b[47:63;2u\x1b[47;2;63u", ["?", "?"]),
    (b"\x1b[99;5u\x1b[27;5;99~", ["ctrl-c", "ctrl-c"]),
    (b"\x1b[113;1:3u\x1b[1;1:3A", []),
    (b"\x1b[113;3u\x1b[113;5u\x1b[27;3;113~", []),
    (b"\x1b[113;65u\x1b[113;129u", ["q", "q"]),
    # answers: attributes, modes, cursor, colours, versions, kitty's flags and pictures
    (b"\x1b[?62;4c\x1b[>41;379;0c\x1b[?2026;2$y\x1b[4;1$y\x1b[24;80R\x1b[0n\x1b[?0uq", ["q"]),
    (b"\x1bP1$r48:2:1:2:3m\x1b\\q", ["q"]),
    (b"\x1bP>|XTerm(379)\x1b\\\x1bP!|7E565445\x9cq", ["q"]),
    (b"\x1b]11;rgb:0000/0000/0000\x07\x1b]4;1;rgb:c/d/e\x1b\\q", ["q"]),
    (b"\x1b_Gi=31;OK\x1b\\\x1b^1ccc\x1b\\\x1bX1ccc\x1b\\q", ["q"]),
    ("\x1b]2;über ✜ ccc\x07q".encode(), ["q"]),
    # strings that something else ends
    (b"\x1bP1ccc\x18q\x1b]1ccc\x1aq", ["q", "q"]),
    (b"\x1b]1ccc\x1b[Aq", ["up", "q"]),
    (b"\x1b[12\x18q\x1b[1;\x1b[Bq", ["q", "down", "q"]),
    # the mouse in three encodings, focus, pasted text
    (b"\x1b[M cc\x1b[<0;12;7M\x1b[<0;12;7m\x1b[32;12;7M\x1b[I\x1b[Oq", ["q"]),
    (b"\x1b[200~qqq \x1b[A\x1b[20 ccc\r\x1b[201~c", ["c"]),
    # characters outside ASCII, alone, with Alt, broken
    ("éß日🎉q".encode(), ["q"]),
    ("\x1béq".encode(), ["q"]),
    (b"\xc3q\xe6\x97q\xff\x80q", ["q", "q", "q"]),
    # sequences too long to mean anything
    (b"\x1b[" + b"1;" * 500 + b"Aq", ["q"]),
    (b"\x1bP" + b"c" * 5000 + b"\x1b\\q", ["q"]),
]


@pytest.mark.parametrize(("data", "keys"), SEQUENCES)
def test_only_keys_are_parsed_as_keys(data: bytes, keys: list[str]) -> None:
    assert KeyParser().feed(data, 0.0) == keys


@pytest.mark.parametrize(("data", "keys"), [case for case in SEQUENCES if len(case[0]) < 200])
@pytest.mark.parametrize("pause", [0.0, WITHIN])
def test_keys_do_not_depend_on_where_a_network_splits_them(data: bytes, keys: list[str], pause: float) -> None:
    if pause and b"\xc3\xa9" in data and data[0] == 0x1B:
        return  # Only the pause distinguishes Alt and a character from Escape and a character
    for cut in range(1, len(data)):
        parser = KeyParser()
        assert parser.feed(data[:cut], 0.0) + parser.expire(pause) + parser.feed(data[cut:], pause) == keys
    parser = KeyParser()
    assert [key for at, byte in enumerate(data) for key in parser.feed(bytes([byte]), at * pause)] == keys


@given(st.lists(st.sampled_from([data for data, _ in SEQUENCES]), max_size=8), st.randoms())
def test_mixed_input_gives_the_same_keys_in_any_pieces(parts: list[bytes], chance: random.Random) -> None:
    data = b"".join(parts)
    whole = KeyParser().feed(data, 0.0)
    parser, keys = KeyParser(), []
    while data:
        size = chance.randint(1, len(data))
        keys += parser.feed(data[:size], 0.0)
        data = data[size:]
    assert keys == whole


@given(st.binary(max_size=300))
def test_any_bytes_give_the_same_keys_in_any_pieces_and_leave_a_keyboard_that_works(data: bytes) -> None:
    whole = KeyParser()
    keys = whole.feed(data, 0.0)
    parser = KeyParser()
    assert [key for byte in data for key in parser.feed(bytes([byte]), 0.0)] == keys
    assert set("".join(key for key in keys if len(key) == 1)) <= {chr(code) for code in range(0x21, 0x7F)}
    parser.expire(STALL_SECONDS)
    assert parser.deadline is None
    assert parser.feed(b"\x1b[Aq", 2 * STALL_SECONDS) == ["up", "q"]


def test_a_lone_escape_is_a_key_once_nothing_follows() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b", 1.0) == []
    assert parser.deadline == 1.0 + ESCAPE_SECONDS
    assert parser.expire(1.0 + ESCAPE_SECONDS - 0.01) == []
    assert parser.expire(1.0 + ESCAPE_SECONDS) == ["escape"]
    assert parser.deadline is None


def test_a_sequence_whose_first_byte_was_read_as_escape_is_still_not_letters() -> None:
    late = ESCAPE_SECONDS + 1.0
    for rest, keys in (
        (b"[A", ["up"]),
        (b"[?62;4c", []),
        (b"P1$rccc\x1b\\", []),
        (b"]11;ccc\x07", []),
        (b"_Gccc\x1b\\", []),
        (b"Pccc\x1b\\", []),
    ):
        parser = KeyParser()
        assert parser.feed(b"\x1b", 0.0) + parser.expire(ESCAPE_SECONDS) == ["escape"]
        assert parser.feed(rest + b"q", late) == [*keys, "q"]


def test_a_key_after_escape_is_that_key() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b", 0.0) == []
    assert parser.feed(b"q", ALT_SECONDS + 0.1) == ["escape", "q"]
    parser = KeyParser()
    assert parser.feed(b"\x1b", 0.0) + parser.expire(1.0) + parser.feed(b"q", 1.1) == ["escape", "q"]


@pytest.mark.parametrize("introducer", [b"P", b"]", b"_", b"^", b"X"])
@pytest.mark.parametrize("pause", [0.0, ESCAPE_SECONDS])
def test_keys_after_one_that_looks_like_a_string_are_keys(introducer: bytes, pause: float) -> None:
    parser = KeyParser()
    parser.feed(b"\x1b", 0.0)
    parser.expire(pause)
    assert parser.feed(introducer, pause) == []
    assert parser.feed(b"q", pause + 0.2) == ["q"]


def test_a_string_of_letters_in_one_piece_is_not_keys() -> None:
    for introducer in (b"P", b"]", b"_", b"^", b"X"):
        assert KeyParser().feed(b"\x1b" + introducer + b"ccc\x1b\\q", 0.0) == ["q"]


def test_a_character_with_alt_is_not_a_key() -> None:
    assert KeyParser().feed(b"\x1bq\x1bc", 0.0) == []


@pytest.mark.parametrize(
    "start", [b"\x1b[1;", b"\x1bO", b"\x1b]11;", b"\x1bP1$r", b"\x1b[200~abc", b"\x1b[M ", b"\xe6"]
)
def test_an_unfinished_sequence_is_forgotten_after_a_long_silence(start: bytes) -> None:
    parser = KeyParser()
    assert parser.feed(start, 0.0) == []
    assert parser.expire(STALL_SECONDS) == []
    assert parser.feed(b"q", STALL_SECONDS) == ["q"]


@pytest.mark.parametrize("start", [b"\x1bP", b"\x1b]", b"\x1b_", b"\x1b[", b"\x1bO1", b"\x1b[200~"])
def test_an_endless_sequence_is_not_kept(start: bytes) -> None:
    parser = KeyParser()
    parser.feed(start, 0.0)
    for _ in range(20):
        assert parser.feed(b"1" * 10_000, 0.0) == []
    kept = sum(len(value) for value in vars(parser).values() if isinstance(value, bytes | bytearray))
    assert kept <= 100
