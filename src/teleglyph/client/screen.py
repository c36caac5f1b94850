"""The terminal that frames are drawn on: entered, drawn, and always left as it was."""

from __future__ import annotations

import os
import re
import sys
import termios
import threading
import tty
from types import TracebackType
from typing import Any, Self

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_SAFE = re.compile(rb"(?:[^\x00-\x1f\x7f]|\n|\x1b\[[0-9;]*m)*")


def is_safe(text: bytes) -> bool:
    """Whether a frame holds nothing but printable text, line ends and colours; only such frames are drawn."""
    return _SAFE.fullmatch(text) is not None


class Screen:
    """Draws on standard output in a thread of its own, so that a slow terminal holds nobody up: the newest frame wins.

    Use as a context manager; on every exit the terminal is restored.
    """

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._output = sys.stdout.fileno()
        self._saved: list[Any] | None = None
        self._frame: bytes | None = None
        self._clear = False
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._draw, name="screen", daemon=True)

    def __enter__(self) -> Self:
        if self._input is not None:
            self._saved = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)
        self._write(_ENTER)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(0.5)
        self._write(_LEAVE)
        if self._input is not None and self._saved is not None:
            termios.tcsetattr(self._input, termios.TCSAFLUSH, self._saved)

    def show(self, text: bytes) -> None:
        """Draw a frame soon; a frame that is still waiting is dropped, and so is one that is not safe to draw."""
        if not is_safe(text):
            return
        with self._wake:
            self._frame = text
            self._wake.notify()

    def clear(self) -> None:
        """Erase the screen before the next frame."""
        self._clear = True

    def _draw(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._frame is not None or self._closed)
                frame, self._frame = self._frame, None
                clear, self._clear = self._clear, False
            if frame is None:
                return
            rows = frame.replace(b"\n", b"\x1b[0m\x1b[K\r\n")
            start = b"\x1b[?2026h\x1b[0m" + (b"\x1b[2J" if clear else b"") + b"\x1b[H"
            self._write(start + rows + b"\x1b[0m\x1b[K\x1b[?2026l")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._output, view) :]
            except OSError:
                return
