"""Grids of characters, and the updates that turn the grid a viewer sees into the one it should see.

A composed :class:`Grid` holds the picture's own colours, so that small changes can be distinguished from large ones.  A
grid that updates were applied to holds the colours of a terminal.  Only one thread may use a grid at a time.
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
"""Regional indicators, A to Z: a pair of them is a flag."""
_EMOJI_STYLE = "\N{VARIATION SELECTOR-16}"


def direct_color(red: int, green: int, blue: int) -> int:
    """A 24-bit colour in the representation of grids."""
    return _OPAQUE | blue << 16 | green << 8 | red


def indexed_color(index: int) -> int:
    """An entry of the terminal's palette in the representation of grids."""
    return _INDEXED | index


class Label(NamedTuple):
    """A line of text on a grid, with the colours of a terminal."""

    x: int
    y: int
    foreground: int
    background: int
    glyphs: Sequence[int]
    """Code points, with 0 after each that is two columns wide."""


class Composition(NamedTuple):
    """A canvas to draw on, and the grid to compose it into."""

    grid: _native.Grid
    canvas: Canvas
    draws: Sequence[Draw]
    style: Style
    labels: Sequence[Label] = ()


class Encoding(NamedTuple):
    """An update to encode."""

    wanted: _native.Grid
    """The grid that the viewer should see."""
    shown: _native.Grid
    """The grid that the viewer sees; changed to what it sees after the update."""
    style: Style
    tolerance: int = 0
    """Colours that differ by at most this (2 dR² + 4 dG² + dB²) may stay unchanged, with their glyphs."""
    whole: bool = False
    """Send every character."""
    previous: _native.Grid | None = None
    """The wanted grid of the previous frame."""
    refined_rows: tuple[int, int] = (0, 0)
    """First row, and row after the last, in which characters equal to ``previous`` are sent without tolerance."""


class Update(NamedTuple):
    """An encoded update (docs/protocol/screens.md#the-body)."""

    body: bytes
    changed: int
    """Number of changed characters."""
    inexact: int
    """Number of characters that stay unchanged although they differ a little."""


def compose(compositions: Sequence[Composition]) -> None:
    """Draw on canvases and compose them into grids, in one native call.

    Raises:
        ValueError: sizes do not match, or a rectangle or label leaves its canvas.
    """
    _native.compose_batch(
        [(item.grid, item.canvas.native, item.draws, item.style.native, item.labels) for item in compositions]
    )


def encode_updates(encodings: Sequence[Encoding]) -> list[Update]:
    """Encode updates in one native call.

    Raises:
        ValueError: the two grids of an update have different sizes, or are the same object.
    """
    jobs = [
        (item.wanted, item.shown, item.style.native, item.tolerance, item.whole, item.previous, *item.refined_rows)
        for item in encodings
    ]
    return [Update(*update) for update in _native.encode_batch(jobs)]


def on_terminal(grid: _native.Grid, style: Style) -> _native.Grid:
    """A copy of a composed grid with the colours of the style's terminal."""
    copy = grid.copy()
    copy.to_terminal(style.native)
    return copy


def apply_update(body: bytes, whole: bool, grid: _native.Grid) -> None:
    """Apply a peer's update to a grid.

    Characters that could harm a terminal, or whose width is unknown, become question marks.  Half of a character that
    is two columns wide becomes a blank.

    Raises:
        BadDataError: the update is malformed or does not fit the grid, which stays unchanged.
    """
    try:
        widths = bytes(map(glyph_width, _native.update_glyphs(body)))
        _native.apply_update(body, whole, widths, grid)
    except ValueError as error:
        raise BadDataError(f"Malformed screen update: {error}.") from error


@functools.lru_cache(4096)
def glyph_width(glyph: int) -> int:
    """Columns of a harmless printable code point, 1 or 2; 0 for any other, and for the second half of a wide one."""
    if glyph == 0 or 0xD800 <= glyph < 0xE000:
        return 0
    columns = wcwidth.wcwidth(chr(glyph))
    return max(0, columns) if is_assigned(chr(glyph), columns) else 0


def is_assigned(character: str, columns: int) -> bool:
    """Whether a character of this width can be drawn."""
    # Wide characters missing in Python's tables are newer emoji and ideographs.
    return character.isprintable() or (columns == 2 and unicodedata.category(character) == "Cn")


def glyphs_of(text: str, columns: int) -> list[int]:
    """The code points of a text for a label, cut to a number of columns.

    A character of a grid holds one code point, so longer graphemes are approximated: letters with accents by one code
    point if there is one, flags by their two letters, other emoji by their first part (a family by its first member),
    and everything else by its base without combining marks.
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
    """The code points that approximate a grapheme, each drawn by itself."""
    if ord(grapheme[0]) in _FLAG_LETTERS:
        return "".join(chr(ord(letter) - _FLAG_LETTERS.start + ord("A")) for letter in grapheme)
    # Narrow characters are letters unless a selector makes them emoji; code points after a wide one only modify it.
    is_emoji = wcwidth.wcwidth(grapheme[0]) == 2 or _EMOJI_STYLE in grapheme
    return grapheme[0] if is_emoji else grapheme
