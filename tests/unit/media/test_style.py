from __future__ import annotations

import dataclasses
from functools import partial

import pytest

from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, Palette, custom_palette
from teleglyph.media.style import Style

STANDARD, BLOCKS = BUILT_IN["standard"], BUILT_IN["blocks"]


@pytest.mark.parametrize("color", ColorLevel)
@pytest.mark.parametrize("utf8", [True, False])
def test_foreground_mode_is_always_possible(color: ColorLevel, utf8: bool) -> None:
    style = Style.create(color, RenderMode.FOREGROUND, STANDARD, utf8)
    assert (style.color, style.render, style.palette, style.utf8) == (
        color,
        RenderMode.FOREGROUND,
        STANDARD,
        utf8,
    )


@pytest.mark.parametrize("color", [ColorLevel.ANSI16, ColorLevel.ANSI256, ColorLevel.TRUECOLOR])
def test_half_blocks_without_utf8_become_backgrounds(color: ColorLevel) -> None:
    assert Style.create(color, RenderMode.HALF_BLOCK, STANDARD, False).render is RenderMode.BACKGROUND


@pytest.mark.parametrize("asked", [RenderMode.HALF_BLOCK, RenderMode.BACKGROUND])
def test_without_utf8_and_colours_glyphs_remain(asked: RenderMode) -> None:
    assert Style.create(ColorLevel.NONE, asked, STANDARD, False).render is RenderMode.FOREGROUND


def test_backgrounds_without_colours_become_glyphs() -> None:
    style = Style.create(ColorLevel.NONE, RenderMode.BACKGROUND, STANDARD, True)
    assert style.render is RenderMode.FOREGROUND


def test_half_blocks_need_no_colours() -> None:
    style = Style.create(ColorLevel.NONE, RenderMode.HALF_BLOCK, STANDARD, True)
    assert style.render is RenderMode.HALF_BLOCK


def test_a_palette_beyond_ascii_without_utf8_becomes_the_standard_one() -> None:
    create = partial(Style.create, ColorLevel.TRUECOLOR, RenderMode.FOREGROUND)
    assert create(BLOCKS, False).palette == STANDARD
    assert create(BLOCKS, True).palette == BLOCKS
    assert create(custom_palette(" é"), False).palette == STANDARD
    assert create(BUILT_IN["minimal"], False).palette == BUILT_IN["minimal"]


def test_a_mode_divides_a_character_into_its_cells() -> None:
    styles = {render: Style.create(ColorLevel.TRUECOLOR, render, STANDARD, True) for render in RenderMode}
    assert {render: (style.subcolumns, style.subrows) for render, style in styles.items()} == {
        RenderMode.FOREGROUND: (1, 1),
        RenderMode.BACKGROUND: (1, 1),
        RenderMode.HALF_BLOCK: (1, 2),
        RenderMode.QUADRANT: (2, 2),
        RenderMode.SEXTANT: (2, 3),
        RenderMode.BRAILLE: (2, 4),
        RenderMode.SHAPE: (2, 3),
    }


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (RenderMode.QUADRANT, RenderMode.BACKGROUND),
        (RenderMode.SEXTANT, RenderMode.BACKGROUND),
        (RenderMode.BRAILLE, RenderMode.SHAPE),
        (RenderMode.SHAPE, RenderMode.SHAPE),
    ],
)
def test_blocks_and_braille_need_utf8(asked: RenderMode, given: RenderMode) -> None:
    assert Style.create(ColorLevel.TRUECOLOR, asked, STANDARD, True).render is asked
    assert Style.create(ColorLevel.TRUECOLOR, asked, STANDARD, False).render is given


@pytest.mark.parametrize("color", ColorLevel)
def test_only_few_colours_are_dithered(color: ColorLevel) -> None:
    style = Style.create(color, RenderMode.HALF_BLOCK, STANDARD, True, dithered=True)
    assert style.dithered is (color in (ColorLevel.ANSI16, ColorLevel.ANSI256))


def test_styles_are_equal_and_hashed_by_value() -> None:
    def create(glyphs: str = " x", color: ColorLevel = ColorLevel.ANSI256) -> Style:
        return Style.create(color, RenderMode.FOREGROUND, custom_palette(glyphs), True)

    assert create() == create()
    assert len({create(), create(), create(" y"), create(color=ColorLevel.ANSI16)}) == 3


def test_a_style_cannot_be_changed() -> None:
    style = Style.create(ColorLevel.TRUECOLOR, RenderMode.FOREGROUND, STANDARD, True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        style.color = ColorLevel.NONE  # type: ignore[misc]


def test_impossible_styles_are_refused() -> None:
    with pytest.raises(ValueError, match="background mode needs colours"):
        Style(ColorLevel.NONE, RenderMode.BACKGROUND, STANDARD, True)
    with pytest.raises(ValueError, match="1 to 255 glyphs, not 0"):
        Style(ColorLevel.NONE, RenderMode.FOREGROUND, Palette("none", ""), True)
    with pytest.raises(ValueError, match="1 to 255 glyphs, not 256"):
        Style(ColorLevel.NONE, RenderMode.FOREGROUND, Palette("many", "x" * 256), True)
