"""Colour levels and render modes.

Their numbers are those of docs/protocol/messages.md#client_capabilities, and beyond.
"""

from __future__ import annotations

from enum import IntEnum


class ColorLevel(IntEnum):
    """How many colours a terminal has."""

    NONE = 0
    ANSI16 = 1
    """The 16 colours of SGR 30-37 and 90-97."""
    ANSI256 = 2
    """xterm's indexed colours; only the fixed ones, 16 to 255, are used."""
    TRUECOLOR = 3
    """24 bits."""


class RenderMode(IntEnum):
    """How a character cell is used."""

    FOREGROUND = 0
    """A coloured glyph whose coverage follows the luminance."""
    BACKGROUND = 1
    """A space on a coloured background: one pixel per character."""
    HALF_BLOCK = 2
    """Two pixels above each other per character: U+2580 with a foreground and a background colour."""
    QUADRANT = 3
    """2x2 pixels in two colours: U+2596 to U+259F.  Only our programs know this mode and the following ones."""
    SEXTANT = 4
    """2x3 pixels in two colours: U+1FB00 to U+1FB3B; needs a terminal that draws them (Unicode 13)."""
    BRAILLE = 5
    """2x4 dots, mainly for terminals without colours."""
    SHAPE = 6
    """The ASCII character that covers its cell where 2x3 pixels are light."""


BASIC_MODES = (RenderMode.FOREGROUND, RenderMode.BACKGROUND, RenderMode.HALF_BLOCK)
"""The modes that ascii-chat's programs support."""

COLOR_NAMES = {
    ColorLevel.NONE: "no colour",
    ColorLevel.ANSI16: "16 colours",
    ColorLevel.ANSI256: "256 colours",
    ColorLevel.TRUECOLOR: "truecolor",
}
RENDER_NAMES = {mode: mode.name.lower().replace("_", "-") for mode in RenderMode}
"""Names for users."""
