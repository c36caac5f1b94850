"""The terminal that frames are drawn on; every exit restores it."""

from __future__ import annotations

import atexit
import os
import select
import termios
import threading
import tty
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from teleglyph.client.terminal.drawing import box_columns, draw_box, draw_frame, draw_status
from teleglyph.media.frame_text import SafeFrame
from teleglyph.media.grid import Grid, Painter
from teleglyph.printable import fit, in_ascii

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = b"\x18\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Starts with CAN, which ends an escape sequence that a slow terminal has received only in part."""
_BEGIN_UPDATE, _END_UPDATE = b"\x1b[?2026h", b"\x1b[?2026l"
_entered: set[Screen] = set()
"""Screens that own a terminal now."""
_CHUNK = 16 << 10
"""Bytes per write; between writes, the screen may be left."""


class GridSource(Protocol):
    """An object that owns a changing grid.

    Attributes:
        lock: held while the grid changes.
        grid: the cells to draw; None for nothing.
        number: grows with every change.
    """

    lock: threading.Lock
    grid: Grid | None
    number: int


class Screen:
    """Draws in a thread of its own: a slow terminal blocks nothing, and the newest frame wins.

    The last row is the status line, the other rows show the picture.  Use as a context manager; every exit restores the
    terminal.

    Args:
        columns, rows: size of the terminal.
        synchronized: the terminal can show complete frames only (private mode 2026).
        utf8: the terminal shows UTF-8; otherwise status line and box are ASCII.
        input_fd, output_fd: the terminal; ``input_fd`` is None if keys come from elsewhere.
    """

    def __init__(
        self,
        columns: int,
        rows: int,
        *,
        synchronized: bool = False,
        utf8: bool = True,
        input_fd: int | None = 0,
        output_fd: int = 1,
    ) -> None:
        self.dropped_frames = 0
        """Frames replaced before they were drawn."""
        self._synchronized = synchronized
        self._utf8 = utf8
        self._input = input_fd if input_fd is not None and os.isatty(input_fd) else None
        self._output = output_fd
        self._size = (columns, rows)
        self._saved: list[Any] | None = None
        self._was_blocking = True
        self._entered = False
        self._frame: SafeFrame | None = None
        self._drawn_frame: SafeFrame | None = None
        self._source: GridSource | None = None
        self._on_drawn: Callable[[int], object] = _ignore
        self._has_new_grid = False
        self._painter = Painter()
        self._picture_grid = Grid(1, 1)
        self._painted: Grid | None = None
        """The cells on the terminal above the status line; None if unknown."""
        self._overlay: tuple[str, ...] = ()
        self._overlay_at_foot = False
        self._status = ""
        self._drawn_status = b""
        self._clear = True
        self._dirty = False
        self._closed = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    # --- entering and leaving -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def enter(self) -> None:
        """Take over the terminal, also again after :meth:`leave`."""
        if self._entered:
            return
        self._entered, self._closed, self._clear = True, False, True
        self._was_blocking = os.get_blocking(self._output)
        _entered.add(self)
        if self._input is not None:
            self._saved = termios.tcgetattr(self._input)
            tty.setcbreak(self._input, termios.TCSADRAIN)
        atexit.register(self.restore)
        self._write(_ENTER)
        self._thread = threading.Thread(target=self._draw_loop, name="screen", daemon=True)
        self._thread.start()
        self._redraw()

    def leave(self) -> None:
        """Stop drawing and restore the terminal."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(0.5)
            self._thread = None
        self.restore()

    def restore(self) -> None:
        """Restore the terminal at once, whatever the drawing thread does; safe to call at any time."""
        if not self._entered:
            return
        self._entered, self._closed = False, True
        _entered.discard(self)
        atexit.unregister(self.restore)
        try:
            # A terminal that accepts nothing (Ctrl-S, a dead connection) must not block our exit.
            if select.select([], [self._output], [], 0.2)[1]:
                os.write(self._output, _LEAVE)
            if self._input is not None and self._saved is not None:
                termios.tcsetattr(self._input, termios.TCSANOW, self._saved)
            # The event loop made the file non-blocking to read keys, and the shell shares it.
            os.set_blocking(self._output, self._was_blocking)
        except OSError:
            pass

    # --- content --------------------------------------------------------------------------------------

    @property
    def picture_size(self) -> tuple[int, int]:
        """Columns and rows of the picture."""
        columns, rows = self._size
        return columns, max(1, rows - 1)

    @property
    def has_status(self) -> bool:
        """Whether the window is high enough for a status line."""
        return self._size[1] >= 2

    def draw_frame(self, frame: SafeFrame) -> None:
        """Queue a frame for drawing: it replaces a waiting one, and an identical frame is not drawn again."""
        with self._wake:
            self.dropped_frames += self._frame is not None
            self._frame, self._source = frame, None
            self._wake.notify()

    def draw_grid(self, source: GridSource, on_drawn: Callable[[int], object] | None = None) -> None:
        """Queue a source's grid; only changed cells are drawn.

        Args:
            source: of the newest grid.
            on_drawn: called in the drawing thread with the number of the drawn grid.
        """
        with self._wake:
            self.dropped_frames += self._has_new_grid
            self._source, self._on_drawn, self._frame, self._drawn_frame = source, on_drawn or _ignore, None, None
            self._has_new_grid = True
            self._wake.notify()

    def resize(self, columns: int, rows: int) -> None:
        """Set a new size of the terminal."""
        with self._wake:
            self._size = (columns, rows)
            self._drawn_frame, self._clear, self._dirty = None, True, True
            self._wake.notify()

    def clear(self) -> None:
        """Erase the screen and forget the last frame."""
        with self._wake:
            self._drawn_frame, self._source, self._clear, self._dirty = None, None, True, True
            self._wake.notify()

    def set_status(self, text: str) -> None:
        """Set the text of the status line."""
        if text != self._status:
            self._status = text
            self._redraw()

    def set_overlay(self, lines: Sequence[str], *, at_foot: bool = False) -> None:
        """Set the lines in a box over the middle of the picture or its last rows; without lines, remove the box."""
        overlay = tuple(lines)
        if (overlay, at_foot) != (self._overlay, self._overlay_at_foot):
            with self._wake:
                self._overlay_at_foot = at_foot
                self._overlay, self._clear, self._dirty = overlay, True, True
                self._wake.notify()

    def _redraw(self) -> None:
        with self._wake:
            self._dirty = True
            self._wake.notify()

    # --- drawing --------------------------------------------------------------------------------------

    def _draw_loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(self._has_work)
                if self._closed:
                    return
                frame, self._frame = self._frame, None
                source = self._source if self._has_new_grid or self._clear else None
                on_drawn, self._has_new_grid = self._on_drawn, False
                clear, self._clear, self._dirty = self._clear, False, False
            number, picture = self._draw_picture(frame, source, clear)
            self._write(self._compose(picture, clear))
            if number:
                on_drawn(number)

    def _has_work(self) -> bool:
        return self._frame is not None or self._has_new_grid or self._dirty or self._closed

    def _draw_picture(self, frame: SafeFrame | None, source: GridSource | None, clear: bool) -> tuple[int, bytes]:
        """Escape sequences that draw what is new, and the number of the grid that they draw, or 0."""
        if clear:
            self._painted = Grid(*self.picture_size)
        if source is not None and frame is None:
            return self._draw_changes(source)
        is_new = frame is not None and frame != self._drawn_frame
        if frame is not None:
            self._drawn_frame = frame
        if not self._drawn_frame or not (is_new or clear):
            return 0, b""
        self._painted = None
        return 0, draw_frame(self._drawn_frame, *self.picture_size)

    def _draw_changes(self, source: GridSource) -> tuple[int, bytes]:
        size = self.picture_size
        if (self._picture_grid.columns, self._picture_grid.rows) != size:
            self._picture_grid = Grid(*size)
        painted, start = self._painted, b""
        if painted is None or (painted.columns, painted.rows) != size:
            painted, start = Grid(*size), b"\x1b[2J"
        with source.lock:
            number, grid = source.number, source.grid
            if grid is None:
                return 0, b""
            self._picture_grid.take(grid)
        self._painted = painted
        return number, start + self._painter.changes(self._picture_grid, painted)

    def _compose(self, picture: bytes, clear: bool) -> bytes:
        parts = [b"\x1b[0m\x1b[2J" if clear else b"\x1b[0m", picture]
        if picture or clear:
            parts.append(self._draw_box())
        status = self._draw_status()
        if clear or status != self._drawn_status:
            parts.append(status)
            self._drawn_status = status
        body = b"".join(parts)
        return _BEGIN_UPDATE + body + _END_UPDATE if self._synchronized else body

    def _draw_box(self) -> bytes:
        columns, rows = self.picture_size
        lines = [self._fit(line, box_columns(columns)) for line in self._overlay[:rows]]
        return draw_box(lines, columns, rows, at_foot=self._overlay_at_foot)

    def _draw_status(self) -> bytes:
        columns, rows = self._size
        return draw_status(self._fit(self._status, columns), columns, rows) if self.has_status else b""

    def _fit(self, text: str, columns: int) -> str:
        """The line, cut to ``columns``, in characters that the terminal can show."""
        return fit(text if self._utf8 else in_ascii(text), columns)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._closed:
            try:
                view = view[os.write(self._output, view[:_CHUNK]) :]
            except BlockingIOError:
                select.select([], [self._output], [], 0.1)
            except OSError:
                return


def _ignore(_number: int) -> None:
    """The default callback."""


def restore_all() -> None:
    """Restore every terminal at once, for a program that ends without unwinding."""
    for screen in list(_entered):
        screen.restore()
