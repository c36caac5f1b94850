"""How pictures are to be drawn here: what was asked for, what the terminal can do, and what the keys change."""

from __future__ import annotations

from dataclasses import dataclass, replace

from teleglyph.client.terminal import Terminal
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import BUILT_IN, Palette
from teleglyph.media.style import Style
from teleglyph.wire import Capabilities

COLOR_NAMES = {
    ColorLevel.NONE: "no colour",
    ColorLevel.ANSI16: "16 colours",
    ColorLevel.ANSI256: "256 colours",
    ColorLevel.TRUECOLOR: "truecolor",
}
RENDER_NAMES = {
    RenderMode.FOREGROUND: "foreground",
    RenderMode.BACKGROUND: "background",
    RenderMode.HALF_BLOCK: "half-block",
}
_PALETTE_NUMBERS = {"standard": 1, "blocks": 2, "digital": 3, "minimal": 4, "cool": 5, "custom": 6}
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
class Display:
    """What to draw with.  Values that cannot go together give way (:meth:`style` says what is left of them).

    Attributes:
        columns, rows: size of the picture in characters.
        color: colours to use.
        render: use of the character cell; None takes half-blocks where the terminal can show them.
        palette: glyphs of foreground mode.
        utf8: characters outside ASCII may be used.
        frame_rate: frames per second wanted, 1 to 144.
        padding: centre the picture with spaces.
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

    def style(self) -> Style:
        """The style that comes nearest."""
        return Style.create(self.color, self.render_mode, self.palette, self.utf8)

    @property
    def render_mode(self) -> RenderMode:
        """The mode asked for, or the best one: a face is recognised far better in half-blocks than in glyphs."""
        if self.render is not None:
            return self.render
        can_show = self.utf8 and self.color >= ColorLevel.ANSI256
        return RenderMode.HALF_BLOCK if can_show else RenderMode.FOREGROUND

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
            if candidate.style().render is mode:
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
        custom = style.palette.name == "custom"
        return Capabilities(
            width=self.columns,
            height=self.rows,
            color_level=int(style.color),
            color_count=_COLOR_COUNTS[style.color],
            render_mode=int(style.render),
            utf8=self.utf8,
            desired_fps=self.frame_rate,
            wants_padding=self.padding,
            palette_type=_PALETTE_NUMBERS[style.palette.name],
            palette_custom=style.palette.glyphs if custom else "",
            terminal_flags=_TERMINAL_FLAGS[style.color] | (_UTF8_FLAG if self.utf8 else 0),
            term_type=self.terminal.term,
            colorterm=self.terminal.colorterm,
            audio_codecs=_AUDIO_CODECS,
            detection_reliable=self.terminal.interactive and style.color is self.terminal.color,
        )
