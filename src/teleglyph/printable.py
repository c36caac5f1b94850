"""The one gate for text from elsewhere: names, messages, error texts, file names, log lines.

Whatever a peer can influence becomes :class:`Printable` before a person's terminal, pipe or log gets it.
:mod:`teleglyph.console`, the log formatters and the screen all pass text through :func:`printable` themselves, so
nobody has to remember.  Frames have a gate of their own: :mod:`teleglyph.media.frame_text`.
"""

from __future__ import annotations

import unicodedata

import wcwidth

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""Stands where a character was taken out, so that a reader sees that something was there."""

_MAX_MARKS = 8
"""Combining marks kept on one character.  Real scripts need at most about four."""
_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
_KEPT_FORMATS = frozenset(
    "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"
    "\N{WORD JOINER}"
)
"""Format characters that scripts and emoji are written with.  They change nothing but the text around them, unlike the
embedding, override and isolate controls of bidirectional text, which reorder what stands after them."""
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
    Piles of combining marks are cut.  Everything else that does not print becomes U+FFFD.

    Args:
        text: what a peer sent, a file is called, an operating system answered.
        lines: keep line feeds; otherwise every kind of line break and tab becomes a space.
    """
    if isinstance(text, Printable) and (lines or "\n" not in text):
        return text
    if text.isascii() and text.isprintable():
        return Printable(text)
    kept: list[str] = []
    marks = 0
    for character in text.replace("\r\n", "\n"):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > _MAX_MARKS:
            continue
        if character == "\n" and lines:
            kept.append(character)
        elif character in _SPACES:
            kept.append(" ")
        else:
            kept.append(character if _is_safe(character, category) else REPLACEMENT)
    return Printable("".join(kept))


def _is_safe(character: str, category: str) -> bool:
    if category == "Cf":
        return character in _KEPT_FORMATS or character in _VISIBLE_FORMATS or ord(character) in _TAGS
    if category == "Cn":
        # Characters newer than Python's tables are drawn by newer terminals; noncharacters are not.
        return ord(character) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF
    return category not in ("Cc", "Cs", "Co")


def width(text: str) -> int:
    """Columns that a text takes on a terminal, measured by grapheme: an emoji of several characters is two wide."""
    return max(0, wcwidth.width(printable(text)))


def fit(text: str, columns: int) -> Printable:
    """As many whole graphemes of one line of text as fit into so many columns."""
    text = printable(text)
    if len(text) <= columns and text.isascii():
        return text
    kept: list[str] = []
    used = 0
    for grapheme in wcwidth.iter_graphemes(text):
        used += wcwidth.width(grapheme)
        if used > columns:
            break
        kept.append(grapheme)
    return Printable("".join(kept))
