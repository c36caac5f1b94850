"""How pictures are to be drawn here: what was asked for, what the terminal can do, and what the keys change."""

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
"""What servers of ascii-chat are asked for instead of the modes that they do not know."""
_FONTS_WITHOUT_BLOCKS = ("linux", "cons25", "vt100", "vt220", "dumb", "")
"""Terminals whose fonts have half blocks at best."""
_PALETTE_NUMBERS = {kind.name.lower(): kind for kind in PaletteType if PaletteType.UNSET < kind < PaletteType.CUSTOM}
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
"""Flags of CLIENT_CAPABILITIES: what a terminal of this level can do, background colours included."""
_UTF8_FLAG = 0x08
_AUDIO_CODECS = 0x103
"""Raw samples, Opus, and a bit of ours: sound may come in packets of 10 ms, which ascii-chat's client does not take."""
MAX_SIDE = 1024


@dataclass(frozen=True, slots=True)
class ViewWishes:
    """What the grid is to show, and how much of the connection it may take.

    Attributes:
        names: names and marks under the pictures.
        own_picture: one's own picture is part of it.
        mirrored: one's own picture is shown as in a mirror.
        spotlight: number of the place that is shown alone, 0 for the whole grid.
        max_bitrate: bits a second; 0 for no limit.
    """

    names: bool = True
    own_picture: bool = True
    mirrored: bool = False
    spotlight: int = 0
    max_bitrate: int = 0


@dataclass(frozen=True, slots=True)
class Display:
    """What to draw with.  Values that cannot go together give way (:meth:`style` says what is left of them).

    Attributes:
        columns, rows: size of the picture in characters.
        color: colours to use.
        render: use of the character cell; None takes the best that the terminal can show.
        palette: glyphs of foreground mode.
        utf8: characters outside ASCII may be used.
        frame_rate: frames per second wanted, 1 to 144.
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
        """The style that comes nearest."""
        return Style.create(self.color, self.render_mode, self.palette, self.utf8, dithered=self.dithered)

    @property
    def render_mode(self) -> RenderMode:
        """The mode asked for, or the best one, by how near pictures come to what they show (docs/guide.md)."""
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
        """The same for another size."""
        return replace(self, columns=max(1, min(columns, MAX_SIDE)), rows=max(1, min(rows, MAX_SIDE)))

    def next_color(self) -> Display:
        """The next higher colour level, from truecolor on to none."""
        return replace(self, color=ColorLevel((self.color + 1) % len(ColorLevel)))

    def next_render(self) -> Display:
        """The next render mode that makes a difference here."""
        style = self.style()
        for step in range(1, len(RenderMode) + 1):
            mode = RenderMode((style.render + step) % len(RenderMode))
            candidate = replace(self, render=mode)
            is_visible = mode is not RenderMode.SEXTANT or self.terminal.sextants
            if is_visible and candidate.style().render is mode:
                return candidate
        return self

    def next_palette(self) -> Display:
        """The next built-in palette that can be shown."""
        usable = [palette for palette in BUILT_IN.values() if self.utf8 or palette.glyphs.isascii()]
        names = [palette.name for palette in usable]
        at = names.index(self.palette.name) if self.palette.name in names else -1
        return replace(self, palette=usable[(at + 1) % len(usable)])

    def describe(self) -> str:
        """For people: colours and mode, and the palette where it shows."""
        style = self.style()
        parts = [COLOR_NAMES[style.color], RENDER_NAMES[style.render]]
        if style.render is RenderMode.FOREGROUND:
            parts.append(f"{style.palette.name} palette")
        return ", ".join(parts)

    def capabilities(self) -> Capabilities:
        """The message that tells a server."""
        style = self.style()
        custom = style.palette.name not in _PALETTE_NUMBERS
        return Capabilities(
            width=self.columns,
            height=self.rows,
            color_level=int(style.color),
            color_count=_COLOR_COUNTS[style.color],
            render_mode=int(_BASIC_MODE.get(style.render, style.render)),
            utf8=self.utf8,
            desired_fps=self.frame_rate,
            wants_padding=self.padding,
            palette_type=_PALETTE_NUMBERS.get(style.palette.name, PaletteType.CUSTOM),
            palette_custom=style.palette.glyphs if custom else "",
            terminal_flags=_TERMINAL_FLAGS[style.color] | (_UTF8_FLAG if self.utf8 else 0),
            term_type=self.terminal.term,
            colorterm=self.terminal.colorterm,
            audio_codecs=_AUDIO_CODECS,
            detection_reliable=self.terminal.interactive and style.color is self.terminal.color,
        )

    def settings(self, wishes: ViewWishes) -> ViewSettings:
        """The message that tells a server of our own kind what goes beyond."""
        flags = ViewFlag(0)
        for wanted, flag in (
            (self.dithered, ViewFlag.DITHERED),
            (wishes.names, ViewFlag.NAMES),
            (not wishes.own_picture, ViewFlag.WITHOUT_SELF),
            (wishes.mirrored, ViewFlag.MIRRORED_SELF),
        ):
            if wanted:
                flags |= flag
        return ViewSettings(int(self.style().render), flags, wishes.spotlight, wishes.max_bitrate)
