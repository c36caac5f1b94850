"""The one clock that the pictures and the sound of a film follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_STALL = 1.0
"""Seconds of delay after which the film has stalled (a slow pipe, a program that was stopped): it plays on from there
instead of running after the time that was lost."""


def _sleep(seconds: float, closed: threading.Event) -> bool:
    return closed.wait(seconds)


class MediaClock:
    """Seconds since the start of a film; the first wait is the start, also if it waits for a later time.

    Args:
        now: the time in seconds; any start, never backwards.
        sleep: waits a number of seconds, or less if the event is set meanwhile, and returns whether it is.
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
        """:meth:`close` was called."""
        return self._closed.is_set()

    def lateness(self, seconds: float) -> float:
        """By how much a time of the film is over; negative if it is still to come."""
        return 0.0 if self._start is None else self._now() - self._start - seconds

    def wait(self, seconds: float, *, leads: bool) -> bool:
        """Wait for a time of the film; what is late is not waited for.

        Args:
            seconds: since the start of the film.
            leads: the one who waits may move the clock when the film has stalled.  Only one of picture and sound may.

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
        """Wait for a while, whatever the film does; False when closed."""
        self._sleep(seconds, self._closed)
        return not self.is_closed

    def close(self) -> None:
        """End all waits, now and later."""
        self._closed.set()
