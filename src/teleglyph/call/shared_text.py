"""The text frames that equal viewers share: laid out once, rendered once, sent to each of them.

The canvas of a :class:`SharedText` is also its cache of scaled pictures: only changed pictures are scaled again.
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


class SharedTextKey(NamedTuple):
    """Everything that makes two viewers' frames equal.

    Attributes:
        columns, rows: size of the terminal, or less if it is very large.
        padded: centred in the terminal; otherwise the frame is cut to the pictures.
    """

    columns: int
    rows: int
    padded: bool
    style: Style


class Frame(NamedTuple):
    """One rendered frame as a complete packet.

    Attributes:
        number: unique in this process.
        layout: number of its layout; a viewer that shows another one has to be cleared first.
    """

    number: int
    layout: int
    packet: bytes


class SharedText:
    """The frames of all viewers with one key.

    Args:
        key: size, padding and style.

    Attributes:
        style: the key's, or a cheaper one if frames in that did not fit into a packet.
        frame: the newest frame; None before the first.
        revision: the room's revision that ``frame`` shows.
        text_bytes: bytes of the last frame's text.
        compresses: frames are compressed, because one of the viewers gets them earlier that way.
        needs: width and height in pixels in which each participant's picture is shown.
    """

    def __init__(self, key: SharedTextKey) -> None:
        self.key = key
        self.style = key.style
        self.frame: Frame | None = None
        self.revision = -1
        self.text_bytes = 0
        self.compresses = False
        self.needs: dict[int, tuple[int, int]] = {}
        self._placements: tuple[Placement, ...] = ()
        self._layout = 0
        self._aspects: tuple[float, ...] | None = None
        self._canvas = Canvas.of(key.columns, key.rows, key.style)
        self._drawn: tuple[int, ...] = ()
        self._numbers: tuple[int, ...] = ()

    def start_frame(self) -> None:
        """Begin a frame that is not compressed unless a viewer asks for it."""
        self.compresses = False

    def request_compression(self) -> None:
        """Compress the frame that was begun."""
        self.compresses = True

    def plan(self, pictures: Pictures) -> tuple[Canvas, list[Draw], Style]:
        """The render job for these pictures; lays them out again if their number or shapes changed."""
        if pictures.aspects != self._aspects:
            self._arrange(pictures.aspects)
        if pictures.numbers != self._numbers:
            self._numbers = pictures.numbers
            self.needs = {
                number: (place.width * self.style.subcolumns, place.height * self.style.subrows)
                for number, place in zip(pictures.numbers, self._placements, strict=True)
            }
        drawn = self._drawn or (0,) * len(pictures.versions)
        self._drawn = pictures.versions
        draws = [
            Draw(pixels, *place)
            for pixels, place, version, old in zip(
                pictures.pixels, self._placements, pictures.versions, drawn, strict=True
            )
            if version != old
        ]
        return self._canvas, draws, self.style

    def accept(self, packet: bytes | None, revision: int) -> bool:
        """Make a packet from :meth:`pack` the new frame.

        Returns:
            False for None: the style is a cheaper one now, and the frame has to be rendered again.
        """
        if packet is None:
            self._degrade()
            return False
        self.frame = Frame(next(_frame_numbers), self._layout, packet)
        self.revision = revision
        return True

    def set_placeholder(self, revision: int) -> None:
        """Make a frame that says that nobody sends a picture."""
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
        self._placements = places
        self._numbers = ()
        self._canvas = Canvas.of(columns, rows, self.style)

    def pack(self, text: bytes) -> bytes | None:
        """The packet of a frame; None if the text does not fit into one, even compressed.  Any thread may call it."""
        self.text_bytes = len(text)
        for compress in (True,) if self.compresses else (False, True):
            if not compress and len(text) > MAX_PLAINTEXT - _FRAME_OVERHEAD:
                continue
            packet = encode_ascii_frame(self.key.columns, self.key.rows, text, compress=compress)
            if len(packet) <= MAX_PLAINTEXT:
                return packet
        return None

    def _degrade(self) -> None:
        """Switch to the next cheaper style; a frame of the cheapest always fits (see ``max_view_cells``)."""
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
