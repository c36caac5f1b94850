"""Texts of a peer that people read."""

import pytest

from teleglyph.call.peer_log import shortened

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("ann", 32, "ann"),
        ("  ann \n", 32, "ann"),
        (f"{FAMILY} Al", 32, f"{FAMILY} Al"),
        (f"{FAMILY}{FAMILY}", 3, FAMILY),
        ("می\u200cخواهم", 32, "می\u200cخواهم"),
        ("evil\x1b[2J\u202e", 32, "evil�[2J�"),
        ("two\nlines", 32, "two lines"),
        ("日" * 40, 32, "日" * 16),
        ("x" * 100_000, 5, "xxxxx"),
        ("\n\t ", 32, ""),
    ],
)
def test_a_peers_text_is_made_printable_and_short(text: str, columns: int, shown: str) -> None:
    assert shortened(text, columns) == shown


def test_a_pile_of_marks_stays_small() -> None:
    assert len(shortened("a" + "\u0301" * 100_000, 32)) < 20
