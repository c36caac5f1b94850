"""The obvious rival: renders the same frames with numpy, fully vectorised.

Every character takes the same number of bytes: each cell has its colour sequence, and numbers have leading zeros.  That
is the fastest way in numpy; writing sequences only on a change would need a mask over all bytes.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.style import Style

Bytes = NDArray[np.uint8]

_DECIMAL = np.array([list(f"{value:03}".encode()) for value in range(256)], np.uint8)
_CUBE = (0, 95, 135, 175, 215, 255)
_VGA = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
_VGA += [
    (192, 192, 192),
    (128, 128, 128),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (0, 0, 255),
    (255, 0, 255),
]
_VGA += [(0, 255, 255), (255, 255, 255)]
_DITHER = 8 + 16 * np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
_SHAPES = np.array([list(shape.encode().ljust(3, b"\0")) for shape in " ▀▄█"], np.uint8)


def scale(pixels: Bytes, columns: int, lines: int) -> Bytes:
    """Area averages, rounded half up; for shrinking only."""
    height, width, _ = pixels.shape
    tops = np.arange(lines) * height // lines
    lefts = np.arange(columns) * width // columns
    sums = np.add.reduceat(pixels, tops, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, lefts, axis=1)
    areas = np.outer(np.diff(tops, append=height), np.diff(lefts, append=width))[..., None].astype(np.uint32)
    return ((2 * sums + areas) // (2 * areas)).astype(np.uint8)


def luminance(cells: Bytes) -> Bytes:
    return ((cells @ np.array([77, 150, 29], np.uint32) + 128) >> 8).astype(np.uint8)


class NumpyRenderer:
    """Draws one picture over a whole frame of ``columns`` x ``rows`` characters."""

    def __init__(self, columns: int, rows: int, style: Style) -> None:
        self._size = columns, rows
        self._style = style
        steps = (np.arange(256) * (len(style.palette.glyphs) - 1) + 127) // 255
        encoded = [glyph.encode() for glyph in style.palette.glyphs]
        glyph_bytes = max(map(len, encoded))
        self._glyphs = np.array([list(encoded[s].ljust(glyph_bytes)) for s in steps], np.uint8)
        self._nearest = None if style.color in (ColorLevel.NONE, ColorLevel.TRUECOLOR) else self._make_nearest()

    def render(self, pixels: Bytes) -> bytes:
        columns, rows = self._size
        cells = scale(pixels, columns, rows * self._style.subrows)
        if self._style.render is RenderMode.HALF_BLOCK:
            return self._half_blocks(cells[0::2], cells[1::2])
        if self._style.render is RenderMode.BACKGROUND:
            return self._fill(self._template(48) + b" ", self._numbers(cells), None)
        glyphs = self._glyphs[luminance(cells)]
        if self._style.color is ColorLevel.NONE:
            return self._fill(b"?" * glyphs.shape[-1], [], glyphs)
        return self._fill(self._template(38) + b"?" * glyphs.shape[-1], self._numbers(cells), glyphs)

    def _half_blocks(self, upper: Bytes, lower: Bytes) -> bytes:
        if self._style.color is ColorLevel.NONE:
            columns, rows = self._size
            thresholds = np.tile(_DITHER, (rows // 2 + 1, columns // 4 + 1))[: 2 * rows, :columns]
            lit = (luminance(upper) >= thresholds[0::2]) + 2 * (luminance(lower) >= thresholds[1::2])
            return self._fill(b"???", [], _SHAPES[lit]).replace(b"\0", b"")
        template = self._template(38) + self._template(48) + "▀".encode()
        return self._fill(template, self._numbers(upper) + self._numbers(lower, 10), None)

    def _template(self, code: int) -> bytes:
        """A colour sequence with ### as placeholders for numbers."""
        match self._style.color:
            case ColorLevel.ANSI16:
                return b"\x1b[###m"
            case ColorLevel.ANSI256:
                return b"\x1b[%d;5;###m" % code
            case _:
                return b"\x1b[%d;2;###;###;###m" % code

    def _numbers(self, cells: Bytes, offset: int = 0) -> list[Bytes]:
        if self._nearest is None:
            return [cells[..., channel] for channel in range(3)]
        red, green, blue = (cells[..., channel].astype(np.uint16) >> 3 for channel in range(3))
        index = self._nearest[red << 10 | green << 5 | blue]
        if self._style.color is ColorLevel.ANSI256:
            return [index]
        background = 10 if self._style.render is RenderMode.BACKGROUND else offset
        return [np.where(index < 8, 30 + index, 82 + index).astype(np.uint8) + background]

    def _fill(self, template: bytes, numbers: list[Bytes], glyphs: Bytes | None) -> bytes:
        columns, rows = self._size
        width = len(template)
        frame = np.empty((rows, columns * width + 5), np.uint8)
        frame[:, -5:] = np.frombuffer(b"\x1b[0m\n", np.uint8)
        cells = frame[:, :-5].reshape(rows, columns, width)
        cells[:] = np.frombuffer(template, np.uint8)
        for number, match in zip(numbers, re.finditer(b"###", template), strict=True):
            cells[..., match.start() : match.end()] = _DECIMAL[number]
        if glyphs is not None:
            cells[..., -glyphs.shape[-1] :] = glyphs
        return frame.tobytes()

    def _make_nearest(self) -> Bytes:
        """A table of nearest colours by RGB distance; its quality does not matter for the measurement."""
        is_256 = self._style.color is ColorLevel.ANSI256
        palette = np.array([(r, g, b) for r in _CUBE for g in _CUBE for b in _CUBE] if is_256 else _VGA)
        values = np.arange(32) * 255 // 31
        colors = np.stack(np.meshgrid(values, values, values, indexing="ij"), -1).reshape(-1, 3)
        distances = [((palette - color) ** 2).sum(-1).argmin() for color in colors]
        return (np.array(distances) + (16 if is_256 else 0)).astype(np.uint8)
