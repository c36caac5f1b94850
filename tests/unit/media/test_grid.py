"""Grids: dark parts look empty, and labels fit."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.media.canvas import Canvas, Draw
from teleglyph.media.grid import (
    DEFAULT_COLOR,
    Composition,
    Grid,
    Painter,
    compose,
    direct_color,
    glyph_width,
    glyphs_of,
    indexed_color,
    on_terminal,
)
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, custom_palette
from teleglyph.media.style import Style

COLUMNS, ROWS = 24, 8
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
STYLES = [
    Style.create(color, render, palette, utf8, dithered=dithered)
    for color in ColorLevel
    for render in RenderMode
    for utf8 in (True, False)
    for dithered in (False, True)
    for palette in (BUILT_IN.values() if render is RenderMode.FOREGROUND else [BUILT_IN["standard"]])
]
BLACKS = {
    ColorLevel.NONE: {DEFAULT_COLOR},
    ColorLevel.ANSI16: {DEFAULT_COLOR, indexed_color(0)},
    ColorLevel.ANSI256: {DEFAULT_COLOR, *(indexed_color(index) for index in (16, 232, 233, 234))},
    ColorLevel.TRUECOLOR: {DEFAULT_COLOR, *(direct_color(grey, grey, grey) for grey in range(29))},
}


def composed(pixels: np.ndarray, style: Style) -> Grid:
    """What a terminal of the style shows of a picture over the whole grid."""
    grid, canvas = Grid(COLUMNS, ROWS), Canvas.of(COLUMNS, ROWS, style)
    compose([Composition(grid, canvas, [Draw(pixels, 0, 0, COLUMNS, ROWS)], style)])
    return on_terminal(grid, style)


def ids(style: Style) -> str:
    parts = (style.color.name, style.render.name, style.palette.name, "utf8" if style.utf8 else "ascii")
    return "-".join((*parts, *(["dithered"] if style.dithered else [])))


@pytest.mark.parametrize("style", dict.fromkeys(STYLES), ids=ids)
@pytest.mark.parametrize("level", [0, 16, 28])
def test_black_is_spaces_on_a_black_background(style: Style, level: int) -> None:
    grid = composed(np.full((60, 80, 3), level, np.uint8), style)
    blacks = {DEFAULT_COLOR} if style.shows_light_by_coverage else BLACKS[style.color]
    assert {background for _, background, _ in grid.characters()} <= blacks
    text = SEQUENCE.sub("", Painter().all(grid).decode())
    assert set(text) == {" ", "\n"}


@pytest.mark.parametrize("style", [style for style in dict.fromkeys(STYLES) if style.shows_light_by_coverage], ids=ids)
def test_the_noise_of_a_dark_picture_draws_no_characters(style: Style) -> None:
    noise = np.random.default_rng(7).integers(0, 29, (60, 80, 3), np.uint8)
    assert {(background, chr(glyph)) for _, background, glyph in composed(noise, style).characters()} == {
        (DEFAULT_COLOR, " ")
    }


@pytest.mark.parametrize("render", [RenderMode.FOREGROUND, RenderMode.SHAPE, RenderMode.BRAILLE])
@pytest.mark.parametrize("utf8", [True, False])
def test_a_dark_room_in_16_colours_is_not_full_of_dots(render: RenderMode, utf8: bool) -> None:
    style = Style.create(ColorLevel.ANSI16, render, BUILT_IN["standard"], utf8)
    noise = np.random.default_rng(7).integers(16, 64, (60, 80, 3), np.uint8)
    assert {chr(glyph) for _, _, glyph in composed(noise, style).characters()} == {" "}


@pytest.mark.parametrize("style", dict.fromkeys(STYLES), ids=ids)
def test_grey_is_seen_in_every_style(style: Style) -> None:
    grid = composed(np.full((60, 80, 3), 100, np.uint8), style)
    shown = {(background, chr(glyph)) for _, background, glyph in grid.characters()}
    assert shown != {(DEFAULT_COLOR, " ")}


def test_a_palette_without_a_blank_draws_its_first_glyph_in_the_dark() -> None:
    style = Style.create(ColorLevel.NONE, RenderMode.FOREGROUND, custom_palette("@%#*+=-:. "), True)
    assert {chr(glyph) for _, _, glyph in composed(np.zeros((9, 9, 3), np.uint8), style).characters()} == {"@"}


def drawn(text: str, columns: int = 40) -> str:
    """A label's glyphs; the right half of a wide one is a dot."""
    return "".join(chr(glyph) if glyph else "." for glyph in glyphs_of(text, columns))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann", "Ann"),
        ("世界", "世.界."),
        ("e\u0301a\u0308", "éä"),
        ("\u1112\u1161\u11ab", "한."),
        ("x\u0301\u0302y", "xy"),
        ("👨‍👩‍👧‍👦 Ann", "👨. Ann"),
        ("👍🏽!", "👍.!"),
        ("❤️ ❤️‍🔥", "❤ ❤"),
        ("1️⃣", "1"),
        ("🇩🇪🇫🇷", "DEFR"),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.", "🏴.."),
        ("می\u200cخواهم", "میخواهم"),
        ("हिन्दी", "हनद"),
        ("\U0001fae8", "\U0001fae8."),
        ("a\x1b[31m\u202eb", "a\ufffd[31m\ufffdb"),
        ("\ud800\ufdd0", "\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_a_label_approximates_each_grapheme(text: str, shown: str) -> None:
    assert drawn(text) == shown


def test_a_wide_grapheme_is_not_cut_in_half() -> None:
    assert drawn("a世界", 4) == "a世."
    assert drawn("🇩🇪", 1) == ""
    assert glyphs_of("abc", 0) == []


@given(st.text(max_size=40), st.integers(0, 20))
def test_a_label_has_one_glyph_for_each_column(text: str, columns: int) -> None:
    glyphs = glyphs_of(text, columns)
    assert len(glyphs) <= columns
    assert all(glyph == 0 or glyph_width(glyph) for glyph in glyphs)
    for glyph, following in zip(glyphs, [*glyphs, 1][1:], strict=True):
        if glyph:
            assert (wcwidth.wcwidth(chr(glyph)) == 2) == (following == 0)
            assert unicodedata.category(chr(glyph)) not in ("Cc", "Cf", "Mn", "Me")
