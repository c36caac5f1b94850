"""Layout of the names of people without a picture: a few lines of text, or a list."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from teleglyph.media.grid import glyphs_of
from teleglyph.printable import in_ascii

MARK_COLUMNS = 2
"""Columns in front of each name for the mark of a person who speaks, so that nothing moves when they do."""
_GAP = 1
"""Columns between a name and the next one's mark."""
_ROWS_PER_LINE, _MAX_LINES = 5, 4
"""Rows of the screen for each line of names, so that most of it remains for the pictures."""
HEADING_ROWS = 2
"""Rows of the heading of a list, with the empty one under it."""
_MAX_NAME_COLUMNS = 64


class NameSpan(NamedTuple):
    """A name, or the count of those that do not fit.

    Attributes:
        x, y: place of its mark, in columns and rows; the name follows.
        glyphs: the name, for a label.
        first, last: the people that it names, by their order: from, and up to but not including.
    """

    x: int
    y: int
    glyphs: Sequence[int]
    first: int
    last: int


class NameLines(NamedTuple):
    """Names in lines.

    Attributes:
        spans: the names, from the top left corner.
        columns: width of the widest line.
        rows: number of lines.
    """

    spans: tuple[NameSpan, ...]
    columns: int
    rows: int


def foot_lines(names: Sequence[str], columns: int, rows: int, *, utf8: bool) -> NameLines:
    """Lines for the foot of a screen, with "and 5 more" at the end if not all names fit.

    Args:
        names: in order, with their numbers.
        columns: width of the whole screen, in characters.
        rows: its height.
        utf8: characters outside ASCII may be used.
    """
    return _flow(names, columns, min(_MAX_LINES, max(1, rows // _ROWS_PER_LINE)), utf8=utf8)


def name_list(names: Sequence[str], columns: int, rows: int, *, utf8: bool) -> tuple[bool, NameLines]:
    """A list for the middle of an otherwise empty screen, with one name per line if all fit.

    Returns:
        whether a heading and an empty row fit above the list, and the list.
    """
    has_heading = rows > HEADING_ROWS
    height = rows - HEADING_ROWS if has_heading else rows
    if len(names) > height:
        return has_heading, _flow(names, columns, height, utf8=utf8)
    cut = [cut_glyphs(name, columns - MARK_COLUMNS, utf8=utf8) for name in names]
    spans = tuple(NameSpan(0, y, glyphs, y, y + 1) for y, glyphs in enumerate(cut))
    widest = max((len(glyphs) for glyphs in cut), default=0)
    return has_heading, NameLines(spans, min(columns, widest + MARK_COLUMNS), len(spans))


def cut_glyphs(text: str, columns: int, *, utf8: bool) -> list[int]:
    """The glyphs of a text, cut to these columns with an ellipsis."""
    if not utf8:
        text = in_ascii(text)
    glyphs = glyphs_of(text, max(columns, _MAX_NAME_COLUMNS) + 1)
    if len(glyphs) <= columns:
        return glyphs
    if columns <= 0:
        return []
    return glyphs_of(text, columns - 1) + [ord("\N{HORIZONTAL ELLIPSIS}" if utf8 else "~")]


def _flow(names: Sequence[str], columns: int, max_rows: int, *, utf8: bool) -> NameLines:
    """Names in centred lines, as many of the first ones as fit."""
    cut = [cut_glyphs(name, columns - MARK_COLUMNS, utf8=utf8) for name in names]
    for count in range(len(cut), -1, -1):
        entries = [(glyphs, index, index + 1) for index, glyphs in enumerate(cut[:count])]
        if (hidden := len(cut) - count) > 0:
            entries.append((_more(hidden, columns - MARK_COLUMNS), count, len(cut)))
        lines = _lines(entries, columns)
        if len(lines) <= max_rows:
            return _centred(lines)
    return NameLines((), 0, 0)


def _more(hidden: int, columns: int) -> list[int]:
    text = f"and {hidden} more"
    return glyphs_of(text if len(text) <= columns else f"+{hidden}", max(0, columns))


def _lines(entries: Sequence[tuple[list[int], int, int]], columns: int) -> list[list[NameSpan]]:
    lines: list[list[NameSpan]] = []
    x = columns + 1
    for glyphs, first, last in entries:
        width = MARK_COLUMNS + len(glyphs)
        if x + width > columns:
            lines.append([])
            x = 0
        lines[-1].append(NameSpan(x, len(lines) - 1, glyphs, first, last))
        x += width + _GAP
    return lines


def _centred(lines: list[list[NameSpan]]) -> NameLines:
    widths = [line[-1].x + MARK_COLUMNS + len(line[-1].glyphs) for line in lines]
    widest = max(widths, default=0)
    moved = (
        [span._replace(x=span.x + (widest - width) // 2) for span in line]
        for line, width in zip(lines, widths, strict=True)
    )
    return NameLines(tuple(itertools.chain.from_iterable(moved)), widest, len(lines))
