"""Keys out of a terminal's bytes."""

import pytest

from teleglyph.client.keys import KeyParser


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"QC?", ["q", "c", "?"]),
        (b" ", ["space"]),
        (b"\x1b[A\x1b[B\x1bOC\x1bOD", ["up", "down", "right", "left"]),
        (b"\x1b[1;5A", ["up"]),
        (b"\x1b[15~", []),
        (b"\x1bq", []),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\x1b[?62;4c\x1b[?2026;2$y", []),
        (b"\x1bP1$r48:2:1:2:3m\x1b\\q", ["q"]),
        (b"\x1b]11;rgb:0000/0000/0000\x07q", ["q"]),
        (b"\r\n\t\x00\x7f\xc3\xa9", []),
    ],
)
def test_keys_are_found_and_answers_of_the_terminal_are_not_keys(data: bytes, keys: list[str]) -> None:
    assert KeyParser().feed(data) == keys
    byte_by_byte = KeyParser()
    assert [key for byte in data for key in byte_by_byte.feed(bytes([byte]))] == keys


def test_a_lone_escape_is_a_key_once_nothing_follows() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b") == []
    assert parser.is_waiting
    assert parser.flush() == ["escape"]
    assert not parser.is_waiting


def test_an_unfinished_sequence_is_forgotten() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b[1;") == []
    assert parser.flush() == []
    assert parser.feed(b"q") == ["q"]


def test_an_endless_sequence_is_not_kept() -> None:
    parser = KeyParser()
    for _ in range(100):
        parser.feed(b"\x1bP" + b"x" * 10_000)
    assert len(parser._pending) <= 4096
