"""The canvas: scales pictures and renders them as the text of a frame.

Scaling, glyphs, colours and escape sequences take one native call without the GIL, for one canvas
(:meth:`Canvas.render`) or for all canvases of a tick (:func:`render_batch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from teleglyph.media import _native
from teleglyph.media.style import Style

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Draw(NamedTuple):
    """A picture and the rectangle that it fills, in character cells from the top left corner.

    The picture is stretched to the rectangle; :func:`teleglyph.media.layout.arrange` returns rectangles of its shape.
    Its memory is read without the GIL, so it must not be changed during the call.
    """

    pixels: NDArray[np.uint8]
    """RGB, C-contiguous, of the shape (height, width, 3), 1 to 8192 pixels on each side."""
    x: int
    y: int
    width: int
    height: int
    mirrored: bool = False
    """Swap left and right."""


class Canvas:
    """A persistent picture of ``columns * subcolumns`` x ``rows * subrows`` cells, transparent at first.

    Drawn pictures stay until they are drawn over, so only changed ones have to be drawn again.  Any thread may use a
    canvas; calls on the same one wait for each other.

    Args:
        columns: width in characters.
        rows: height in characters; each side is at most 4096, ``columns * rows`` at most 2**20.
        subrows: rows of cells in a character, as in the style (1 to 4).
        subcolumns: columns of cells in a character (1 or 2).

    Raises:
        ValueError: a size is out of range.
    """

    def __init__(self, columns: int, rows: int, subrows: int, subcolumns: int = 1) -> None:
        self.native = _native.Canvas(columns, rows, subcolumns, subrows)

    @classmethod
    def of(cls, columns: int, rows: int, style: Style) -> Canvas:
        """A canvas whose characters have the cells that the style needs."""
        return cls(columns, rows, style.subrows, style.subcolumns)

    @property
    def columns(self) -> int:
        """Width in characters."""
        return self.native.columns

    @property
    def rows(self) -> int:
        """Height in characters."""
        return self.native.rows

    @property
    def subrows(self) -> int:
        """Rows of cells in a character."""
        return self.native.subrows

    @property
    def subcolumns(self) -> int:
        """Columns of cells in a character."""
        return self.native.subcolumns

    def clear(self) -> None:
        """Make every cell transparent."""
        self.native.clear()

    def render(self, draws: Sequence[Draw], style: Style) -> bytes:
        """Draw pictures, then render the whole canvas.

        Every cell is the mean of its box of pixels (columns ``x*W//w`` to ``(x+1)*W//w``, rows alike, at least one
        pixel), each channel rounded half up.  The text has ``rows`` rows joined by LF, each exactly ``columns`` columns
        wide, without cursor movement and without an active colour at its end.  Transparent cells are spaces on the
        default background.

        Raises:
            ValueError: a rectangle leaves the canvas, a picture's format, order or size differs from :class:`Draw`, or
                the style's characters have other cells.
            TypeError: a draw is not a :class:`Draw`, or its pixels are not a buffer.
        """
        return _native.render(self.native, draws, style.native)


def render_batch(jobs: Sequence[tuple[Canvas, Sequence[Draw], Style]]) -> list[bytes]:
    """:meth:`Canvas.render` for many canvases in one native call.

    Raises:
        ValueError: as for :meth:`Canvas.render`; then nothing was drawn.
    """
    return _native.render_batch([(canvas.native, draws, style.native) for canvas, draws, style in jobs])
