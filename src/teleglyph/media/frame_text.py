"""A look at a frame's text before a terminal gets to see it."""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.media import _native


class FrameText(NamedTuple):
    """The shape of a frame's text."""

    rows: int
    narrowest: int
    """Characters of the shortest row."""
    widest: int
    """Characters of the longest row."""


def measure(text: bytes) -> FrameText | None:
    """The shape of a text from elsewhere; None if it must not be drawn.

    Drawn are UTF-8 characters, line feeds and SGR sequences (``ESC [ digits and semicolons m``).  Everything else
    could move the cursor, answer into the keyboard or worse: other controls of C0 and C1, DEL, bytes that are no UTF-8.
    """
    shape = _native.measure_text(text)
    return None if shape is None else FrameText(*shape)
