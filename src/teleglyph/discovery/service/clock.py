"""The two clocks of the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads the time.

    Attributes:
        wall: gives Unix seconds.
        monotonic: gives seconds that never jump.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    @property
    def now_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.wall() * 1000)
