"""The display settings for different terminals."""

from dataclasses import replace

import pytest

from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.display import Display, ViewPreferences
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, STANDARD, custom_palette
from teleglyph.wire.acip import ViewFlag


def display(
    color: ColorLevel,
    *,
    utf8: bool = True,
    render: RenderMode | None = None,
    term: str = "xterm",
    sextants: bool = False,
) -> Display:
    terminal = Terminal(True, True, color, "test", utf8, False, term, "", sextants)
    return Display(80, 24, color, render, STANDARD, utf8, 60, terminal)


@pytest.mark.parametrize(
    ("color", "utf8", "mode"),
    [
        (ColorLevel.TRUECOLOR, True, RenderMode.QUADRANT),
        (ColorLevel.ANSI256, True, RenderMode.QUADRANT),
        (ColorLevel.ANSI16, True, RenderMode.SHAPE),
        (ColorLevel.NONE, True, RenderMode.BRAILLE),
        (ColorLevel.TRUECOLOR, False, RenderMode.BACKGROUND),
        (ColorLevel.NONE, False, RenderMode.SHAPE),
    ],
)
def test_the_best_mode_is_chosen_that_the_terminal_can_show(color: ColorLevel, utf8: bool, mode: RenderMode) -> None:
    assert display(color, utf8=utf8).style().render is mode


def test_sextants_are_chosen_only_where_the_terminal_draws_them() -> None:
    assert display(ColorLevel.TRUECOLOR, sextants=True).style().render is RenderMode.SEXTANT
    assert display(ColorLevel.TRUECOLOR, sextants=True, utf8=False).style().render is RenderMode.BACKGROUND


@pytest.mark.parametrize(
    ("color", "mode"),
    [
        (ColorLevel.ANSI256, RenderMode.HALF_BLOCK),
        (ColorLevel.ANSI16, RenderMode.SHAPE),
        (ColorLevel.NONE, RenderMode.SHAPE),
    ],
)
def test_a_console_font_has_half_blocks_at_best(color: ColorLevel, mode: RenderMode) -> None:
    assert display(color, term="linux").style().render is mode


@pytest.mark.parametrize(
    ("asked", "told"),
    [(RenderMode.SEXTANT, 2), (RenderMode.QUADRANT, 2), (RenderMode.BRAILLE, 0), (RenderMode.SHAPE, 0)],
)
def test_old_servers_get_the_nearest_mode_they_know(asked: RenderMode, told: int) -> None:
    shown = display(ColorLevel.TRUECOLOR, render=asked)
    assert shown.capabilities().render_mode == told
    assert shown.settings(ViewPreferences()).render_mode == asked


def test_preferences_are_sent_to_the_server() -> None:
    preferences = ViewPreferences(names=False, own_picture=False, mirrored=True, spotlight=3, max_bitrate=500_000)
    settings = replace(display(ColorLevel.ANSI256), dithered=True).settings(preferences)
    assert settings.flags == ViewFlag.DITHERED | ViewFlag.WITHOUT_SELF | ViewFlag.MIRRORED_SELF
    assert (settings.spotlight, settings.max_bitrate) == (3, 500_000)
    assert display(ColorLevel.ANSI256).settings(ViewPreferences()).flags == ViewFlag.NAMES


def test_colours_cycle() -> None:
    seen = [now := display(ColorLevel.ANSI256)]
    for _ in range(4):
        seen.append(now := now.next_color())
    assert [one.color for one in seen] == [2, 3, 0, 1, 2]


@pytest.mark.parametrize(
    ("color", "utf8", "modes"),
    [
        (ColorLevel.TRUECOLOR, True, {0, 1, 2, 3, 5, 6}),
        (ColorLevel.NONE, True, {0, 2, 3, 5, 6}),
        (ColorLevel.TRUECOLOR, False, {0, 1, 6}),
        (ColorLevel.NONE, False, {0, 6}),
    ],
)
def test_only_modes_that_make_a_difference_are_offered(color: ColorLevel, utf8: bool, modes: set[int]) -> None:
    now, seen = display(color, utf8=utf8), set()
    for _ in range(8):
        now = now.next_render()
        seen.add(int(now.style().render))
    assert seen == modes


def test_palettes_cycle_and_without_utf8_only_ascii_ones_are_offered() -> None:
    now, names = display(ColorLevel.NONE), []
    for _ in BUILT_IN:
        now = now.next_palette()
        names.append(now.palette.name)
    assert sorted(names) == sorted(BUILT_IN)
    now = display(ColorLevel.NONE, utf8=False)
    for _ in range(5):
        now = now.next_palette()
        assert now.palette.glyphs.isascii()


def test_capabilities_contain_what_is_really_used() -> None:
    shown = replace(display(ColorLevel.ANSI16, render=RenderMode.HALF_BLOCK, utf8=False), palette=BUILT_IN["blocks"])
    message = shown.capabilities()
    assert (message.render_mode, message.palette_type, message.utf8) == (RenderMode.BACKGROUND, 1, False)
    assert message.color_count == 16
    custom = replace(display(ColorLevel.TRUECOLOR), palette=custom_palette(" .oO")).capabilities()
    assert (custom.palette_type, custom.palette_custom) == (6, " .oO")
    assert custom.terminal_flags == 0x1F


@pytest.mark.parametrize(("size", "expected"), [((0, 0), (1, 1)), ((5000, 5000), (1024, 1024)), ((81, 7), (81, 7))])
def test_sizes_stay_within_what_servers_accept(size: tuple[int, int], expected: tuple[int, int]) -> None:
    shown = display(ColorLevel.NONE).resized(*size)
    assert (shown.columns, shown.rows) == expected
