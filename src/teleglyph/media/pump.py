"""A thread between a source that blocks and whoever wants its newest picture."""

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
    """Reads a source in a thread of its own and keeps the newest picture; there is no queue.

    Args:
        source: belongs to the pump from now on.  It paces itself: a read waits until there is something.
        on_frame: called in the thread after every new picture, and once more at the end.
    """

    def __init__(self, source: VideoSource, on_frame: Callable[[], object]) -> None:
        self.ended = False
        """The source gives no more pictures."""
        self.error: LocalError | None = None
        """Why, if it is not simply over."""
        self._source = source
        self._on_frame = on_frame
        self._newest: tuple[int, NDArray[np.uint8]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"pump {source.description}", daemon=True)
        self._thread.start()

    def latest(self) -> tuple[int, NDArray[np.uint8]] | None:
        """The newest picture with its number; None before the first.  Nobody writes to it any more."""
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
                    continue  # a picture that stays is not news
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
        except RuntimeError:  # the event loop that listened is closed
            self._closed = True
