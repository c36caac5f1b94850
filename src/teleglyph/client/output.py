"""Frames on standard output when it is no terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from teleglyph.media.frame_text import measure


class FrameWriter:
    """Writes frames one after the other, each followed by a line feed, in a thread; a slow reader gets fewer.

    Args:
        output_fd: where to.
        on_closed: called in the thread when nobody reads any more.
    """

    def __init__(self, on_closed: Callable[[], object], output_fd: int = 1) -> None:
        self._on_closed = on_closed
        self._output = output_fd
        self._frame: bytes | None = None
        self._closed = False
        self._wake = threading.Condition()
        threading.Thread(target=self._run, name="frame writer", daemon=True).start()

    def show(self, text: bytes) -> None:
        """Write a frame soon; one that still waits is dropped."""
        with self._wake:
            self._frame = text
            self._wake.notify()

    def close(self) -> None:
        """Write nothing more."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._frame is not None or self._closed)
                frame, self._frame = self._frame, None
                if self._closed or frame is None:
                    return
            if measure(frame) is not None and not self._write(frame + b"\n"):
                self._on_closed()
                return

    def _write(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._output, view) :]
            except OSError:
                return False
        return True
