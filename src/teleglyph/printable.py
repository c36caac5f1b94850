"""Makes untrusted text safe to print: names, messages, error texts, file names, log lines.

Text that a peer can influence becomes :class:`Printable` before it reaches a terminal, pipe or log.
:mod:`teleglyph.console`, the log formatters and the screen call :func:`printable` themselves, so their callers need
not.  Frames are checked by :mod:`teleglyph.media.frame_text`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import wcwidth

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""Replaces a character that was removed, so that readers notice."""

_MAX_EXTENSIONS = 8
"""Zero-width characters kept after a character with a width.  Real scripts need about four, regional flags seven."""
_MAX_JOINS = 8
"""Characters kept joined to the previous one.  The longest emoji have four, the longest conjuncts fewer."""
_JOINER = "\N{ZERO WIDTH JOINER}"
_VIRAMA = 9
"""Canonical combining class of the signs that join consonants in Indic scripts."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
_KEPT_FORMATS = frozenset(
    "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{WORD JOINER}\N{MONGOLIAN VOWEL SEPARATOR}"
    "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"
)
"""Format characters that scripts and emoji need; Khmer separates words with one.  They only affect adjacent text.  The
embedding, override and isolate controls are missing, because they reorder all text that follows."""
_VISIBLE_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # visible signs
)
_TAGS = range(0xE0020, 0xE0080)
"""Tag characters, which spell regional flags."""


class Printable(str):
    """Text that cannot control a terminal.  Only the functions of this module create it."""

    __slots__ = ()


def printable(text: str, *, lines: bool = False) -> Printable:
    """Remove control characters, escape sequences and reordering controls from text.

    Joiners, tag characters and variation selectors stay, so that emoji and scripts such as Persian keep their shape.
    Long runs of combining marks or joined characters are cut.  Any other unprintable character becomes U+FFFD.

    Args:
        text: from a peer, a file name or the operating system.
        lines: keep line feeds; by default, line breaks and tabs become spaces.
    """
    if isinstance(text, Printable) and (lines or "\n" not in text):
        return text
    if text.isascii() and text.isprintable():
        return Printable(text)
    kept: list[str] = []
    extensions = joins = 0
    is_joined = False
    for original in text.replace("\r\n", "\n"):
        character = _replacement(original, lines)
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


def _replacement(character: str, lines: bool) -> str:
    """The replacement for a character, or the character itself."""
    if character == "\n" and lines:
        return character
    if character in _SPACES:
        return " "
    return character if _is_safe(character) else REPLACEMENT


def _extends(character: str, has_base: bool) -> bool:
    """Whether a character modifies the previous one and adds no width."""
    if ord(character) in _SKIN_TONES:
        return has_base
    return wcwidth.wcwidth(character) == 0


def _is_safe(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character in _KEPT_FORMATS or character in _VISIBLE_FORMATS or ord(character) in _TAGS
    if category == "Cn":
        # Newer terminals draw characters that Python's tables do not have yet.  Noncharacters are never drawn.
        return ord(character) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF
    return category not in ("Cc", "Cs", "Co", "Zl", "Zp")


def width(text: str) -> int:
    """Columns of a text on a terminal, measured by grapheme: an emoji of several characters takes two."""
    return sum(_grapheme_width(grapheme) for grapheme in graphemes(text))


def graphemes(text: str) -> Iterator[str]:
    """The graphemes of one line of text: what people see as characters."""
    return wcwidth.iter_graphemes(printable(text))


def fit(text: str, columns: int) -> Printable:
    """Cut one line of text to a number of columns, between graphemes."""
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
    """Replace graphemes outside ASCII with question marks, for terminals that only show ASCII."""
    text = printable(text)
    if text.isascii():
        return text
    return Printable("".join(grapheme if grapheme.isascii() else "?" for grapheme in graphemes(text)))


def _grapheme_width(grapheme: str) -> int:
    # At least as wide as its widest part: most terminals draw what is joined to a letter by mistake beside it.
    return max(wcwidth.width(grapheme), *map(wcwidth.wcwidth, grapheme))
