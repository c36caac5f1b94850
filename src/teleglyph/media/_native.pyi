from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from teleglyph.media.canvas import Draw
    from teleglyph.media.grid import Label

MAX_COLUMNS: int
MAX_ROWS: int
MAX_CHARACTERS: int
MAX_SOURCE_SIDE: int

class Style:
    def __init__(self, color: int, render: int, glyphs: Sequence[str], dithered: bool = False) -> None: ...
    @property
    def subcolumns(self) -> int: ...
    @property
    def subrows(self) -> int: ...

class Canvas:
    def __init__(self, columns: int, rows: int, subcolumns: int, subrows: int) -> None: ...
    @property
    def columns(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def subcolumns(self) -> int: ...
    @property
    def subrows(self) -> int: ...
    def clear(self) -> None: ...

class Grid:
    def __init__(self, columns: int, rows: int) -> None: ...
    @property
    def columns(self) -> int: ...
    @property
    def rows(self) -> int: ...
    def copy(self) -> Grid: ...
    def take(self, other: Grid) -> None:
        """Copy another grid's upper left part, and fill the rest with blanks."""

    def put(self, labels: Sequence[Label]) -> None:
        """Write lines of text.  Raises ValueError if one leaves the grid; then those before it are written."""

    def to_terminal(self, style: Style) -> None:
        """Replace the picture's colours by those of the style's terminal."""

    def characters(self) -> list[tuple[int, int, int]]:
        """Foreground, background and code point of every character, row by row."""

class Painter:
    """Renders grids as text, and reuses its memory; one thread at a time."""

    def __init__(self) -> None: ...
    def changes(self, wanted: Grid, shown: Grid) -> bytes:
        """Text that turns a terminal's screen from ``shown`` into ``wanted``; makes ``shown`` equal to ``wanted``.

        Begins and ends without attributes and leaves the cursor anywhere; automatic margins have to be off.
        """

    def all(self, grid: Grid) -> bytes:
        """All rows, joined by line feeds, without cursor movement and without an active colour at the end."""

def compose_batch(compositions: Sequence[tuple[Grid, Canvas, Sequence[Draw], Style, Sequence[Label]]]) -> None: ...
def encode_batch(
    encodings: Sequence[tuple[Grid, Grid, Style, int, bool, Grid | None, int, int]],
) -> list[tuple[bytes, int, int]]: ...
def update_glyphs(update: bytes) -> list[int]: ...
def apply_update(update: bytes, whole: bool, widths: bytes, grid: Grid) -> None:
    """Apply an update; ``widths`` has the columns of each of :func:`update_glyphs`, 0 for one to replace by ``?``.

    Raises ValueError for a malformed update; the grid is then unchanged.
    """

def render(canvas: Canvas, draws: Sequence[Draw], style: Style) -> bytes: ...
def render_batch(jobs: Sequence[tuple[Canvas, Sequence[Draw], Style]]) -> list[bytes]: ...
def shrink(pixels: NDArray[np.uint8], width: int, height: int) -> bytes:
    """Scale a picture (uint8, shape (height, width, 3)) down by area; returns RGB, row by row."""

def scan_text(text: bytes) -> tuple[int, list[int]]:
    """The number of bytes of a frame that may be drawn, and the code points whose width has to be looked up."""

def fit_text(text: bytes, glyphs: Sequence[int], kinds: bytes, columns: int, rows: int) -> tuple[bytes, int, int]:
    """The last rows of a drawable frame, cut to columns; their number, and the columns of the shortest.

    ``kinds`` has the kind of each of ``glyphs`` (:class:`teleglyph.media.frame_text.GlyphKind`), which are in
    ascending order.
    """

def retain_large_buffers() -> bool:
    """Keep freed blocks of up to 8 MiB (32 MiB in all) for the next frame instead of returning them to the system.

    Saves page faults for every frame above 128 KiB.  For servers; returns True if it took effect (glibc only).
    """

def set_simd(enabled: bool) -> bool:
    """Allow or forbid AVX2 for the whole process, with equal results; returns whether it is used from now on."""
