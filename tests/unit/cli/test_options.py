"""What options accept."""

import click
import pytest

from teleglyph.cli.options import check_name


@pytest.mark.parametrize(
    "name",
    [
        "ann",
        "Zoë Müller",
        "世界",
        "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY} Al",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "🇩🇪 ❤️",
        "می\u200cخواهم",
        "x" * 31,
    ],
)
def test_names_of_people_are_taken_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "nothing to see"),
        ("  ", "nothing to see"),
        ("\u200d\u200d", "nothing to see"),
        ("x" * 32, "has 32 bytes"),
        ("世" * 11, "has 33 bytes"),
        ("a\x1b[31m", "do not print"),
        ("a\nb", "do not print"),
        ("a\tb", "do not print"),
        ("exe.\u202egnp", "do not print"),
        ("a" + "\u0301" * 12, "do not print"),
        ("\udce9", "do not print"),
    ],
)
def test_names_that_do_not_fit_or_do_not_print_are_refused(name: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        check_name(name)
