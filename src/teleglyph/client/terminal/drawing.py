"""Escape sequences for frames, boxes and the status line."""

from __future__ import annotations

from collections.abc import Sequence

from teleglyph.media.frame_text import SafeFrame
from teleglyph.printable import width

_BOX_MARGIN = 2
"""Spaces on each side of a box's text."""


def draw_frame(frame: SafeFrame, columns: int, rows: int) -> bytes:
    """A text frame from the top left corner, with the rest of the area erased."""
    lines = frame.split(b"\n", rows)[:rows]
    # Rows are erased before they are drawn, and only if some are short: erasing after a full row would delete its last
    # character, because the cursor stays on it.
    has_gaps = frame.narrowest < columns or len(lines) < rows
    start = b"\x1b[0m\x1b[K" if has_gaps else b"\x1b[0m"
    lines += [b""] * (rows - len(lines))
    return b"\x1b[H" + start + (b"\r\n" + start).join(lines)


def draw_box(lines: Sequence[str], columns: int, rows: int, *, at_foot: bool) -> bytes:
    """A box in reverse video, centred or over the last rows; nothing if it is empty.

    Args:
        lines: text that fits into :func:`box_columns` columns.
        columns: width of the area around the box.
        rows: height of the area around the box.
        at_foot: draw over the last rows instead of in the centre.
    """
    widest = max((width(line) for line in lines), default=0)
    if not lines or widest <= 0:
        return b""
    margin = " " * _BOX_MARGIN
    left = (columns - widest - 2 * _BOX_MARGIN) // 2 + 1
    top = 1 + (max(0, rows - len(lines)) if at_foot else (rows - len(lines)) // 2)
    padded = (f"{margin}{line}{' ' * (widest - width(line))}{margin}" for line in lines)
    drawn = (f"\x1b[{top + index};{max(1, left)}H\x1b[0;7m{line}\x1b[0m" for index, line in enumerate(padded))
    return "".join(drawn).encode()


def box_columns(columns: int) -> int:
    """Columns for the text of a box, in an area of this width."""
    return columns - 2 * _BOX_MARGIN


def draw_status(text: str, columns: int, row: int) -> bytes:
    """A status line in reverse video, padded to the full width."""
    padding = " " * (columns - width(text))
    return f"\x1b[{row};1H\x1b[0;7m{text}{padding}\x1b[0m".encode()
