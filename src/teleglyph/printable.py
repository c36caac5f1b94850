"""The one gate for text from elsewhere: names, messages, error texts, file names, log lines.

Whatever a peer can influence becomes :class:`Printable` before a person's terminal, pipe or log gets it.
:mod:`teleglyph.console`, the log formatters and the screen all pass text through :func:`printable` themselves, so
nobody has to remember.  Frames have a gate of their own: :mod:`teleglyph.media.frame_text`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import wcwidth

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""Stands where a character was taken out, so that a reader sees that something was there."""

_MAX_EXTENSIONS = 8
"""Characters without a width of their own that are kept behind one that has a width.  Real scripts need about four,
the flags of regions seven."""
_MAX_JOINS = 8
"""Characters that are kept joined to the one before.  The longest emoji have four, the longest conjuncts fewer."""
_JOINER = "\N{ZERO WIDTH JOINER}"
_VIRAMA = 9
"""Canonical combining class of the signs that join the consonants of Indic scripts."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
_KEPT_FORMATS = frozenset(
    "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{WORD JOINER}\N{MONGOLIAN VOWEL SEPARATOR}"
    "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"
)
"""Format characters that scripts and emoji are written with; Khmer separates its words with one.  They affect only the
text around them.  The embedding, override and isolate controls of bidirectional text reorder what follows."""
_VISIBLE_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # signs that are drawn
)
_TAGS = range(0xE0020, 0xE0080)
"""Tag characters; flags of regions are spelled with them."""


class Printable(str):
    """Text that cannot steer a terminal.  Only :func:`printable` and :func:`fit` make it."""

    __slots__ = ()


def printable(text: str, *, lines: bool = False) -> Printable:
    """Text from anywhere, safe to print: no control characters, no escape sequences, no reordering of what follows.

    Joiners, tag characters and variation selectors stay, so emoji and scripts such as Persian keep their shape.
    Piles of combining marks and endless chains of joined characters are cut.  Everything else that does not print
    becomes U+FFFD.

    Args:
        text: from a peer, a file name or the operating system.
        lines: keep line feeds; otherwise every kind of line break and tab becomes a space.
    """
    if isinstance(text, Printable) and (lines or "\n" not in text):
        return text
    if text.isascii() and text.isprintable():
        return Printable(text)
    kept: list[str] = []
    extensions = joins = 0
    is_joined = False
    for original in text.replace("\r\n", "\n"):
        character = _shown_as(original, lines)
        joins_next = character == _JOINER or unicodedata.combining(character) == _VIRAMA
        if _extends(character, bool(kept)):
            if extensions == _MAX_EXTENSIONS or (joins_next and joins == _MAX_JOINS):
                continue
            extensions += 1
            is_joined = is_joined or joins_next
        else:
            joins = joins + 1 if is_joined else 0
            extensions, is_joined = 0, False
        kept.append(character)
    return Printable("".join(kept))


def _shown_as(character: str, lines: bool) -> str:
    """What stands for a character."""
    if character == "\n" and lines:
        return character
    if character in _SPACES:
        return " "
    return character if _is_safe(character) else REPLACEMENT


def _extends(character: str, has_base: bool) -> bool:
    """Whether a character changes the one before and takes no room of its own."""
    if ord(character) in _SKIN_TONES:
        return has_base
    return wcwidth.wcwidth(character) == 0


def _is_safe(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character in _KEPT_FORMATS or character in _VISIBLE_FORMATS or ord(character) in _TAGS
    if category == "Cn":
        # Characters newer than Python's tables are drawn by newer terminals; noncharacters are not.
        return ord(character) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF
    return category not in ("Cc", "Cs", "Co", "Zl", "Zp")


def width(text: str) -> int:
    """Columns that a text takes on a terminal, measured by grapheme: an emoji of several characters is two wide."""
    return sum(_grapheme_width(grapheme) for grapheme in graphemes(text))


def graphemes(text: str) -> Iterator[str]:
    """What people take for the characters of one line of text, each as one string."""
    return wcwidth.iter_graphemes(printable(text))


def fit(text: str, columns: int) -> Printable:
    """As many whole graphemes of one line of text as fit into so many columns."""
    text = printable(text)
    if text.isascii():
        return Printable(text[: max(0, columns)])
    kept: list[str] = []
    used = 0
    for grapheme in graphemes(text):
        used += _grapheme_width(grapheme)
        if used > columns:
            break
        kept.append(grapheme)
    return Printable("".join(kept))


def in_ascii(text: str) -> Printable:
    """One line of text for a terminal that shows ASCII only: every other grapheme becomes a question mark."""
    text = printable(text)
    if text.isascii():
        return text
    return Printable("".join(grapheme if grapheme.isascii() else "?" for grapheme in graphemes(text)))


def _grapheme_width(grapheme: str) -> int:
    # Never less than one of its parts: what is joined to a letter by mistake is drawn beside it by most terminals.
    return max(wcwidth.width(grapheme), *map(wcwidth.wcwidth, grapheme))
