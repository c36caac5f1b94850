"""Names of calls: an adjective and two nouns, such as ``brave-otter-lamp``, to read out over a phone.

The word lists are in ``words``.  No word sounds like another common English word, and none is spelled in two ways.
"""

from __future__ import annotations

import difflib
import itertools
import re
import secrets
from functools import cache
from importlib.resources import files

NAMES = 4_441_779_342
"""How many names :func:`random_name` can return, all with the same probability: a little more than 2**32."""
MAX_NAME = 38
"""Characters of a name."""
_SUGGESTIONS = 3
"""The most names that :func:`similar_names` returns."""
_LIKENESS = 0.7
"""How much of a word must be right to correct it, as :func:`difflib.get_close_matches` counts it."""
# Names from other services may use words that our lists lack.
_NAME = re.compile(r"[a-z]{2,12}-[a-z]{2,12}-[a-z]{2,12}", re.ASCII)


def random_name() -> str:
    """A name that nobody can predict, with two different nouns."""
    nouns = _nouns()
    first = secrets.choice(nouns)
    second = secrets.choice(nouns)
    while second == first:
        second = secrets.choice(nouns)
    return f"{secrets.choice(_adjectives())}-{first}-{second}"


def is_name(text: str) -> bool:
    """Whether a text has the form of a name: three words of 2 to 12 letters from a to z, joined by hyphens."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def is_listed(text: str) -> bool:
    """Whether a text is an adjective and two nouns of our lists.  Other services may have others."""
    return is_name(text) and all(word in known for word, known in zip(text.split("-"), _lists(), strict=True))


def similar_names(text: str) -> list[str]:
    """What somebody may have meant who typed a name with words that are not in our lists.

    Returns:
        at most three names of our lists, the most similar one first; none if a word is similar to no other, if all
        words are listed, or if the text does not have the form of a name.
    """
    if not is_name(text) or is_listed(text):
        return []
    choices = [
        [word] if word in known else difflib.get_close_matches(word, known, _SUGGESTIONS, _LIKENESS)
        for word, known in zip(text.split("-"), _lists(), strict=True)
    ]
    names = ["-".join(words) for words in itertools.product(*choices)]
    return sorted(names, key=lambda name: -difflib.SequenceMatcher(None, text, name).ratio())[:_SUGGESTIONS]


def _lists() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return _adjectives(), _nouns(), _nouns()


@cache
def _adjectives() -> tuple[str, ...]:
    return _read("adjectives.txt")


@cache
def _nouns() -> tuple[str, ...]:
    return _read("nouns.txt")


def _read(file: str) -> tuple[str, ...]:
    return tuple(files("teleglyph.discovery").joinpath("words", file).read_text("ascii").split())
