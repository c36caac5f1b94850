"""The correct look of a frame, computed cell by cell from the definitions, without regard to speed.

It shares no code with the package.  Tests compare its answer with what a terminal emulator shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

Color = tuple[int, int, int]

NONE, ANSI16, ANSI256, TRUECOLOR = range(4)
FOREGROUND, BACKGROUND, HALF_BLOCK = range(3)

CUBE_LEVELS = (0, 95, 135, 175, 215, 255)
PALETTE_256: dict[int, Color] = {
    16 + 36 * r + 6 * g + b: (CUBE_LEVELS[r], CUBE_LEVELS[g], CUBE_LEVELS[b])
    for r in range(6)
    for g in range(6)
    for b in range(6)
} | {232 + i: (8 + 10 * i,) * 3 for i in range(24)}
PALETTE_16: dict[int, Color] = dict(
    enumerate(
        [
            *[(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0)],
            *[(0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)],
            *[(127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0)],
            *[(92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)],
        ]
    )
)
BAYER = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))


class Look(NamedTuple):
    """The look of a character: glyph, foreground, and the background colours above and below the middle.

    The glyph is empty for coloured half-blocks, where only the two colours count.
    A colour is None (the terminal's default), an (R, G, B) tuple, or the number of a palette colour.
    """

    glyph: str
    foreground: Color | int | None
    upper: Color | int | None
    lower: Color | int | None


def average(pixels: np.ndarray, width: int, height: int) -> list[list[Color]]:
    """Means of the boxes of pixels that each of ``width`` x ``height`` cells covers, rounded half up."""
    source_height, source_width, _ = pixels.shape
    picture = pixels.tolist()
    rows = []
    for y in range(height):
        top, bottom = y * source_height // height, (y + 1) * source_height // height
        row = []
        for x in range(width):
            left, right = x * source_width // width, (x + 1) * source_width // width
            box = [picture[j][i] for j in range(top, max(bottom, top + 1)) for i in range(left, max(right, left + 1))]
            row.append(tuple((2 * sum(p[c] for p in box) + len(box)) // (2 * len(box)) for c in range(3)))
        rows.append(row)
    return rows


def luminance(color: Color) -> int:
    red, green, blue = color
    return (77 * red + 150 * green + 29 * blue + 128) >> 8


def is_dark(color: Color, limit: int) -> bool:
    return luminance(color) < limit and max(color) < 128


def glyph_of(color: Color, glyphs: str, level: int) -> str:
    """The glyph of a colour; dark colours are blank if the palette begins with a space."""
    if glyphs[0] == " " and is_dark(color, 64 if level == ANSI16 else 29):
        return " "
    return glyphs[(luminance(color) * (len(glyphs) - 1) + 127) // 255]


def oklab(colors: np.ndarray) -> np.ndarray:
    """OKLab coordinates (Ottosson 2020) of sRGB colours 0-255 in the last axis."""
    srgb = np.asarray(colors, np.float64) / 255
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(light @ to_lms.T) @ to_lab.T  # type: ignore[no-any-return]


def five_bits(color: Color) -> Color:
    """The colour that represents all with the same upper five bits in each channel."""
    red, green, blue = ((channel >> 3) << 3 | channel >> 5 for channel in color)
    return red, green, blue


@cache
def nearest(color: Color, level: int) -> int:
    """Number of the palette colour that looks most like the five-bit colour."""
    palette = PALETTE_16 if level == ANSI16 else PALETTE_256
    numbers = list(palette)
    distances = ((oklab(np.array([palette[n] for n in numbers])) - oklab(np.array(color))) ** 2).sum(-1)
    return numbers[int(distances.argmin())]


class ReferenceRenderer:
    """The canvas as defined: ``columns`` x ``rows`` characters of ``subrows`` cells."""

    def __init__(self, columns: int, rows: int, color: int, render: int, glyphs: str) -> None:
        self.columns, self.rows = columns, rows
        self.color, self.render, self.glyphs = color, render, glyphs
        self.subrows = 2 if render == HALF_BLOCK else 1
        self.cells: list[list[Color | None]] = [[None] * columns for _ in range(rows * self.subrows)]

    def draw(self, pixels: np.ndarray, x: int, y: int, width: int, height: int, mirrored: bool = False) -> None:
        for j, row in enumerate(average(pixels, width, height * self.subrows)):
            if mirrored:
                row.reverse()
            self.cells[y * self.subrows + j][x : x + width] = row

    def looks(self) -> list[list[Look]]:
        return [[self._look(x, y) for x in range(self.columns)] for y in range(self.rows)]

    def _look(self, x: int, y: int) -> Look:
        if self.render == HALF_BLOCK:
            return self._half_block_look(x, y)
        cell = self.cells[y][x]
        if cell is None:
            return Look(" ", None, None, None)
        if self.render == BACKGROUND:
            return Look(" ", None, self._shown(cell), self._shown(cell))
        glyph = glyph_of(cell, self.glyphs, self.color)
        foreground = None if glyph == " " or self.color == NONE else self._shown(cell)
        return Look(glyph, foreground, None, None)

    def _half_block_look(self, x: int, y: int) -> Look:
        upper, lower = self.cells[2 * y][x], self.cells[2 * y + 1][x]
        if self.color == NONE:
            glyph = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}[
                self._lit(upper, x, 2 * y), self._lit(lower, x, 2 * y + 1)
            ]
            return Look(glyph, None, None, None)
        return Look(
            "",
            None,
            None if upper is None else self._shown(upper),
            None if lower is None else self._shown(lower),
        )

    def _lit(self, cell: Color | None, x: int, line: int) -> int:
        """Ordered dither: sixteen thresholds 8, 24, ... 248 in the order of Bayer's matrix; dark cells are black."""
        return int(cell is not None and not is_dark(cell, 48) and luminance(cell) >= 16 * BAYER[line % 4][x % 4] + 8)

    def _shown(self, color: Color) -> Color | int:
        return color if self.color == TRUECOLOR else nearest(five_bits(color), self.color)


def frame_looks(
    columns: int,
    rows: int,
    style: tuple[int, int, str],
    draws: Sequence[tuple[np.ndarray, int, int, int, int, bool]],
) -> list[list[Look]]:
    """The look of a frame; ``style`` is the colour level, the render mode and the glyphs."""
    renderer = ReferenceRenderer(columns, rows, *style)
    for draw in draws:
        renderer.draw(*draw)
    return renderer.looks()
