"""Values that options accept and refuse."""

import click
import pytest

from teleglyph.cli.option_types import Number, check_name, default_name


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
def test_names_are_accepted_unchanged(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is blank"),
        ("  ", "is blank"),
        ("\u200d\u200d", "is blank"),
        ("x" * 32, "has 32 bytes"),
        ("世" * 11, "has 33 bytes"),
        ("a\x1b[31m", "unprintable"),
        ("a\nb", "unprintable"),
        ("a\tb", "unprintable"),
        ("exe.\u202egnp", "unprintable"),
        ("a" + "\u0301" * 12, "unprintable"),
        ("\udce9", "unprintable"),
    ],
)
def test_long_or_unprintable_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        check_name(name)


@pytest.mark.parametrize("text", ["nan", "NaN", "inf", "-inf", "1e999", "x", "", "-1", "11"])
def test_numbers_must_be_finite_and_in_range(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Number(0, 10).convert(text, None, None)


@pytest.mark.parametrize("text", ["inf", "nan"])
def test_an_open_range_excludes_infinity(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a number"):
        Number(0).convert(text, None, None)
    assert Number(0).convert("1e9", None, None) == 1e9


def test_a_long_user_name_is_cut_to_the_bytes_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "é" * 31)
    assert check_name(default_name()) == "é" * 15
