"""The terminal that frames are drawn on: entered, drawn, and always left as it was."""

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

from teleglyph.media.frame_text import SafeFrame
from teleglyph.media.grid import Grid, Painter
from teleglyph.printable import fit, in_ascii, width

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = b"\x18\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""CAN first: it ends an escape sequence that a slow terminal got only half of."""
_BEGIN_UPDATE, _END_UPDATE = b"\x1b[?2026h", b"\x1b[?2026l"
_entered: set[Screen] = set()
"""Screens that have a terminal at this moment."""
_CHUNK = 16 << 10
"""Bytes between two looks at whether the screen is being left."""


class GridSource(Protocol):
    """Where grids come from.

    Attributes:
        lock: held while the grid changes.
        grid: what is to be seen; None for nothing.
        number: tells it from those before.
    """

    lock: threading.Lock
    grid: Grid | None
    number: int


class Screen:
    """Draws in a thread of its own, so that a slow terminal holds nobody up: the newest frame wins.

    The last row is the status line, the rest is the picture's.  Use as a context manager; the terminal is restored on
    every exit.

    Args:
        columns, rows: size of the terminal.
        synchronized: the terminal can be told to show complete frames only.
        utf8: the terminal shows UTF-8; otherwise the status line and the box are in ASCII.
        input_fd, output_fd: the terminal; ``input_fd`` is None when keys come from elsewhere.
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
        """Frames that were replaced before they were drawn."""
        self._synchronized = synchronized
        self._utf8 = utf8
        self._input = input_fd if input_fd is not None and os.isatty(input_fd) else None
        self._output = output_fd
        self._size = (columns, rows)
        self._saved: list[Any] | None = None
        self._was_blocking = True
        self._entered = False
        self._frame: SafeFrame | None = None
        self._shown: SafeFrame | None = None
        self._source: GridSource | None = None
        self._on_seen: Callable[[int], object] = _ignore
        self._has_news = False
        self._painter = Painter()
        self._picture_grid = Grid(1, 1)
        self._painted: Grid | None = None
        """What the picture's part of the terminal shows; None if that is not known."""
        self._overlay: tuple[str, ...] = ()
        self._overlay_at_foot = False
        self._status = ""
        self._drawn_status = b""
        self._clear = True
        self._dirty = False
        self._closed = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def enter(self) -> None:
        """Take the terminal over; also again after :meth:`leave`."""
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
        """Stop drawing and give the terminal back as it was."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(0.5)
            self._thread = None
        self.restore()

    def restore(self) -> None:
        """Give the terminal back at once, whatever the drawing thread does; safe to call at any moment."""
        if not self._entered:
            return
        self._entered, self._closed = False, True
        _entered.discard(self)
        atexit.unregister(self.restore)
        try:
            # A terminal that takes nothing (Ctrl-S, a dead connection) must not keep us from ending.
            if select.select([], [self._output], [], 0.2)[1]:
                os.write(self._output, _LEAVE)
            if self._input is not None and self._saved is not None:
                termios.tcsetattr(self._input, termios.TCSANOW, self._saved)
            # The event loop, which reads the keys, has changed what the shell shares with us.
            os.set_blocking(self._output, self._was_blocking)
        except OSError:
            pass

    # --- what is shown --------------------------------------------------------------------------------

    @property
    def picture_size(self) -> tuple[int, int]:
        """Columns and rows of the picture."""
        columns, rows = self._size
        return columns, max(1, rows - 1)

    @property
    def has_status(self) -> bool:
        """The window is high enough for a status line."""
        return self._size[1] >= 2

    def show(self, frame: SafeFrame) -> None:
        """Draw a frame soon; one that still waits is dropped, and one that is shown already is not drawn again."""
        with self._wake:
            self.dropped_frames += self._frame is not None
            self._frame, self._source = frame, None
            self._wake.notify()

    def show_grid(self, source: GridSource, on_seen: Callable[[int], object] | None = None) -> None:
        """Draw what a source has, soon, by what changed since it was drawn last.

        Args:
            source: gives the grid and its number.
            on_seen: called in the drawing thread with the source's number when that has been drawn.
        """
        with self._wake:
            self.dropped_frames += self._has_news
            self._source, self._on_seen, self._frame, self._shown = source, on_seen or _ignore, None, None
            self._has_news = True
            self._wake.notify()

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size now."""
        with self._wake:
            self._size = (columns, rows)
            self._shown, self._clear, self._dirty = None, True, True
            self._wake.notify()

    def clear(self) -> None:
        """Erase the screen, and forget the last frame."""
        with self._wake:
            self._shown, self._source, self._clear, self._dirty = None, None, True, True
            self._wake.notify()

    def set_status(self, text: str) -> None:
        """The status line."""
        if text != self._status:
            self._status = text
            self._redraw()

    def set_overlay(self, lines: Sequence[str], *, at_foot: bool = False) -> None:
        """Lines in a box over the middle of the picture, or over its last rows; none take the box away."""
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
                self._wake.wait_for(lambda: self._frame is not None or self._has_news or self._dirty or self._closed)
                if self._closed:
                    return
                frame, self._frame = self._frame, None
                source = self._source if self._has_news or self._clear else None
                on_seen, self._has_news = self._on_seen, False
                clear, self._clear, self._dirty = self._clear, False, False
            number, picture = self._compose_picture(frame, source, clear)
            self._write(self._compose(picture, clear))
            if number:
                on_seen(number)

    def _compose_picture(self, frame: SafeFrame | None, source: GridSource | None, clear: bool) -> tuple[int, bytes]:
        """The text that draws what is new, and the number of the source's grid that is seen then, or 0."""
        if clear:
            self._painted = Grid(*self.picture_size)
        if source is not None and frame is None:
            return self._changes(source)
        is_new = frame is not None and frame != self._shown
        if frame is not None:
            self._shown = frame
        if not self._shown or not (is_new or clear):
            return 0, b""
        self._painted = None
        return 0, self._picture(self._shown)

    def _changes(self, source: GridSource) -> tuple[int, bytes]:
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
            parts += self._box()
        status = self._status_line()
        if clear or status != self._drawn_status:
            parts.append(status)
            self._drawn_status = status
        body = b"".join(parts)
        return _BEGIN_UPDATE + body + _END_UPDATE if self._synchronized else body

    def _picture(self, frame: SafeFrame) -> bytes:
        columns, height = self.picture_size
        rows = frame.split(b"\n", height)[:height]
        # Rows are erased before they are drawn, and only if some are short: erasing behind a full row would take
        # its last character, because the cursor stays on it.
        has_gaps = frame.narrowest < columns or len(rows) < height
        start = b"\x1b[0m\x1b[K" if has_gaps else b"\x1b[0m"
        rows += [b""] * (height - len(rows))
        return b"\x1b[H" + start + (b"\r\n" + start).join(rows)

    def _box(self) -> list[bytes]:
        columns, height = self.picture_size
        lines = [self._fit(line, columns - 4) for line in self._overlay[: max(0, height)]]
        widest = max((width(line) for line in lines), default=0)
        if not lines or widest <= 0:
            return []
        left, middle = (columns - widest - 4) // 2 + 1, (height - len(lines)) // 2
        top = 1 + (max(0, height - len(lines)) if self._overlay_at_foot else middle)
        padded = (f"  {line}{' ' * (widest - width(line))}  " for line in lines)
        return [
            f"\x1b[{top + index};{max(1, left)}H\x1b[0;7m{line}\x1b[0m".encode() for index, line in enumerate(padded)
        ]

    def _status_line(self) -> bytes:
        columns, rows = self._size
        if rows < 2:
            return b""
        text = self._fit(self._status, columns)
        padding = " " * (columns - width(text))
        return f"\x1b[{rows};1H\x1b[0;7m{text}{padding}\x1b[0m".encode()

    def _fit(self, text: str, columns: int) -> str:
        """As much of one line of text as the terminal can show in so many columns."""
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
    """Nobody wants to know."""


def restore_all() -> None:
    """Give every terminal back at once: for a program that ends without unwinding."""
    for screen in list(_entered):
        screen.restore()
