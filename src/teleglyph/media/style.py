"""The style of a frame: colours, use of the character cell, glyphs."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleglyph.media import _native
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import STANDARD, Palette


@dataclass(frozen=True, slots=True)
class Style:
    """How a canvas is drawn; made by :meth:`create`, immutable, equal and hashed by value.

    Attributes:
        color: colours used.
        render: use of the character cell.
        palette: glyphs of foreground mode.
        utf8: whether characters outside ASCII may be used.
        native: the compiled style that the native canvas takes.
    """

    color: ColorLevel
    render: RenderMode
    palette: Palette
    utf8: bool
    native: _native.Style = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        native = _native.Style(self.color, self.render, list(self.palette.glyphs))
        object.__setattr__(self, "native", native)

    @classmethod
    def create(cls, color: ColorLevel, render: RenderMode, palette: Palette, utf8: bool) -> Style:
        """The style that comes nearest to what is asked for.

        Half-blocks need UTF-8, backgrounds need colours: the next of half-block, background and foreground
        that is possible is taken.  Without UTF-8 a palette with other than ASCII characters gives way to
        the standard one.
        """
        if render is RenderMode.HALF_BLOCK and not utf8:
            render = RenderMode.BACKGROUND
        if render is RenderMode.BACKGROUND and color is ColorLevel.NONE:
            render = RenderMode.FOREGROUND
        if not utf8 and not palette.glyphs.isascii():
            palette = STANDARD
        return cls(color, render, palette, utf8)

    @property
    def subrows(self) -> int:
        """Rows of canvas cells in one row of characters: 2 for half-blocks, else 1."""
        return self.native.subrows
