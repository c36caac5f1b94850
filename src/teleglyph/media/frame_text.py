"""Checks frames of text: terminals, pipes and snapshots only get a :class:`SafeFrame`.

Names and messages are checked by :mod:`teleglyph.printable`.
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata

import wcwidth

from teleglyph.media import _native
from teleglyph.media.grid import Grid, Painter, is_assigned

_SEQUENCE = re.compile(rb"\x1b(\[[\x20-\x3f]*[\x40-\x7e]?|[\x21-\x7e]?)")
_MAX_QUOTED = 12
"""Characters of an escape sequence that :func:`explain_refusal` quotes."""


class SafeFrame(bytes):
    """A frame that can only draw characters on a terminal.

    It consists of UTF-8 characters, line feeds between its rows, and SGR sequences for colours and plain attributes.
    Each row begins and ends without attributes, and no row is wider than requested.  Only this module makes such
    frames.

    Attributes:
        rows: number of rows.
        narrowest: columns of its shortest row.
    """

    rows: int
    narrowest: int


class GlyphKind(enum.IntEnum):
    """How a character is drawn; the numbers are those of the native code."""

    DROPPED = 0
    """Left out: it is invisible, or changes the width of its neighbours."""
    MARK = 1
    """Kept on the character before it."""
    NARROW = 2
    WIDE = 3
    REPLACED = 4
    """Becomes a question mark."""


def check_frame(text: bytes, columns: int, rows: int) -> SafeFrame | None:
    """Check a server's text; returns it as a frame, or None if it must not be drawn.

    The text may contain UTF-8 characters, line feeds, SGR (``ESC [ numbers m``) and REP (``ESC [ numbers b``), which is
    expanded.  Everything else could move the cursor, generate keyboard input or worse: other controls of C0 and C1,
    DEL, bytes that are not UTF-8.  Rows are cut to ``columns``.  Only the last ``rows`` rows are kept, as on a terminal
    that scrolls; a line feed at the very end begins no row.

    Args:
        text: from the server.
        columns: requested width, at least 1.
        rows: requested height, at least 1.
    """
    drawable, glyphs = _native.scan_text(text)
    if drawable < len(text):
        return None
    return _safe(*_native.fit_text(text, glyphs, bytes(map(glyph_kind, glyphs)), columns, rows))


def paint_frame(painter: Painter, grid: Grid) -> SafeFrame:
    """Render a grid as a frame.  Grids only hold drawable characters (:func:`teleglyph.media.grid.apply_update`)."""
    return _safe(painter.all(grid), grid.rows, grid.columns)


def explain_refusal(text: bytes) -> str:
    """Why :func:`check_frame` refuses a text: the end of the sentence "The server's frames cannot be shown:"."""
    drawable, _ = _native.scan_text(text)
    rest = text[drawable:]
    if not rest:
        return "nothing is wrong with them"
    if sequence := _SEQUENCE.match(rest):
        quoted = " ".join(["ESC", *sequence[1][:_MAX_QUOTED].decode()])
        return f"they contain the escape sequence {quoted}"
    if rest[0] < 0x20 or rest[0] == 0x7F:
        return f"they contain the control character 0x{rest[0]:02x}"
    if rest[0] == 0xC2 and rest[1:2] and 0x80 <= rest[1] < 0xA0:
        return f"they contain the control character U+{rest[1]:04X}"
    try:
        rest[:4].decode()
    except UnicodeDecodeError as error:
        if error.start == 0:
            return f"they are not UTF-8 (byte 0x{rest[0]:02x})"
    return "they use too many different characters"


@functools.lru_cache(8192)
def glyph_kind(glyph: int) -> GlyphKind:
    """How a code point is drawn."""
    character = chr(glyph)
    category = unicodedata.category(character)
    width = wcwidth.wcwidth(character)
    if character == "\N{VARIATION SELECTOR-16}":  # widens some preceding characters on some terminals
        return GlyphKind.DROPPED
    if category in ("Mn", "Me") and width == 0:
        return GlyphKind.MARK
    if width in (1, 2) and (is_assigned(character, width) or category == "Zs"):
        return GlyphKind.NARROW if width == 1 else GlyphKind.WIDE
    return GlyphKind.DROPPED if width == 0 else GlyphKind.REPLACED


def _safe(text: bytes, rows: int, narrowest: int) -> SafeFrame:
    frame = SafeFrame(text)
    frame.rows, frame.narrowest = rows, narrowest
    return frame
