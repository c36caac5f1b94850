"""What a terminal can show, by the numbers of CLIENT_CAPABILITIES and beyond.

The numbers are those of docs/protocol/messages.md#client_capabilities and docs/protocol/screens.md#view_settings.
"""

from __future__ import annotations

from enum import IntEnum


class ColorLevel(IntEnum):
    """How many colours there are."""

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
    """A coloured glyph whose ink follows the luminance."""
    BACKGROUND = 1
    """A space on a coloured background: one plain pixel a character."""
    HALF_BLOCK = 2
    """Two pixels above each other a character, by U+2580 with a foreground and a background colour."""
    QUADRANT = 3
    """2x2 pixels in two colours, by U+2596 to U+259F.  This mode and those after it are ours alone."""
    SEXTANT = 4
    """2x3 pixels in two colours, by U+1FB00 to U+1FB3B; needs a terminal that draws them (Unicode 13)."""
    BRAILLE = 5
    """2x4 dots, for terminals without colours above all."""
    SHAPE = 6
    """The character of ASCII whose ink lies where a cell of 2x3 pixels is light."""


BASIC_MODES = (RenderMode.FOREGROUND, RenderMode.BACKGROUND, RenderMode.HALF_BLOCK)
"""Those that ascii-chat's programs know."""

COLOR_NAMES = {
    ColorLevel.NONE: "no colour",
    ColorLevel.ANSI16: "16 colours",
    ColorLevel.ANSI256: "256 colours",
    ColorLevel.TRUECOLOR: "truecolor",
}
RENDER_NAMES = {mode: mode.name.lower().replace("_", "-") for mode in RenderMode}
"""Both for people."""
