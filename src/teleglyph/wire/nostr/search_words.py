"""Words of texts for searches (NIP-50): the same for stored and live events, and in every database.

A text is folded (case, width, accents), then cut into words at everything that is neither letter nor digit.  Scripts
in which words do not stand alone between blanks, such as Chinese, Japanese, Korean and Thai, are cut into single
characters and pairs of neighbours.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

MAX_WORDS: Final = 50
"""Words of one question; more are not looked at."""
MAX_TEXT_WORDS: Final = 20_000
"""Words of one text that it can be found by; PostgreSQL takes 1 MiB for a text."""
_LONGEST: Final = 64
_EXTENSION: Final = re.compile(r"(?:include|domain|language|sentiment|nsfw):\S+")
"""The extensions of NIP-50, which are understood to be none of the words, and not supported."""
_RUN: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)


def words_of(text: str) -> list[str]:
    """The words of a text, in their order and as often as they are there; of a very long one the first."""
    words = (word for run in _runs(text) for word in _cut(run, with_single=True))
    return list(itertools.islice(words, MAX_TEXT_WORDS))


@functools.lru_cache(1024)
def wanted_words(search: str) -> frozenset[str] | None:
    """The words that a text must have to be found; None if everything is, because the search is blank.

    A search without a word in it, such as one that holds only extensions, gives an empty set: it finds nothing.
    """
    if not search.strip():
        return None
    text = " ".join(part for part in search.split() if not _EXTENSION.fullmatch(part))
    words = [word for run in _runs(text) for word in _cut(run, with_single=False)]
    return frozenset(words[:MAX_WORDS])


def _runs(text: str) -> Iterator[str]:
    if text.isascii():
        yield from _RUN.findall(text.lower())
        return
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    folded = "".join(character for character in folded if unicodedata.category(character) != "Mn")
    yield from _RUN.findall(unicodedata.normalize("NFC", folded))


def _cut(run: str, *, with_single: bool) -> Iterator[str]:
    if run.isascii():
        yield run[:_LONGEST]
        return
    place = 0
    for found in _UNSPACED.finditer(run):
        if found.start() > place:
            yield run[place : found.start()][:_LONGEST]
        characters = found[0]
        if with_single or len(characters) == 1:
            yield from characters
        for index in range(len(characters) - 1):
            yield characters[index : index + 2]
        place = found.end()
    if place < len(run):
        yield run[place:][:_LONGEST]


def encode_words(words: Iterable[str]) -> str:
    """Words as a text of ASCII letters, digits and blanks, which every database's own splitter takes as they are."""
    return " ".join(f"w{word}" if word.isascii() else f"u{word.encode().hex()}" for word in words)
