"""A thread that reads a blocking source and keeps its newest picture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from teleglyph.errors import LocalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from teleglyph.media.source import VideoSource


class Pump:
    """Reads a source in its own thread and keeps the newest picture, without a queue.

    Args:
        source: owned by the pump.  It paces itself: a read waits until there is a picture.
        on_frame: called in the thread after every new picture, and once more at the end.
    """

    def __init__(self, source: VideoSource, on_frame: Callable[[], object]) -> None:
        self.ended = False
        """Whether the source has no more pictures."""
        self.error: LocalError | None = None
        """The error that ended the source; None at its normal end."""
        self._source = source
        self._on_frame = on_frame
        self._newest: tuple[int, NDArray[np.uint8]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"pump {source.description}", daemon=True)
        self._thread.start()

    def latest(self) -> tuple[int, NDArray[np.uint8]] | None:
        """The newest picture with its number, which is no longer changed; None before the first."""
        return self._newest

    def close(self) -> None:
        """End the thread and close the source."""
        self._closed = True
        self._source.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def _run(self) -> None:
        number = 0
        try:
            while not self._closed and (pixels := self._source.read()) is not None:
                if self._newest is not None and pixels is self._newest[1]:
                    continue  # a still picture is not a new one
                self._newest = (number, pixels)
                number += 1
                self._notify()
        except LocalError as error:
            self.error = error
        self.ended = True
        self._source.close()
        self._notify()

    def _notify(self) -> None:
        if self._closed:
            return
        try:
            self._on_frame()
        except RuntimeError:  # the event loop is closed
            self._closed = True
