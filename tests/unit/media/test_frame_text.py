"""Which text from a peer a terminal may see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.media.frame_text import measure


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (b"", (1, 0, 0)),
        (b"plain\nrows!", (2, 5, 5)),
        ("▀█é𝄞".encode(), (1, 4, 4)),
        (b"\x1b[38;2;1;2;3mX\x1b[0m", (1, 1, 1)),
        (b"\x1b[0m\n\x1b[48;5;7m \x1b[m", (2, 0, 1)),
        (b"abc\n\n", (3, 0, 3)),
    ],
)
def test_text_rows_and_colours_are_measured(text: bytes, shape: tuple[int, int, int]) -> None:
    assert measure(text) == shape


@pytest.mark.parametrize(
    "text",
    [
        b"\x1b[2J",
        b"\x1b]0;title\x07",
        b"\x1bc",
        b"a\rb",
        b"a\tb",
        b"\x00",
        b"\x07",
        b"\x1b[6n",
        b"\x1b[?1m",
        b"\x1bP+q544e\x1b\\",
        b"\x7f",
        b"text\x1b",
        b"text\x1b[1",
        b"\x1b[?1049l",
        "\x9b2J".encode(),
        "\x85".encode(),
        b"\x9b2J",
        b"\xff",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x96",
    ],
)
def test_whatever_else_a_server_could_send_is_not_drawn(text: bytes) -> None:
    assert measure(text) is None
    assert measure(b"before\n" + text) is None


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_all_text_without_controls_may_be_drawn(text: str) -> None:
    assert measure(text.encode()) == (1, len(text), len(text))


@given(st.binary(max_size=40))
def test_what_may_be_drawn_is_utf8_without_controls(data: bytes) -> None:
    if measure(data) is not None:
        text = data.decode()
        assert all(char in "\n\x1b" or char.isprintable() or ord(char) >= 0xA0 for char in text)
