"""Frames on the screen of a terminal emulator (pyte), read back cell by cell."""

from __future__ import annotations

import pyte
import pyte.graphics

from reference_renderer import ANSI16, ANSI256, NONE, PALETTE_256, Color, Look

_INDEX_OF_HEX = {"{:02x}{:02x}{:02x}".format(*color): index for index, color in PALETTE_256.items()}
_INDEX_OF_FOREGROUND = {pyte.graphics.FG_ANSI[30 + i]: i for i in range(8)} | {
    pyte.graphics.FG_AIXTERM[90 + i]: 8 + i for i in range(8)
}
_INDEX_OF_BACKGROUND = {pyte.graphics.BG_ANSI[40 + i]: i for i in range(8)} | {
    pyte.graphics.BG_AIXTERM[100 + i]: 8 + i for i in range(8)
}
_BLOCKS = {" ": "lower lower", "▀": "foreground lower", "▄": "lower foreground", "█": "foreground foreground"}


def show(frame: bytes, columns: int, rows: int) -> pyte.Screen:
    """A screen of exactly the frame's size, after writing the frame to it."""
    screen = pyte.Screen(columns, rows)
    pyte.Stream(screen).feed(frame.decode().replace("\n", "\r\n"))
    return screen


def looks_of(screen: pyte.Screen, color: int, half_block: bool) -> list[list[Look]]:
    """The look of every character on the screen, in the terms of the reference renderer."""
    return [[_look(screen.buffer[y][x], color, half_block) for x in range(screen.columns)] for y in range(screen.lines)]


def _look(character: pyte.screens.Char, color: int, half_block: bool) -> Look:
    assert character == character._replace(bold=False, italics=False, underscore=False, reverse=False, blink=False)
    background = _color(character.bg, color, _INDEX_OF_BACKGROUND)
    if color == NONE:
        assert character.fg == character.bg == "default"
        return Look(character.data, None, None, None)
    foreground = _color(character.fg, color, _INDEX_OF_FOREGROUND)
    if half_block:
        halves = {"foreground": foreground, "lower": background}
        upper, lower = (halves[name] for name in _BLOCKS[character.data].split())
        return Look("", None, upper, lower)
    return Look(character.data, None if character.data == " " else foreground, background, background)


def _color(name: str, level: int, names: dict[str, int]) -> Color | int | None:
    if name == "default":
        return None
    if level == ANSI16:
        return names[name]
    if level == ANSI256:
        return _INDEX_OF_HEX[name]
    red, green, blue = bytes.fromhex(name)
    return red, green, blue
