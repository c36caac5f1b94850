"""Frames on standard output when it is not a terminal."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from teleglyph.console import output_failure
from teleglyph.errors import OutputError
from teleglyph.media.frame_text import SafeFrame

_CLOSE_SECONDS = 0.5


class FrameWriter:
    """Writes frames one after the other, each followed by a line feed, in a thread; a slow reader gets fewer.

    Args:
        on_failure: called in the thread when no more can be written; :meth:`check` then says why.
        output_fd: where to.
    """

    def __init__(self, on_failure: Callable[[], object], output_fd: int = 1) -> None:
        self._on_failure = on_failure
        self._output = output_fd
        self._frame: SafeFrame | None = None
        self._failure: OutputError | None = None
        self._closed = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="frame writer", daemon=True)
        self._thread.start()

    def show(self, frame: SafeFrame) -> None:
        """Write a frame soon; one that still waits is dropped."""
        with self._wake:
            self._frame = frame
            self._wake.notify()

    def close(self) -> None:
        """Write what waits, unless the reader stalls, and nothing more."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(_CLOSE_SECONDS)

    def check(self) -> None:
        """Raise what ended the writing, if something did.

        Raises:
            OutputClosedError: nobody reads any more.
            OutputError: writing failed.
        """
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._frame is not None or self._closed)
                frame, self._frame = self._frame, None
            if frame is None:
                return
            try:
                self._write(frame + b"\n")
            except OSError as error:
                self._failure = output_failure(error)
                with self._wake:
                    if not self._closed:
                        self._on_failure()
                return

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._output, view) :]
            except BlockingIOError:
                select.select([], [self._output], [])
