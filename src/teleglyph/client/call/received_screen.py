"""The screen that a server tells by its changes."""

from __future__ import annotations

import threading

from teleglyph.media.frame_text import SafeFrame, paint_frame
from teleglyph.media.grid import Grid, Painter, apply_update
from teleglyph.wire.acip import ScreenUpdate


class ReceivedScreen:
    """Keeps what updates add up to, and notices when one is missing.

    Attributes:
        lock: held while the grid changes; to be held by whoever reads it in another thread.
        grid: the screen; None before the first whole update.
        number: of the last update that was applied.
        level, rate: what the last update said of the server's rate control (:class:`teleglyph.wire.UpdateLevel`),
            and of the frames a second that it aims at.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.grid: Grid | None = None
        self.number = 0
        self.level = 0
        self.rate = 0
        self._is_waiting = False
        self._painter = Painter()

    @property
    def is_waiting(self) -> bool:
        """An update was missing: only a whole one helps."""
        return self._is_waiting

    def reset(self) -> None:
        """Forget everything: the next update comes over another connection."""
        with self.lock:
            self.grid, self.number, self._is_waiting = None, 0, False

    def frame(self, columns: int, rows: int) -> SafeFrame | None:
        """The screen as text; None before the first whole update.

        Args:
            columns: the width to return.  Of a larger screen only the upper left part is taken.
            rows: the height to return.
        """
        grid = self.grid
        if grid is not None and (grid.columns > columns or grid.rows > rows):
            part = Grid(min(columns, grid.columns), min(rows, grid.rows))
            part.take(grid)
            grid = part
        return None if grid is None else paint_frame(self._painter, grid)

    def receive(self, update: ScreenUpdate) -> bool:
        """Apply an update; False if it builds on a screen that we do not have, so that a whole one has to be asked for.

        Raises:
            BadDataError: it is malformed.
        """
        grid = self.grid
        size = update.columns, update.rows
        is_whole = update.base == 0
        fits = grid is not None and update.base == self.number and (grid.columns, grid.rows) == size
        if not is_whole and not fits:
            self._is_waiting = True
            return False
        with self.lock:
            if grid is None or (grid.columns, grid.rows) != size:
                grid = self.grid = Grid(*size)
            apply_update(update.body, is_whole, grid)
        self.number, self.level, self.rate = update.number, update.level, update.rate
        self._is_waiting = False
        return True
