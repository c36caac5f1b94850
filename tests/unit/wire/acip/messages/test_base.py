"""Text fields that several messages share."""

import pytest

from teleglyph.wire.acip.messages.base import clip_text, decode_padded, decode_text, encode
from teleglyph.wire.acip.messages.control import Ping


def test_a_message_encodes_to_a_whole_packet() -> None:
    assert encode(Ping()).hex() == "0000000a5c11c4a11389000000000000000000000000"


@pytest.mark.parametrize(
    ("text", "limit", "data"),
    [
        ("hello", 5, b"hello"),
        ("hello", 4, b"hell"),
        ("aä", 3, "aä".encode()),
        ("aä", 2, b"a"),
        ("😀", 3, b""),
        ("a\0b", 8, b"ab"),
        ("\ud800", 8, b"?"),
        ("", 0, b""),
    ],
)
def test_text_is_cut_between_characters(text: str, limit: int, data: bytes) -> None:
    assert clip_text(text, limit) == data


@pytest.mark.parametrize(
    ("field", "text"),
    [(b"bob\0\0", "bob"), (b"bob", "bob"), (b"bob\0junk", "bob"), (b"\0", ""), (b"a\xff\0", "a\ufffd")],
)
def test_a_padded_field_ends_at_its_first_nul(field: bytes, text: str) -> None:
    assert decode_padded(field) == text


def test_invalid_utf8_becomes_replacement_characters() -> None:
    assert decode_text(b"a\xc3(") == "a\ufffd("
