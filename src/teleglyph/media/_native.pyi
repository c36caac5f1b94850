from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teleglyph.media.canvas import Draw

MAX_COLUMNS: int
MAX_ROWS: int
MAX_CHARACTERS: int
MAX_SOURCE_SIDE: int

class Style:
    def __init__(self, color: int, render: int, glyphs: Sequence[str]) -> None: ...
    @property
    def subrows(self) -> int: ...

class Canvas:
    def __init__(self, columns: int, rows: int, subrows: int) -> None: ...
    @property
    def columns(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def subrows(self) -> int: ...
    def clear(self) -> None: ...

def render(canvas: Canvas, draws: Sequence[Draw], style: Style) -> bytes: ...
def render_batch(jobs: Sequence[tuple[Canvas, Sequence[Draw], Style]]) -> list[bytes]: ...
def measure_text(text: bytes) -> tuple[int, int, int] | None: ...
def retain_large_buffers() -> bool:
    """Keep freed memory of up to 8 MiB a block for the next frame (32 MiB in all), instead of giving it back.

    Saves the page faults of every frame above 128 KiB.  For servers; True if it took effect (glibc only).
    """

def set_simd(enabled: bool) -> bool:
    """Allow or forbid AVX2 for the whole process, with equal results; True if it is in use from now on."""
