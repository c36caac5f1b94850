"""The size and style in which a viewer's terminal is drawn."""

from __future__ import annotations

from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, STANDARD, Palette, custom_palette
from teleglyph.media.style import Style
from teleglyph.wire.acip import Capabilities, PaletteType


def requested_palette(capabilities: Capabilities) -> Palette:
    """The palette that capabilities name.

    Raises:
        UserError: the custom palette cannot be used.
    """
    kind = PaletteType(capabilities.palette_type)
    if kind is PaletteType.CUSTOM:
        return custom_palette(capabilities.palette_custom)
    return STANDARD if kind is PaletteType.UNSET else BUILT_IN[kind.label]


def requested_style(capabilities: Capabilities, render: int | None = None, *, dithered: bool = False) -> Style:
    """The style that capabilities name.

    Args:
        capabilities: of the viewer's terminal.
        render: a render mode to use instead of theirs.
        dithered: mix 16 or 256 colours in an ordered pattern.

    Raises:
        UserError: the custom palette cannot be used.
    """
    return Style.create(
        ColorLevel(capabilities.color_level),
        RenderMode(capabilities.render_mode if render is None else render),
        requested_palette(capabilities),
        capabilities.utf8,
        dithered=dithered,
    )


def cheaper_style(style: Style) -> Style:
    """A style for the same terminal whose deltas need fewer bytes."""
    color = min(style.color, ColorLevel.ANSI256)
    render = style.render
    if render in (RenderMode.QUADRANT, RenderMode.SEXTANT):
        render = RenderMode.HALF_BLOCK
    elif style.color < ColorLevel.TRUECOLOR and render is RenderMode.HALF_BLOCK and color is not ColorLevel.NONE:
        render = RenderMode.BACKGROUND
    return Style.create(color, render, style.palette, style.utf8)


def limit_cells(columns: int, rows: int, max_cells: int) -> tuple[int, int]:
    """Scale a terminal size down to at most ``max_cells`` cells, keeping its shape."""
    if columns * rows <= max_cells:
        return columns, rows
    shrink = (max_cells / (columns * rows)) ** 0.5
    rows = max(1, min(int(rows * shrink), max_cells))
    return max(1, min(int(columns * shrink), max_cells // rows)), rows
