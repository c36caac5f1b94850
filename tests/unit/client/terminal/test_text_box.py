"""Text wrapped, aligned and divided into pages by its width on terminals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.terminal.text_box import help_pages, wrap, wrap_lines
from teleglyph.printable import printable, width

KEYS = [
    ("q", "quit"),
    ("c", "colours"),
    ("?", "this help"),
    ("1 to 9", "show one participant alone"),
    ("Left, Right", "the next one, also beyond 9"),
    ("m", "mute the microphone"),
    ("Space", "talk"),
]
ABOUT = "80x23, 256 colours, quadrant"


def test_keys_and_texts_are_aligned() -> None:
    (page,) = help_pages(KEYS, ABOUT, 76, 23)
    assert page[0] == page[-1] == ""
    lines = page[1 : 1 + len(KEYS)]
    ends = {line.index(text) for line, (_, text) in zip(lines, KEYS, strict=True)}
    assert len(ends) == 1
    assert [line.strip().startswith(key) for line, (key, _) in zip(lines, KEYS, strict=True)] == [True] * len(KEYS)
    assert page[-2] == ABOUT


def test_alignment_follows_the_drawn_width() -> None:
    (page,) = help_pages(
        [("q", "quit"), ("世界", "wide"), ("\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}", "x")], "", 40, 10
    )
    columns = [width(line[: line.index(text)]) for line, text in zip(page[1:4], ("quit", "wide", "x"), strict=True)]
    assert len(set(columns)) == 1


def test_low_windows_show_keys_beside_each_other() -> None:
    (page,) = help_pages(KEYS, ABOUT, 116, 4)
    assert len(page) <= 4
    assert all(text in "\n".join(page) for _, text in KEYS)


@given(st.integers(1, 120), st.integers(1, 40))
def test_nothing_of_the_help_is_lost_in_any_window(columns: int, rows: int) -> None:
    pages = help_pages(KEYS, ABOUT, columns, rows)
    assert all(len(page) <= rows and all(width(line) <= columns for line in page) for page in pages)
    if len(pages) == 1:
        shown = "".join("".join(pages[0]).split())
        words = [word for key, text in KEYS for word in (*key.split(), *text.split())]
        assert all(word in shown for word in words)
        return
    has_foot = rows >= 2
    shown = "".join("".join("".join(page[: len(page) - has_foot]).split()) for page in pages).replace(":", "")
    assert all("".join(f"{key}{text}".split()) in shown for key, text in KEYS)
    assert "".join(ABOUT.split()) in shown
    assert not has_foot or all(page[-1].startswith("?") for page in pages)


@given(st.text(max_size=60), st.integers(2, 30))
def test_wrapped_lines_fit_and_keep_every_word(text: str, columns: int) -> None:
    text = printable(text)
    lines = wrap(text, columns)
    assert all(width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_sentences_that_are_too_long_for_the_window_end_with_dots(rows: int) -> None:
    lines = wrap_lines(["The connection broke because something happened that takes long to tell."], 16, rows)
    assert len(lines) == rows
    assert lines[-1].endswith("...")
    assert all(width(line) <= 16 for line in lines)
