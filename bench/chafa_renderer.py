"""Renders the same frames with libchafa in this process, configured for speed."""

from __future__ import annotations

import ctypes
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.style import Style

CHAFA_WORK_FACTOR = 0.0
"""0 to 1; chafa's fastest setting."""


_FOREGROUND_ONLY = (RenderMode.FOREGROUND, RenderMode.BRAILLE, RenderMode.SHAPE)


def _quadrants(tags: Any) -> list[Any]:
    return [tags.CHAFA_SYMBOL_TAG_HALF, tags.CHAFA_SYMBOL_TAG_QUAD]


def chafa_is_installed() -> bool:
    return importlib.util.find_spec("chafa") is not None


class ChafaRenderer:
    """Draws one picture over a whole frame of ``columns`` x ``rows`` characters.

    Args:
        best: use the best quality instead of the fastest setting.
    """

    def __init__(self, columns: int, rows: int, style: Style, *, best: bool = False) -> None:
        import chafa

        self._pixel_type = chafa.PixelType.CHAFA_PIXEL_RGB8
        config = chafa.CanvasConfig()
        config.width, config.height = columns, rows
        config.canvas_mode = {
            ColorLevel.NONE: chafa.CanvasMode.CHAFA_CANVAS_MODE_FGBG,
            ColorLevel.ANSI16: chafa.CanvasMode.CHAFA_CANVAS_MODE_INDEXED_16,
            ColorLevel.ANSI256: chafa.CanvasMode.CHAFA_CANVAS_MODE_INDEXED_240,
            ColorLevel.TRUECOLOR: chafa.CanvasMode.CHAFA_CANVAS_MODE_TRUECOLOR,
        }[style.color]
        symbols = chafa.SymbolMap()
        tags = chafa.SymbolTags
        chosen = {
            RenderMode.FOREGROUND: [tags.CHAFA_SYMBOL_TAG_ASCII],
            RenderMode.BACKGROUND: [tags.CHAFA_SYMBOL_TAG_SPACE],
            RenderMode.HALF_BLOCK: [tags.CHAFA_SYMBOL_TAG_SPACE, tags.CHAFA_SYMBOL_TAG_VHALF],
            RenderMode.QUADRANT: [tags.CHAFA_SYMBOL_TAG_SPACE, *_quadrants(tags)],
            RenderMode.SEXTANT: [tags.CHAFA_SYMBOL_TAG_SPACE, *_quadrants(tags), tags.CHAFA_SYMBOL_TAG_SEXTANT],
            RenderMode.BRAILLE: [tags.CHAFA_SYMBOL_TAG_BRAILLE],
            RenderMode.SHAPE: [tags.CHAFA_SYMBOL_TAG_ASCII],
        }[style.render]
        for tag in chosen:
            symbols.add_by_tags(tag)
        config.set_symbol_map(symbols)
        config.fg_only = style.render in _FOREGROUND_ONLY
        config.dither_mode = chafa.DitherMode.CHAFA_DITHER_MODE_NONE
        config.color_space = chafa.ColorSpace.CHAFA_COLOR_SPACE_RGB
        config.pixel_mode = chafa.PixelMode.CHAFA_PIXEL_MODE_SYMBOLS
        config.preprocessing = False
        config.work_factor = 1.0 if best else CHAFA_WORK_FACTOR
        self._canvas = chafa.Canvas(config)
        self._terminal = chafa.TermDb().get_fallback_info()

    def render(self, pixels: NDArray[np.uint8]) -> bytes:
        height, width, _ = pixels.shape
        buffer = (ctypes.c_uint8 * pixels.size).from_buffer(pixels.data)
        self._canvas.draw_all_pixels(self._pixel_type, buffer, width, height, 3 * width)
        return bytes(self._canvas.print(self._terminal))
