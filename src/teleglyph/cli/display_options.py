"""How frames are drawn: the options, and the display they describe."""

from __future__ import annotations

import os
from dataclasses import dataclass

import click

from teleglyph.cli.option_groups import option
from teleglyph.cli.option_types import Number, Words
from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.client.terminal.display import MAX_SIDE, Display
from teleglyph.errors import UserError
from teleglyph.media.modes import RENDER_NAMES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, Palette, custom_palette

_MAX_PALETTE_BYTES = 63
"""Room for a custom palette in CLIENT_CAPABILITIES."""
_SNAPSHOT_DELAY = 3.0

_COLOR_WORDS = {
    "none": ColorLevel.NONE,
    "mono": ColorLevel.NONE,
    "16": ColorLevel.ANSI16,
    "16color": ColorLevel.ANSI16,
    "ansi": ColorLevel.ANSI16,
    "256": ColorLevel.ANSI256,
    "256color": ColorLevel.ANSI256,
    "truecolor": ColorLevel.TRUECOLOR,
    "true": ColorLevel.TRUECOLOR,
    "tc": ColorLevel.TRUECOLOR,
    "rgb": ColorLevel.TRUECOLOR,
    "24bit": ColorLevel.TRUECOLOR,
}
_RENDER_WORDS = {name: mode for mode, name in RENDER_NAMES.items()} | {
    "fg": RenderMode.FOREGROUND,
    "bg": RenderMode.BACKGROUND,
    "halfblock": RenderMode.HALF_BLOCK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayOptions:
    """How frames are drawn; None chooses the best that the terminal supports."""

    color_mode: ColorLevel | None = option(
        "--color-mode",
        table="display",
        type=Words(_COLOR_WORDS, ("auto", "none", "16", "256", "truecolor")),
        default="auto",
        help="Number of colours; auto uses as many as the terminal supports.",
    )
    render_mode: RenderMode | None = option(
        "-M",
        "--render-mode",
        table="display",
        type=Words(_RENDER_WORDS, ("auto", *RENDER_NAMES.values())),
        default="auto",
        help="How cells are drawn; auto uses the best mode that the terminal supports.",
    )
    dither: bool = option("--dither", is_flag=True, help="Dither in 16 and 256 colours, so that they look like more.")
    palette: str = option(
        "-P",
        "--palette",
        table="display",
        type=click.Choice([*BUILT_IN, "custom"], case_sensitive=False),
        default="standard",
        show_default=True,
        help="Characters for foreground mode.",
    )
    palette_chars: str | None = option(
        "-C",
        "--palette-chars",
        table="display",
        metavar="TEXT",
        help="Your own characters for foreground mode, from dark to bright.",
    )
    utf8: str = option(
        "--utf8",
        table="display",
        type=click.Choice(["auto", "true", "false"], case_sensitive=False),
        default="auto",
        help="Use characters outside ASCII; auto follows the locale.",
    )
    width: int = option(
        "-x",
        "--width",
        table="display",
        type=click.IntRange(0, MAX_SIDE),
        default=0,
        help="Width in columns; 0 fills the terminal.",
    )
    height: int = option(
        "-y",
        "--height",
        table="display",
        type=click.IntRange(0, MAX_SIDE),
        default=0,
        help="Height in rows; 0 fills the terminal.",
    )
    fps: int = option(
        "--fps",
        table="display",
        type=click.IntRange(1, 144),
        default=60,
        show_default=True,
        help="Maximum frames per second.",
    )
    snapshot: bool = option("-S", "--snapshot", is_flag=True, help="Print one frame and exit.")
    snapshot_delay: float | None = option(
        "-D",
        "--snapshot-delay",
        type=Number(0, 3600),
        help="Seconds from the first frame to the printed one.  [default: 3]",
    )

    def __post_init__(self) -> None:
        if self.snapshot_delay is not None and not self.snapshot:
            raise click.UsageError("--snapshot-delay needs --snapshot.")
        if self.palette == "custom" and self.palette_chars is None:
            raise click.UsageError("--palette custom needs --palette-chars.")
        size = len((self.palette_chars or "").encode())
        if size > _MAX_PALETTE_BYTES:
            raise click.UsageError(f"--palette-chars has {size} bytes; the maximum is {_MAX_PALETTE_BYTES}.")
        self._palette()  # raises what is wrong with it before the terminal is touched

    @property
    def delay(self) -> float:
        """Seconds from the first frame to the one that a snapshot prints."""
        return _SNAPSHOT_DELAY if self.snapshot_delay is None else self.snapshot_delay

    @property
    def fixed_size(self) -> tuple[int, int]:
        """Columns and rows that the user chose, 0 for the terminal's."""
        return self.width, self.height

    def display(self, terminal: Terminal, *, whole_screen: bool) -> Display:
        """These options on a terminal.

        Raises:
            UserError: the palette has characters that the terminal cannot show.
        """
        columns, rows = terminal_size(os.environ)
        utf8 = terminal.utf8 if self.utf8 == "auto" else self.utf8 == "true"
        palette = self._palette()
        if not utf8 and palette.name == "custom" and not palette.glyphs.isascii():
            raise UserError(
                "--palette-chars has characters outside ASCII, but the terminal does not use UTF-8. Add --utf8 true."
            )
        display = Display(
            columns=1,
            rows=1,
            color=terminal.color if self.color_mode is None else self.color_mode,
            render=self.render_mode,
            palette=palette,
            utf8=utf8,
            frame_rate=self.fps,
            terminal=terminal,
            padding=not self.snapshot,
            dithered=self.dither,
        )
        return display.resized(self.width or columns, self.height or (rows if whole_screen else rows - 1))

    def _palette(self) -> Palette:
        if self.palette_chars is not None:
            return custom_palette(self.palette_chars)
        return BUILT_IN[self.palette]
