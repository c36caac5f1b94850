from __future__ import annotations

import dataclasses

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
    create = lambda palette, utf8: Style.create(  # noqa: E731
        ColorLevel.TRUECOLOR, RenderMode.FOREGROUND, palette, utf8
    )
    assert create(BLOCKS, False).palette == STANDARD
    assert create(BLOCKS, True).palette == BLOCKS
    assert create(custom_palette(" é"), False).palette == STANDARD
    assert create(BUILT_IN["minimal"], False).palette == BUILT_IN["minimal"]


def test_half_blocks_have_two_cells_in_a_character() -> None:
    subrows = {render: Style.create(ColorLevel.TRUECOLOR, render, STANDARD, True).subrows for render in RenderMode}
    assert subrows == {RenderMode.FOREGROUND: 1, RenderMode.BACKGROUND: 1, RenderMode.HALF_BLOCK: 2}


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
