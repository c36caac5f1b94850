"""Three-word names: the lists, the form, and what a typo gets."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.discovery import names

LISTS = {name: files("teleglyph.discovery").joinpath("words", f"{name}.txt") for name in ("adjectives", "nouns")}
WORDS = {name: path.read_text("ascii").splitlines() for name, path in LISTS.items()}
ALL = [word for words in WORDS.values() for word in words]


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_list_is_sorted_and_has_no_word_twice(words: list[str]) -> None:
    assert all(first < second for first, second in pairwise(words))


def test_words_are_short_and_plain() -> None:
    assert [word for word in ALL if not re.fullmatch(r"[a-z]{3,9}", word)] == []


def test_no_word_is_in_both_lists() -> None:
    assert len(set(ALL)) == len(ALL)


def test_no_word_is_only_the_plural_of_another() -> None:
    known = set(ALL)
    assert [word for word in ALL if known & {word.removesuffix("s"), word.removesuffix("es")} - {word}] == []


def test_there_are_as_many_names_as_documented() -> None:
    adjectives, nouns = len(WORDS["adjectives"]), len(WORDS["nouns"])
    assert adjectives * nouns * (nouns - 1) == names.NAMES
    assert names.NAMES >= 1 << 32
    glossary = Path(__file__).parents[3].joinpath("docs", "architecture.md").read_text()
    assert f"from {names.NAMES:,} in our lists".replace(",", " ") in glossary


def test_random_names_are_listed_and_differ() -> None:
    made = [names.random_name() for _ in range(500)]
    assert len(set(made)) == 500
    for name in made:
        assert names.is_name(name)
        assert names.is_listed(name)
        assert len(set(name.split("-"))) == 3


def test_a_noun_does_not_follow_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = iter(["otter", "otter", "otter", "lamp", "brave"])
    monkeypatch.setattr("secrets.choice", lambda _words: next(chosen))
    assert names.random_name() == "brave-otter-lamp"


@pytest.mark.parametrize("text", ["brave-otter-lamp", "ab-cd-ef", "a" * 12 + "-" + "b" * 12 + "-" + "c" * 12])
def test_the_form_of_a_name(text: str) -> None:
    assert names.is_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "brave-otter",
        "brave-otter-lamp-tree",
        "brave otter lamp",
        "Brave-otter-lamp",
        "brave-otter-lamp\n",
        "brave--lamp",
        "a-otter-lamp",
        "brave-otter-" + "l" * 13,
        "brave-otter-lämp",
        "brave-otter-lam9",
        "example.org",
    ],
)
def test_what_is_not_a_name(text: str) -> None:
    assert not names.is_name(text)
    assert not names.is_listed(text)
    assert names.similar_names(text) == []


@given(st.text(max_size=60))
def test_the_longest_name(text: str) -> None:
    assert not names.is_name(text) or len(text) <= names.MAX_NAME


def test_a_name_needs_an_adjective_first() -> None:
    assert names.is_listed("brave-otter-lamp")
    assert not names.is_listed("otter-brave-lamp")
    assert not names.is_listed("brave-otter-xyzzy")


@pytest.mark.parametrize(
    "typed",
    ["brave-oter-lamp", "brave-otter-lampp", "barve-otter-lamp", "brav-ottre-lamp"],
)
def test_a_typo_gets_the_name_that_was_meant(typed: str) -> None:
    assert "brave-otter-lamp" in names.similar_names(typed)
    assert len(names.similar_names(typed)) <= 3


@pytest.mark.parametrize("name", ["brave-otter-lamp", "brave-otter-xyzzyqq"])
def test_no_suggestion_without_a_similar_word(name: str) -> None:
    assert names.similar_names(name) == []
