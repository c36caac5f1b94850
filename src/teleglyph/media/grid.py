"""Screens of characters: what a viewer should see, what it sees, and the few bytes between the two.

A :class:`Grid` that was composed holds the picture's own colours, so that small changes can be told from large ones;
one that updates were applied to holds the colours of a terminal.  A grid is used by one thread at a time.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import wcwidth

from teleglyph.errors import BadDataError
from teleglyph.media import _native
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.style import Style
from teleglyph.printable import graphemes, printable

Grid = _native.Grid
Painter = _native.Painter

DEFAULT_COLOR = 0
"""The terminal's own foreground or background."""
_OPAQUE, _INDEXED = 0xFF000000, 0x01000000
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
"""Regional indicators, A to Z: two of them are a flag."""
_EMOJI_STYLE = "\N{VARIATION SELECTOR-16}"


def direct_color(red: int, green: int, blue: int) -> int:
    """A colour of 24 bits, as grids hold it."""
    return _OPAQUE | blue << 16 | green << 8 | red


def indexed_color(index: int) -> int:
    """An entry of the terminal's palette, as grids hold it."""
    return _INDEXED | index


class Label(NamedTuple):
    """A line of text on a grid, with the colours of a terminal."""

    x: int
    y: int
    ink: int
    paper: int
    glyphs: Sequence[int]
    """Code points; 0 behind each that is two columns wide."""


class Composition(NamedTuple):
    """A canvas to be drawn on, and the grid that shows it."""

    grid: _native.Grid
    canvas: Canvas
    draws: Sequence[Draw]
    style: Style
    labels: Sequence[Label] = ()


class Encoding(NamedTuple):
    """An update to be made."""

    wanted: _native.Grid
    """What should be seen."""
    shown: _native.Grid
    """What is seen; made to be what is seen after the update."""
    style: Style
    tolerance: int = 0
    """Colours that differ by no more (2 dR² + 4 dG² + dB²) may stay, and glyphs with them."""
    whole: bool = False
    """Send every character."""
    previous: _native.Grid | None = None
    """What should have been seen in the frame before."""
    settle: tuple[int, int] = (0, 0)
    """Rows from, and up to but not including, in which characters equal to ``previous`` are sent exactly."""


class Update(NamedTuple):
    """An encoded update (docs/protocol/screens.md#the-body)."""

    body: bytes
    changed: int
    """Characters that it changes."""
    inexact: int
    """Characters that stay although they differ a little."""


def compose(compositions: Sequence[Composition]) -> None:
    """Draw, and make the grids what the canvases look like, in one native call.

    Raises:
        ValueError: sizes do not fit together, or a rectangle or label leaves its canvas.
    """
    _native.compose_batch(
        [(item.grid, item.canvas.native, item.draws, item.style.native, item.labels) for item in compositions]
    )


def encode_updates(encodings: Sequence[Encoding]) -> list[Update]:
    """Make updates in one native call.

    Raises:
        ValueError: the grids of one have different sizes, or are the same.
    """
    jobs = [
        (item.wanted, item.shown, item.style.native, item.tolerance, item.whole, item.previous, *item.settle)
        for item in encodings
    ]
    return [Update(*update) for update in _native.encode_batch(jobs)]


def on_terminal(grid: _native.Grid, style: Style) -> _native.Grid:
    """A copy of a composed grid with the colours that a terminal of the style shows."""
    copy = grid.copy()
    copy.to_terminal(style.native)
    return copy


def apply_update(body: bytes, whole: bool, grid: _native.Grid) -> None:
    """Change a grid as an update from elsewhere says.

    Characters that could harm a terminal, or that this side does not know the width of, become question marks.  Half
    of a character that is two columns wide becomes a blank.

    Raises:
        BadDataError: it is malformed or does not fit the grid, which is left as it was.
    """
    try:
        widths = bytes(map(glyph_width, _native.update_glyphs(body)))
        _native.apply_update(body, whole, widths, grid)
    except ValueError as error:
        raise BadDataError(f"malformed screen update: {error}") from error


@functools.lru_cache(4096)
def glyph_width(glyph: int) -> int:
    """Columns of a code point that does nothing but take them, 1 or 2; 0 for any other, and for a wide one's half."""
    if glyph == 0 or 0xD800 <= glyph < 0xE000:
        return 0
    columns = wcwidth.wcwidth(chr(glyph))
    return max(0, columns) if is_assigned(chr(glyph), columns) else 0


def is_assigned(character: str, columns: int) -> bool:
    """Whether a character is one that can be drawn, in so many columns."""
    # Wide characters that Python's tables lack are newer emoji and ideographs.
    return character.isprintable() or (columns == 2 and unicodedata.category(character) == "Cn")


def glyphs_of(text: str, columns: int) -> list[int]:
    """The code points of a text for a label, cut to so many columns.

    A character of a grid holds one code point, so graphemes of several are drawn as what comes nearest: letters with
    accents as one code point if there is one, flags as their two letters, other emoji as their first part (a family
    as its first member), and everything else without its combining marks.
    """
    glyphs: list[int] = []
    for grapheme in graphemes(unicodedata.normalize("NFC", printable(text))):
        drawn: list[int] = []
        for glyph in map(ord, _drawn_as(grapheme)):
            if glyph_width(glyph):
                drawn += [glyph] if glyph_width(glyph) == 1 else [glyph, 0]
        if len(glyphs) + len(drawn) > columns:
            break
        glyphs += drawn
    return glyphs


def _drawn_as(grapheme: str) -> str:
    """The code points that stand for a grapheme, each of which is drawn by itself."""
    if ord(grapheme[0]) in _FLAG_LETTERS:
        return "".join(chr(ord(letter) - _FLAG_LETTERS.start + ord("A")) for letter in grapheme)
    # Narrow characters are letters unless they are asked to look like emoji; what follows a wide one only changes it.
    is_emoji = wcwidth.wcwidth(grapheme[0]) == 2 or _EMOJI_STYLE in grapheme
    return grapheme[0] if is_emoji else grapheme
