"""Write frames to standard output when it is not a terminal."""

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
    """Writes frames in a thread, each with a line feed; a slow reader gets fewer.

    Args:
        on_failure: called in the thread when writing fails; :meth:`check` then raises the error.
        output_fd: the file descriptor.
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

    def write(self, frame: SafeFrame) -> None:
        """Queue a frame; it replaces a waiting one."""
        with self._wake:
            self._frame = frame
            self._wake.notify()

    def close(self) -> None:
        """Write the waiting frame, unless the reader stalls, and stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(_CLOSE_SECONDS)

    def check(self) -> None:
        """Raise the error that ended the writing, if any.

        Raises:
            OutputClosedError: the reader closed the pipe.
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
