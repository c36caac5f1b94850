"""How pictures are drawn on which terminal."""

import pytest

from teleglyph.client.display import Display
from teleglyph.client.terminal import Terminal
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, STANDARD, custom_palette


def display(color: ColorLevel, *, utf8: bool = True, render: RenderMode | None = None) -> Display:
    terminal = Terminal(True, True, color, "test", utf8, False, "xterm", "")
    return Display(80, 24, color, render, STANDARD, utf8, 60, terminal)


@pytest.mark.parametrize(
    ("color", "utf8", "mode"),
    [
        (ColorLevel.TRUECOLOR, True, RenderMode.HALF_BLOCK),
        (ColorLevel.ANSI256, True, RenderMode.HALF_BLOCK),
        (ColorLevel.ANSI16, True, RenderMode.FOREGROUND),
        (ColorLevel.NONE, True, RenderMode.FOREGROUND),
        (ColorLevel.TRUECOLOR, False, RenderMode.FOREGROUND),
    ],
)
def test_half_blocks_are_chosen_where_the_terminal_can_show_them(
    color: ColorLevel, utf8: bool, mode: RenderMode
) -> None:
    assert display(color, utf8=utf8).style().render is mode


def test_colours_go_round() -> None:
    seen = [now := display(ColorLevel.ANSI256)]
    for _ in range(4):
        seen.append(now := now.next_color())
    assert [one.color for one in seen] == [2, 3, 0, 1, 2]


@pytest.mark.parametrize(
    ("color", "utf8", "modes"),
    [
        (ColorLevel.TRUECOLOR, True, {0, 1, 2}),
        (ColorLevel.NONE, True, {0, 2}),
        (ColorLevel.TRUECOLOR, False, {0, 1}),
        (ColorLevel.NONE, False, {0}),
    ],
)
def test_only_modes_that_make_a_difference_are_offered(color: ColorLevel, utf8: bool, modes: set[int]) -> None:
    now, seen = display(color, utf8=utf8), set()
    for _ in range(6):
        now = now.next_render()
        seen.add(int(now.style().render))
    assert seen == modes


def test_palettes_go_round_and_without_utf8_only_ascii_ones_are_offered() -> None:
    now, names = display(ColorLevel.NONE), []
    for _ in BUILT_IN:
        now = now.next_palette()
        names.append(now.palette.name)
    assert sorted(names) == sorted(BUILT_IN)
    now = display(ColorLevel.NONE, utf8=False)
    for _ in range(5):
        now = now.next_palette()
        assert now.palette.glyphs.isascii()


def test_capabilities_say_what_is_really_used() -> None:
    from dataclasses import replace

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
