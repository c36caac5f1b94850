"""The words by which a text is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.wire.nostr.event import sign_event
from teleglyph.wire.nostr.filter import read_filter
from teleglyph.wire.nostr.search_words import MAX_TEXT_WORDS, encode_words, wanted_words, words_of


def finds(search: str, text: str) -> bool:
    return read_filter({"search": search}).matches(sign_event(bytes([1]) * 32, 1, 1, [], text))


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("fox", "The quick brown FOX."),
        ("FOX brown", "the quick brown fox"),
        ("path/to", "see path/to/file"),
        ("path to", "see path/to/file"),
        ("naive", "so naïve"),
        ("naïve", "so naive"),
        ("привет", "Привет, мир"),
        ("STRASSE", "Straße"),
        ("https://example.org/x", "look: https://example.org/x?y=1"),
        ("nostr:npub1abc", "by nostr:npub1abc"),
        ("c:drive", "my c:drive"),
        ("fox language:en", "a fox"),
        ("会議", "明日は会議があります"),
        ("議", "会議"),
        ("한국", "대한민국 한국어"),
        ("ไทย", "ภาษาไทยง่าย"),
        ("ｆｏｘ", "fox"),
        ("a\0b", "a b"),
        ("x_y", "x y"),
        ("2024", "in 2024-05"),
        ("", "anything"),
        ("  ", "anything"),
    ],
)
def test_a_text_is_found(search: str, text: str) -> None:
    assert finds(search, text)


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("fo", "fox"),
        ("fox cat", "a fox"),
        ("language:en", "language:en anything"),
        ("!?", "!? anything"),
        ("\0", "anything"),
        ("議会", "会議"),
        ("language:en sentiment:x", "anything"),
    ],
)
def test_a_text_is_not_found(search: str, text: str) -> None:
    assert not finds(search, text)


@given(st.text())
def test_every_text_finds_itself(text: str) -> None:
    wanted = wanted_words(text)
    assert wanted is None or wanted.issubset(words_of(text)) or len(wanted) == 50


@given(st.text())
def test_words_are_plain_letters_once_they_are_encoded(text: str) -> None:
    words = words_of(text)
    encoded = encode_words(words)
    assert encoded.split() == ([] if not words else encoded.split(" "))
    assert all(part.isascii() and part.isalnum() for part in encoded.split())
    assert len(encoded.split()) == len(words)
    assert len({*encoded.split()}) == len({*words})


def test_the_words_of_long_texts_are_bounded() -> None:
    assert len(words_of("会" * 100_000)) == MAX_TEXT_WORDS
