"""What a group of equal viewers sees: laid out once, rendered once, sent to each of them.

A view belongs to a room and is described by its :class:`ViewKey`.  It owns one canvas, which also is the cache of
scaled pictures: only pictures that changed are scaled again.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from teleglyph.call.picture import Pictures
from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.layout import Placement, arrange, crop
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.style import Style
from teleglyph.wire.acip import MAX_PLAINTEXT, encode_ascii_frame

_FRAME_OVERHEAD = 46
"""Bytes of packet header and ASCII_FRAME header in front of the text."""
_PLACEHOLDER = "Nobody is sending video"

_frame_numbers = itertools.count(1)


class ViewKey(NamedTuple):
    """All that makes two viewers' frames equal."""

    columns: int
    rows: int
    padded: bool
    """Centred in the terminal; otherwise the frame is cut to the pictures."""
    style: Style


class Frame(NamedTuple):
    """One rendered frame as a complete packet."""

    number: int
    """Unique in this process."""
    layout: int
    """Number of the layout it was drawn in; a viewer that shows another one has to be cleared first."""
    packet: bytes


class View:
    """The frames of all viewers with one key.

    Args:
        key: size, padding and style.
        requested: columns and rows the viewers asked for, which the packet names (the key's may be smaller).
    """

    def __init__(self, key: ViewKey) -> None:
        self.key = key
        self.style = key.style
        self.frame: Frame | None = None
        self.revision = -1
        """The room's revision that ``frame`` shows."""
        self.text_bytes = 0
        """Bytes of the last frame's text."""
        self.compresses = False
        """Frames are compressed because one of the viewers gets them earlier so."""
        self.placements: tuple[Placement, ...] = ()
        self.needs: dict[int, tuple[int, int]] = {}
        """Width and height in pixels that each participant's picture is shown in."""
        self._layout = 0
        self._aspects: tuple[float, ...] | None = None
        self._canvas = Canvas.of(key.columns, key.rows, key.style)
        self._drawn: tuple[int, ...] = ()
        self._numbers: tuple[int, ...] = ()

    def plan(self, pictures: Pictures) -> tuple[Canvas, list[Draw], Style]:
        """The render job for the given pictures: lays out again if their number or shapes changed."""
        if pictures.aspects != self._aspects:
            self._arrange(pictures.aspects)
        if pictures.numbers != self._numbers:
            self._numbers = pictures.numbers
            self.needs = {
                number: (place.width * self.style.subcolumns, place.height * self.style.subrows)
                for number, place in zip(pictures.numbers, self.placements, strict=True)
            }
        drawn = self._drawn or (0,) * len(pictures.versions)
        self._drawn = pictures.versions
        draws = [
            Draw(pixels, *place)
            for pixels, place, version, old in zip(
                pictures.pixels, self.placements, pictures.versions, drawn, strict=True
            )
            if version != old
        ]
        return self._canvas, draws, self.style

    def accept(self, packet: bytes | None, revision: int) -> bool:
        """Take what :meth:`pack` made of the last plan's text as the new frame.

        Returns False if that is nothing: the view then uses a cheaper style and has to be rendered again.
        """
        if packet is None:
            self._degrade()
            return False
        self.frame = Frame(next(_frame_numbers), self._layout, packet)
        self.revision = revision
        return True

    def show_placeholder(self, revision: int) -> None:
        """Make a frame that says that there is no picture."""
        if self._aspects != ():
            self._arrange(())
            self.needs = {}
        packet = encode_ascii_frame(self.key.columns, self.key.rows, self._placeholder())
        self.frame = Frame(next(_frame_numbers), self._layout, packet)
        self.revision = revision

    def _arrange(self, aspects: tuple[float, ...]) -> None:
        self._aspects = aspects
        self._layout = next(_frame_numbers)
        self._drawn = ()
        columns, rows = self.key.columns, self.key.rows
        places = arrange(aspects, columns, rows) if aspects else ()
        if places and not self.key.padded:
            places, columns, rows = crop(places)
        self.placements = places
        self._numbers = ()
        self._canvas = Canvas.of(columns, rows, self.style)

    def pack(self, text: bytes) -> bytes | None:
        """The packet of a frame; None if the text fits into none, even compressed.  Any thread may call it."""
        self.text_bytes = len(text)
        for compress in (True,) if self.compresses else (False, True):
            if not compress and len(text) > MAX_PLAINTEXT - _FRAME_OVERHEAD:
                continue
            packet = encode_ascii_frame(self.key.columns, self.key.rows, text, compress=compress)
            if len(packet) <= MAX_PLAINTEXT:
                return packet
        return None

    def _degrade(self) -> None:
        """Go on in the next cheaper style; a full frame of the cheapest always fits (see ``max_view_cells``)."""
        style = self.style
        if style.render is not RenderMode.FOREGROUND:
            color, render = style.color, RenderMode.FOREGROUND
        else:
            color, render = ColorLevel(max(0, style.color - 1)), RenderMode.FOREGROUND
        self.style = Style.create(color, render, style.palette, style.utf8)
        self._aspects = None

    def _placeholder(self) -> bytes:
        text = _PLACEHOLDER[: self.key.columns]
        if not self.key.padded:
            return text.encode()
        blank = " " * self.key.columns
        rows = [blank] * self.key.rows
        rows[self.key.rows // 2] = text.center(self.key.columns)
        return "\n".join(rows).encode()


def limit_cells(columns: int, rows: int, max_cells: int) -> tuple[int, int]:
    """Scale a terminal size down to at most ``max_cells`` cells, keeping its shape."""
    if columns * rows <= max_cells:
        return columns, rows
    shrink = (max_cells / (columns * rows)) ** 0.5
    rows = max(1, min(int(rows * shrink), max_cells))
    return max(1, min(int(columns * shrink), max_cells // rows)), rows
