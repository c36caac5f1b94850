"""How frames are drawn: the user's options, the terminal's abilities, and what keys change."""

from __future__ import annotations

from dataclasses import dataclass, replace

from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.media.modes import COLOR_NAMES, RENDER_NAMES, ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, Palette
from teleglyph.media.style import Style
from teleglyph.wire.acip import Capabilities, PaletteType, ViewFlag, ViewSettings

_BASIC_MODE = {
    RenderMode.QUADRANT: RenderMode.HALF_BLOCK,
    RenderMode.SEXTANT: RenderMode.HALF_BLOCK,
    RenderMode.BRAILLE: RenderMode.FOREGROUND,
    RenderMode.SHAPE: RenderMode.FOREGROUND,
}
"""Modes requested from ascii-chat's servers instead of those that they lack."""
_FONTS_WITHOUT_BLOCKS = ("linux", "cons25", "vt100", "vt220", "dumb", "")
"""Terminals whose fonts have at most half blocks."""
_COLOR_COUNTS = {
    ColorLevel.NONE: 2,
    ColorLevel.ANSI16: 16,
    ColorLevel.ANSI256: 256,
    ColorLevel.TRUECOLOR: 1 << 24,
}
_TERMINAL_FLAGS = {
    ColorLevel.NONE: 0x00,
    ColorLevel.ANSI16: 0x11,
    ColorLevel.ANSI256: 0x13,
    ColorLevel.TRUECOLOR: 0x17,
}
"""Flags of CLIENT_CAPABILITIES for each colour level, background colours included."""
_UTF8_FLAG = 0x08
_AUDIO_CODECS = 0x103
"""Raw samples, Opus, and a bit of ours: packets of 10 ms, which ascii-chat's client does not accept."""
MAX_SIDE = 1024


@dataclass(frozen=True, slots=True)
class ViewPreferences:
    """The content of frames, and their share of the bandwidth.

    Attributes:
        names: show names and marks under the pictures.
        own_picture: show your own picture.
        mirrored: show your own picture as in a mirror.
        spotlight: number of the only participant to show; 0 for everyone.
        max_bitrate: bits per second; 0 for no limit.
    """

    names: bool = True
    own_picture: bool = True
    mirrored: bool = False
    spotlight: int = 0
    max_bitrate: int = 0


@dataclass(frozen=True, slots=True)
class Display:
    """How frames are drawn.  :meth:`style` resolves values that do not fit together.

    Attributes:
        columns, rows: size of the frame in cells.
        color: the colour level.
        render: the render mode; None for the best that the terminal can show.
        palette: glyphs of foreground mode.
        utf8: use characters outside ASCII.
        frame_rate: requested frames per second, 1 to 144.
        padding: centre the picture with spaces.
        dithered: mix 16 and 256 colours in an ordered pattern.
        terminal: what the terminal can do.
    """

    columns: int
    rows: int
    color: ColorLevel
    render: RenderMode | None
    palette: Palette
    utf8: bool
    frame_rate: int
    terminal: Terminal
    padding: bool = True
    dithered: bool = False

    def style(self) -> Style:
        """The nearest possible style."""
        return Style.create(self.color, self.render_mode, self.palette, self.utf8, dithered=self.dithered)

    @property
    def render_mode(self) -> RenderMode:
        """The requested mode, or the most faithful one (docs/guide.md)."""
        if self.render is not None:
            return self.render
        has_blocks = self.utf8 and self.terminal.term not in _FONTS_WITHOUT_BLOCKS
        if self.color >= ColorLevel.ANSI256:
            if has_blocks:
                return RenderMode.SEXTANT if self.terminal.sextants else RenderMode.QUADRANT
            return RenderMode.HALF_BLOCK
        if self.color is ColorLevel.NONE and has_blocks:
            return RenderMode.BRAILLE
        return RenderMode.SHAPE

    def resized(self, columns: int, rows: int) -> Display:
        """The same display with another size."""
        return replace(self, columns=max(1, min(columns, MAX_SIDE)), rows=max(1, min(rows, MAX_SIDE)))

    def next_color(self) -> Display:
        """The display with the next colour level; truecolor is followed by none."""
        return replace(self, color=ColorLevel((self.color + 1) % len(ColorLevel)))

    def next_render(self) -> Display:
        """The display with the next render mode that makes a difference."""
        style = self.style()
        for step in range(1, len(RenderMode) + 1):
            mode = RenderMode((style.render + step) % len(RenderMode))
            candidate = replace(self, render=mode)
            is_visible = mode is not RenderMode.SEXTANT or self.terminal.sextants
            if is_visible and candidate.style().render is mode:
                return candidate
        return self

    def next_palette(self) -> Display:
        """The display with the next built-in palette that the terminal can show."""
        usable = [palette for palette in BUILT_IN.values() if self.utf8 or palette.glyphs.isascii()]
        names = [palette.name for palette in usable]
        at = names.index(self.palette.name) if self.palette.name in names else -1
        return replace(self, palette=usable[(at + 1) % len(usable)])

    def describe(self) -> str:
        """Colours, mode and, if it is used, the palette, for the user."""
        style = self.style()
        parts = [COLOR_NAMES[style.color], RENDER_NAMES[style.render]]
        if style.render is RenderMode.FOREGROUND:
            parts.append(f"{style.palette.name} palette")
        return ", ".join(parts)

    def capabilities(self) -> Capabilities:
        """The message that describes this display to a server."""
        style = self.style()
        palette_type = PaletteType.named(style.palette.name)
        return Capabilities(
            width=self.columns,
            height=self.rows,
            color_level=int(style.color),
            color_count=_COLOR_COUNTS[style.color],
            render_mode=int(_BASIC_MODE.get(style.render, style.render)),
            utf8=self.utf8,
            desired_fps=self.frame_rate,
            wants_padding=self.padding,
            palette_type=int(palette_type),
            palette_custom=style.palette.glyphs if palette_type is PaletteType.CUSTOM else "",
            terminal_flags=_TERMINAL_FLAGS[style.color] | (_UTF8_FLAG if self.utf8 else 0),
            term_type=self.terminal.term,
            colorterm=self.terminal.colorterm,
            audio_codecs=_AUDIO_CODECS,
            detection_reliable=self.terminal.interactive and style.color is self.terminal.color,
        )

    def settings(self, preferences: ViewPreferences) -> ViewSettings:
        """The further settings for a Teleglyph server."""
        flags = ViewFlag(0)
        for is_set, flag in (
            (self.dithered, ViewFlag.DITHERED),
            (preferences.names, ViewFlag.NAMES),
            (not preferences.own_picture, ViewFlag.WITHOUT_SELF),
            (preferences.mirrored, ViewFlag.MIRRORED_SELF),
        ):
            if is_set:
                flags |= flag
        return ViewSettings(int(self.style().render), flags, preferences.spotlight, preferences.max_bitrate)
