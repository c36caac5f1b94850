"""Palettes: the glyphs of foreground mode, from dark to light."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import wcwidth

from teleglyph.errors import UserError

MAX_GLYPHS = 255


@dataclass(frozen=True, slots=True)
class Palette:
    """Glyphs from dark to light, each one column wide.

    Attributes:
        name: a built-in name, or ``custom``.
        glyphs: 1 to 255 characters; repeating one gives it more of the luminance range.
    """

    name: str
    glyphs: str


STANDARD = Palette("standard", "   ...',;:clodxkO0KXNWM")

INK = Palette("ink", " `-',:~_^!*r/<?cijTCIy%e4P$U6ODRQWBM@")
"""ASCII in steps of equal coverage, measured by scripts/measure-glyphs; sent to peers as a custom palette."""

BUILT_IN = MappingProxyType(
    {
        palette.name: palette
        for palette in (
            STANDARD,
            Palette("blocks", "   ░░▒▒▓▓██"),
            Palette("digital", "   -=≡≣▰▱◼"),
            Palette("minimal", "   .-+*#"),
            Palette("cool", "   ▁▂▃▄▅▆▇█"),
            INK,
        )
    }
)
"""The palettes by name: those with a number on the wire, and ours."""


def custom_palette(text: str) -> Palette:
    """A palette of the user's own characters, from dark to light.

    Raises:
        UserError: it has no characters or more than 255, or one is not printable or not exactly one column wide.
    """
    if not text:
        raise UserError("A custom palette needs at least one character.")
    if len(text) > MAX_GLYPHS:
        raise UserError(f"A custom palette has at most {MAX_GLYPHS} characters, not {len(text)}.")
    for character in text:
        if not character.isprintable():
            raise UserError(f"A custom palette cannot contain U+{ord(character):04X}: it is not printable.")
        if (width := wcwidth.wcwidth(character)) != 1:
            raise UserError(
                f"A custom palette cannot contain {character!r} (U+{ord(character):04X}): "
                f"it is {width} columns wide, and every glyph must be exactly one."
            )
    return Palette("custom", text)
