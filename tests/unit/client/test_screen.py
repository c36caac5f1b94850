"""What may be drawn on a person's terminal."""

import pytest

from teleglyph.client.screen import is_safe


@pytest.mark.parametrize(
    "text",
    [b"", b"plain\nrows", "▀█é".encode(), b"\x1b[38;2;1;2;3mX\x1b[0m", b"\x1b[0m\n\x1b[48;5;7m "],
)
def test_text_rows_and_colours_are_drawn(text: bytes) -> None:
    assert is_safe(text)


@pytest.mark.parametrize(
    "text",
    [
        b"\x1b[2J",
        b"\x1b]0;title\x07",
        b"\x1bc",
        b"a\rb",
        b"\x07",
        b"\x1b[6n",
        b"\x1bP+q544e\x1b\\",
        b"\x7f",
        b"text\x1b",
        b"\x1b[?1049l",
    ],
)
def test_anything_else_a_server_could_send_is_not(text: bytes) -> None:
    assert not is_safe(text)
