"""The screen that a server describes by deltas."""

from __future__ import annotations

import threading

from teleglyph.media.frame_text import SafeFrame, paint_frame
from teleglyph.media.grid import Grid, Painter, apply_update
from teleglyph.wire.acip import ScreenUpdate


class ReceivedScreen:
    """Applies deltas to a grid, and detects a missing one.

    Attributes:
        lock: held while the grid changes; hold it to read the grid in another thread.
        grid: the screen; None before the first full one.
        number: of the last delta applied.
        level: the server's quality, from the last delta (:class:`teleglyph.wire.acip.UpdateLevel`).
        rate: the frame rate that the server aims at.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.grid: Grid | None = None
        self.number = 0
        self.level = 0
        self.rate = 0
        self.needs_full_screen = False
        """A delta was missing, so only a full screen helps."""
        self._painter = Painter()

    def reset(self) -> None:
        """Forget everything: the next delta comes over a new connection."""
        with self.lock:
            self.grid, self.number, self.needs_full_screen = None, 0, False

    def frame(self, columns: int, rows: int) -> SafeFrame | None:
        """The screen as text; None before the first full one.

        Args:
            columns: requested width; a wider screen is cut off on the right.
            rows: requested height; a higher screen is cut off below.
        """
        grid = self.grid
        if grid is not None and (grid.columns > columns or grid.rows > rows):
            part = Grid(min(columns, grid.columns), min(rows, grid.rows))
            part.take(grid)
            grid = part
        return None if grid is None else paint_frame(self._painter, grid)

    def apply(self, update: ScreenUpdate) -> bool:
        """Apply a delta; False if its base is missing, so that a full screen has to be requested.

        Raises:
            BadDataError: the delta is malformed.
        """
        grid = self.grid
        size = update.columns, update.rows
        is_full = update.base == 0
        fits = grid is not None and update.base == self.number and (grid.columns, grid.rows) == size
        if not is_full and not fits:
            self.needs_full_screen = True
            return False
        with self.lock:
            if grid is None or (grid.columns, grid.rows) != size:
                grid = self.grid = Grid(*size)
            apply_update(update.body, is_full, grid)
        self.number, self.level, self.rate = update.number, update.level, update.rate
        self.needs_full_screen = False
        return True
