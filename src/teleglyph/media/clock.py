"""The clock that the pictures and the sound of a film share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_STALL = 1.0
"""Seconds of delay after which the film counts as stalled (a slow pipe, a stopped program): it then continues from
there instead of catching up."""


def _sleep(seconds: float, closed: threading.Event) -> bool:
    return closed.wait(seconds)


class MediaClock:
    """Seconds since the start of a film, which is the first wait.

    Args:
        now: returns monotonic seconds.
        sleep: waits for seconds or until the event is set; returns whether it is set.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float, threading.Event], bool] = _sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._start: float | None = None

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed.is_set()

    def lateness(self, seconds: float) -> float:
        """Seconds since a time of the film; negative if it is in the future."""
        return 0.0 if self._start is None else self._now() - self._start - seconds

    def wait(self, seconds: float, *, leads: bool) -> bool:
        """Wait for a time of the film; returns at once if it is past.

        Args:
            seconds: since the start of the film.
            leads: the caller may move the clock when the film has stalled.  Only one of picture and sound may.

        Returns:
            False when closed.
        """
        with self._lock:
            now = self._now()
            if self._start is None:
                self._start = now
            elif leads and now - self._start - seconds > _STALL:
                self._start = now - seconds
        while (left := -self.lateness(seconds)) > 0:
            if self._sleep(left, self._closed):
                break
        return not self.is_closed

    def pause(self, seconds: float) -> bool:
        """Wait for some seconds, independent of the film; returns False when closed."""
        self._sleep(seconds, self._closed)
        return not self.is_closed

    def close(self) -> None:
        """End all waits, now and later."""
        self._closed.set()
