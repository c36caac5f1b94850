"""Sources of pictures: their common interface, and test patterns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from teleglyph.media.pattern import TEST_PATTERNS, Paint

DAY_SECONDS = 43200.0
"""Patterns, including the clock's hands, repeat after half a day; larger times would lose precision."""


class VideoSource(Protocol):
    """Returns pictures one after the other.

    A source with sound only, which plays while :meth:`read` waits, has an attribute ``has_picture`` that is False.

    Attributes:
        description: for users: "camera 0: ...", a file's name, "test pattern face".
    """

    description: str

    def read(self) -> NDArray[np.uint8] | None:
        """Wait for the next picture's time and return it: RGB, C-contiguous, shape (height, width, 3).

        A still picture is returned again after a while, as the same object.  Returns None at the end and after
        :meth:`close`.

        Raises:
            MediaDecodeError, CameraError: there will be no more pictures.
        """

    def close(self) -> None:
        """Release all resources; from any thread, any number of times.  A waiting read ends soon."""


class Pacer:
    """Waits until the time of a picture; returns at once for late ones."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._start: float | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until ``seconds`` after the start; returns False when closed.  The first call never waits."""
        now = time.monotonic()
        if self._start is None:
            self._start = now - seconds
        return not self._closed.wait(max(0.0, self._start + seconds - now))

    def close(self) -> None:
        """End all waits, now and later."""
        self._closed.set()


class PatternSource:
    """A test pattern, painted at the time of day.

    Args:
        name: for users.
        paint: the pattern.
        frame_rate: pictures per second.
        clock: returns the time of day in seconds.
    """

    def __init__(self, name: str, paint: Paint, frame_rate: float, clock: Callable[[], float] = time.time) -> None:
        self.description = f"test pattern {name}"
        self._paint = paint
        self._interval = 1 / frame_rate
        self._clock = clock
        self._pacer = Pacer()
        self._number = 0

    def read(self) -> NDArray[np.uint8] | None:
        if not self._pacer.wait(self._number * self._interval):
            return None
        self._number += 1
        return self._paint(self._clock() % DAY_SECONDS)

    def close(self) -> None:
        self._pacer.close()


def open_pattern(name: str, frame_rate: float = 30.0) -> VideoSource:
    """A test pattern by name.

    Raises:
        KeyError: the name is not in :data:`teleglyph.media.pattern.TEST_PATTERNS`.
    """
    return PatternSource(name, TEST_PATTERNS[name], frame_rate)
