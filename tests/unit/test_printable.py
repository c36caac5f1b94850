"""Text from elsewhere, made safe to print."""

from __future__ import annotations

import unicodedata

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.printable import REPLACEMENT, Printable, fit, graphemes, in_ascii, printable, width

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}"
SCOTLAND = "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
LONGEST = "\N{MAN}\U0001f3fd\u200d❤\ufe0f\u200d\N{KISS MARK}\u200d\N{MAN}\U0001f3ff"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

INTERESTING = (
    "aé 中\u0301\u0489\u200d\u200c\u200b\ufe0f\ufe0e\u0915\u094d\u0937\u093f\u0e33\uff9e\u1100\u1161\u11a8가\u0600"
    "\N{MAN}\U0001f3fd\U0001f1e9\U0001f1ea\N{WAVING BLACK FLAG}\U000e0067\U000e007f1\u20e3❤\u05d0\u0645"
    "\n\r\t\x1b\x9b\x07\x7f\ud800\udfff\ufdd0\uffff\ue000\u00ad\ufeff\u2028" + BIDI
)
texts = st.one_of(
    st.text(st.sampled_from(INTERESTING), max_size=60),
    st.text(st.characters(), max_size=40),
    st.text(st.one_of(st.sampled_from(INTERESTING), st.characters()), max_size=40),
)
"""Any code points, surrogates included, and those that go wrong together more often than chance would have it."""


@pytest.mark.parametrize(
    "text",
    [
        "plain words, 100 %",
        "Zoë Müller",
        "世界",
        FAMILY,
        LONGEST,
        SCOTLAND,
        "🇩🇪 1️⃣ 👍🏽 ❤️",
        "می\u200cخواهم نامه\u200cای",  # Persian, with its non-joiner
        "क्‍ष हिन्दी ശ്രീ\u200d",  # Indic scripts, with joiners
        "សួស្តី\u200bពិភពលោក",  # Khmer, with spaces that have no width
        "שָׁל֥וֹם \u200fעולם\u200e",
        "ก้ำ Tiếng Việt e\u0301\u0323",
        "\U0001fae8",  # newer than the Unicode tables of some Python versions
    ],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "�[31mred�"),
        ("\x9b31m\x90q\x9c", "�31m�q�"),
        ("a\x7f\x00b", "a��b"),
        ("one\ntwo\r\nthree\tfour\x85five\u2028six\u2029", "one two three four five six "),
        ("exe.\u202egnp", "exe.�gnp"),
        ("\u2066a\u2069\u206a\u061cb", "�a��\u061cb"),
        ("\ud83d\ude00", "��"),
        ("\ufdd0\ufffe\U0010ffff\ue000\U000f0000", "�����"),
        ("\ufeff\U000e0001\ufff9", "���"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 8),
        ("", ""),
    ],
)
def test_invisible_and_terminal_control_characters_are_replaced(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_line_feeds_may_stay_and_no_other_controls() -> None:
    assert printable("a\r\nb\rc\td\x0b", lines=True) == "a\nb c d "
    assert printable(printable("a\nb", lines=True)) == "a b"


@given(texts, st.booleans())
def test_the_result_is_safe_and_a_second_pass_changes_nothing(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert isinstance(shown, Printable)
    assert printable(str(shown), lines=lines) == shown
    assert not set(shown) & set(BIDI)
    kept = shown.replace("\n", "") if lines else shown
    assert not {unicodedata.category(character) for character in kept} & {"Cc", "Cs", "Co", "Zl", "Zp"}
    assert not any(ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) < 0xFDF0 for character in kept)
    shown.encode()


@given(st.text(st.characters(max_codepoint=0x7F), max_size=60))
def test_ascii_text_gets_the_same_result_on_both_paths(text: str) -> None:
    # A letter outside ASCII keeps the text off the fast path.
    assert printable(text + "é") == printable(text) + "é"
    for columns in range(8):
        assert fit(text, columns) == printable(text)[:columns]
        assert fit(text + "é", columns).removesuffix("é") == printable(text)[:columns]


@pytest.mark.parametrize("part", ["\u0301", "\u200d", "\U000e0061", "\ufe0f", "\u0489", "\u1161", "\U0001f3fd"])
@pytest.mark.parametrize("before", ["", "a", "\N{MAN}", "\u1100"])
def test_piles_of_combining_marks_are_cut(part: str, before: str) -> None:
    assert len(printable(before + part * 10_000)) <= 1 + 8 + len(before)
    assert len(fit(before + part * 10_000, 2)) <= 20


@pytest.mark.parametrize("link", ["\N{MAN}\u200d", "\u0915\u094d", "a\u0301\u200d", "\N{MAN}\U0001f3fd\u200d"])
def test_endless_chains_are_cut(link: str) -> None:
    shown = printable(link * 10_000)
    assert max(len(grapheme) for grapheme in graphemes(shown)) <= 100
    assert len(fit(link * 10_000, 4)) <= 400


@given(texts, st.integers(-2, 20))
def test_text_fits_and_no_grapheme_is_cut(text: str, columns: int) -> None:
    fitted = fit(text, columns)
    assert width(fitted) <= max(0, columns)
    whole, kept = list(graphemes(text)), list(graphemes(fitted))
    assert whole[: len(kept)] == kept
    if len(kept) < len(whole):
        assert width(fitted) + width(whole[len(kept)]) > columns
    assert printable(str(fitted)) == fitted


@given(texts)
def test_every_grapheme_is_short(text: str) -> None:
    assert all(len(grapheme) <= 100 + 100 * width(grapheme) for grapheme in graphemes(text))


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("é", 1), ("世界", 4), (FAMILY, 2), (LONGEST, 2), (SCOTLAND, 2), ("🇩🇪🇫🇷", 4)]
    + [("می\u200cخواهم", 7), ("e\u0301", 1), ("❤️", 2), ("\x1b\u202e", 2), ("a\nb", 3)],
)
def test_width_is_counted_by_grapheme(text: str, columns: int) -> None:
    assert width(text) == columns
    assert fit(text, columns) == printable(text)
    assert width(fit(text, columns - 1)) < max(columns, 1)


@given(texts)
def test_width_is_never_less_than_the_widest_character(text: str) -> None:
    shown = printable(text)
    assert width(text) >= max((wcwidth.wcwidth(character) for character in shown), default=0)
    assert width(text) <= sum(max(0, wcwidth.wcwidth(character)) for character in shown) + len(shown)


@given(texts)
def test_ascii_is_ascii_with_a_mark_for_each_other_grapheme(text: str) -> None:
    plain = in_ascii(text)
    assert plain.isascii()
    assert plain.isprintable()
    assert len([g for g in graphemes(text) if not g.isascii()]) <= plain.count("?")


def test_ascii_marks_a_family_once() -> None:
    assert in_ascii(f"Zoë {FAMILY} 世") == "Zo? ? ?"
    assert in_ascii("plain") == "plain"
    assert in_ascii("a\x1bb") == "a?b"
    assert REPLACEMENT not in in_ascii("\ud800")
