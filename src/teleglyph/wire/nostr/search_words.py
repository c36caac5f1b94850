"""Words for searches (NIP-50), the same for stored and live events and for every database.

A text is folded (case, width, accents), then split at everything that is neither a letter nor a digit.  Scripts that do
not separate words, such as Chinese, Japanese, Korean and Thai, are split into characters and pairs of neighbours.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

MAX_WORDS: Final = 50
"""Words of one search; more are ignored."""
MAX_TEXT_WORDS: Final = 20_000
"""Words of one text; more are ignored, since PostgreSQL takes at most 1 MiB."""
_MAX_WORD: Final = 64
_EXTENSION: Final = re.compile(r"(?:include|domain|language|sentiment|nsfw):\S+")
"""Extensions of NIP-50: they are not words, and not supported."""
_RUN: Final = re.compile(r"[^\W_]+")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff]+"
)


def words_of(text: str) -> list[str]:
    """The words of a text in their order, with repetitions; of a very long text only the first."""
    words = (word for run in _runs(text) for word in _cut(run, with_single=True))
    return list(itertools.islice(words, MAX_TEXT_WORDS))


@functools.lru_cache(1024)
def wanted_words(search: str) -> frozenset[str] | None:
    """The words that a text must have; None for a blank search, which finds everything.

    A search without words, for example with extensions only, gives an empty set and finds nothing.
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
        yield run[:_MAX_WORD]
        return
    place = 0
    for found in _UNSPACED.finditer(run):
        if found.start() > place:
            yield run[place : found.start()][:_MAX_WORD]
        characters = found[0]
        if with_single or len(characters) == 1:
            yield from characters
        for index in range(len(characters) - 1):
            yield characters[index : index + 2]
        place = found.end()
    if place < len(run):
        yield run[place:][:_MAX_WORD]


def encode_words(words: Iterable[str]) -> str:
    """Words as ASCII letters, digits and blanks, so that no database splits them in its own way."""
    return " ".join(f"w{word}" if word.isascii() else f"u{word.encode().hex()}" for word in words)
