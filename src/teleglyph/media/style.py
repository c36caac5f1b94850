"""The style of a frame: colours, use of the character cell, glyphs."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleglyph.media import _native
from teleglyph.media.modes import ColorLevel, RenderMode
from teleglyph.media.palette import STANDARD, Palette

_IN_ASCII = {
    RenderMode.HALF_BLOCK: RenderMode.BACKGROUND,
    RenderMode.QUADRANT: RenderMode.BACKGROUND,
    RenderMode.SEXTANT: RenderMode.BACKGROUND,
    RenderMode.BRAILLE: RenderMode.SHAPE,
}
_COVERAGE_MODES = (RenderMode.FOREGROUND, RenderMode.BRAILLE, RenderMode.SHAPE)


@dataclass(frozen=True, slots=True)
class Style:
    """How a canvas is drawn; made by :meth:`create`, immutable, equal and hashed by value.

    Attributes:
        color: colours used.
        render: use of the character cell.
        palette: glyphs of foreground mode.
        utf8: whether characters outside ASCII may be used.
        dithered: 16 and 256 colours are mixed in an ordered pattern.
        native: the compiled style for the native canvas.
    """

    color: ColorLevel
    render: RenderMode
    palette: Palette
    utf8: bool
    dithered: bool = False
    native: _native.Style = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        native = _native.Style(self.color, self.render, list(self.palette.glyphs), self.dithered)
        object.__setattr__(self, "native", native)

    @classmethod
    def create(
        cls, color: ColorLevel, render: RenderMode, palette: Palette, utf8: bool, *, dithered: bool = False
    ) -> Style:
        """The supported style that is closest to the request.

        Blocks and braille need UTF-8, backgrounds need colours: without UTF-8 blocks become backgrounds and braille
        becomes shapes; without colours backgrounds become glyphs.  Without UTF-8 the standard palette replaces one that
        is not ASCII.
        """
        if not utf8:
            render = _IN_ASCII.get(render, render)
        if render is RenderMode.BACKGROUND and color is ColorLevel.NONE:
            render = RenderMode.FOREGROUND
        if not utf8 and not palette.glyphs.isascii():
            palette = STANDARD
        return cls(color, render, palette, utf8, dithered and color in (ColorLevel.ANSI16, ColorLevel.ANSI256))

    @property
    def shows_light_by_coverage(self) -> bool:
        """Whether dark parts are left blank, on the terminal's own background, instead of drawn in a dark colour."""
        return self.color is ColorLevel.NONE or self.render in _COVERAGE_MODES

    @property
    def subrows(self) -> int:
        """Rows of canvas cells in one row of characters, 1 to 4."""
        return self.native.subrows

    @property
    def subcolumns(self) -> int:
        """Columns of canvas cells in one column of characters, 1 or 2."""
        return self.native.subcolumns
