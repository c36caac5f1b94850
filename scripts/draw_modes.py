"""Draws one picture in every render mode, as a terminal would show it: scripts/picture-of-the-modes.

The characters are those that a call sends.  Blocks are drawn as terminals draw them themselves, the other glyphs with
DejaVu Sans Mono.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import Composition, Grid, compose, on_terminal
from teleglyph.media.layout import arrange
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN
from teleglyph.media.source import open_pattern
from teleglyph.media.style import Style

COLUMNS, ROWS = 44, 20
WIDTH, HEIGHT = 8, 16
CAPTION = 20
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
POINTS = 13
MODES = [
    ("sextant", ColorLevel.TRUECOLOR, RenderMode.SEXTANT, "standard", False),
    ("quadrant", ColorLevel.TRUECOLOR, RenderMode.QUADRANT, "standard", False),
    ("half-block", ColorLevel.TRUECOLOR, RenderMode.HALF_BLOCK, "standard", False),
    ("background", ColorLevel.TRUECOLOR, RenderMode.BACKGROUND, "standard", False),
    ("half-block, 256 colours", ColorLevel.ANSI256, RenderMode.HALF_BLOCK, "standard", False),
    ("half-block, 16 colours, --dither", ColorLevel.ANSI16, RenderMode.HALF_BLOCK, "standard", True),
    ("shape", ColorLevel.TRUECOLOR, RenderMode.SHAPE, "standard", False),
    ("foreground, ink palette", ColorLevel.TRUECOLOR, RenderMode.FOREGROUND, "ink", False),
    ("braille", ColorLevel.NONE, RenderMode.BRAILLE, "standard", False),
]
PER_ROW = 3
CUBE = (0, 95, 135, 175, 215, 255)
XTERM = [
    *[(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)],
    *[(127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0)],
    *[(92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255)],
    *[(red, green, blue) for red in CUBE for green in CUBE for blue in CUBE],
    *[(8 + 10 * i,) * 3 for i in range(24)],
]
QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"

Cell = NDArray[np.float64]


def parts(mask: int, columns: int, rows: int) -> Cell:
    """Ink of a cell whose parts are set by the bits of a mask."""
    ink = np.zeros((HEIGHT, WIDTH))
    for part in range(columns * rows):
        if mask >> part & 1:
            x, y = part % columns, part // columns
            ink[
                round(y * HEIGHT / rows) : round((y + 1) * HEIGHT / rows),
                x * WIDTH // columns : (x + 1) * WIDTH // columns,
            ] = 1
    return ink


def braille(dots: int) -> Cell:
    ink = np.zeros((HEIGHT, WIDTH))
    for bit, (x, y) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]):
        if dots >> bit & 1:
            ink[4 * y + 1 : 4 * y + 3, 4 * x + 1 : 4 * x + 3] = 1
    return ink


def ink_of(glyph: str, font: ImageFont.FreeTypeFont) -> Cell:
    """How much of each pixel of a cell a glyph covers, 0 to 1."""
    code = ord(glyph)
    if glyph in QUADRANTS:
        return parts(QUADRANTS.index(glyph), 2, 2)
    if 0x1FB00 <= code <= 0x1FB3B:
        mask = code - 0x1FB00 + 1
        mask += mask >= 0x15
        mask += mask >= 0x2A
        return parts(mask, 2, 3)
    if 0x2800 <= code < 0x2900:
        return braille(code - 0x2800)
    image = Image.new("L", (4 * WIDTH, 4 * HEIGHT), 0)
    ImageDraw.Draw(image).text((0, 0), glyph, font=font, fill=255)
    return np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float64) / 255


def rgb(color: int, default: tuple[int, int, int]) -> tuple[int, int, int]:
    if color == 0:
        return default
    if color >> 24 == 0x01:
        return XTERM[color & 0xFF]
    return color & 0xFF, color >> 8 & 0xFF, color >> 16 & 0xFF


def rasterize(grid: Grid, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    """A grid of terminal colours as pixels."""
    pixels = np.zeros((ROWS * HEIGHT, COLUMNS * WIDTH, 3))
    inks: dict[int, Cell] = {}
    for place, (foreground, background, glyph) in enumerate(grid.characters()):
        y, x = divmod(place, COLUMNS)
        if glyph not in inks:
            inks[glyph] = ink_of(chr(glyph), font)
        cover = inks[glyph][..., None]
        color = np.array(rgb(foreground, (229, 229, 229))) * cover + np.array(rgb(background, (0, 0, 0))) * (1 - cover)
        pixels[y * HEIGHT : (y + 1) * HEIGHT, x * WIDTH : (x + 1) * WIDTH] = color
    return (pixels + 0.5).astype(np.uint8)


def main() -> None:
    source = open_pattern("face")
    picture = source.read()
    source.close()
    if picture is None:
        raise SystemExit("the pattern gives no picture")
    font, caption = ImageFont.truetype(FONT, 4 * POINTS), ImageFont.truetype(FONT, 12)
    tile_width, tile_height = COLUMNS * WIDTH, ROWS * HEIGHT + CAPTION
    rows = -(-len(MODES) // PER_ROW)
    sheet = Image.new("RGB", (PER_ROW * (tile_width + 8) - 8, rows * (tile_height + 8) - 8), (24, 24, 24))
    for number, (name, color, render, palette, dithered) in enumerate(MODES):
        style = Style.create(color, render, BUILT_IN[palette], True, dithered=dithered)
        grid, canvas = Grid(COLUMNS, ROWS), Canvas.of(COLUMNS, ROWS, style)
        (place,) = arrange([picture.shape[1] / picture.shape[0]], COLUMNS, ROWS)
        compose([Composition(grid, canvas, [Draw(picture, *place)], style)])
        tile = Image.fromarray(rasterize(on_terminal(grid, style), font))
        left, top = number % PER_ROW * (tile_width + 8), number // PER_ROW * (tile_height + 8)
        sheet.paste(tile, (left, top))
        ImageDraw.Draw(sheet).text((left + 6, top + ROWS * HEIGHT + 3), name, font=caption, fill=(220, 220, 220))
    sheet.save(sys.argv[1], optimize=True)
    print(f"{sys.argv[1]} is ready")


if __name__ == "__main__":
    main()
