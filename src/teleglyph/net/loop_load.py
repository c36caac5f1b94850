"""Measures how busy the event loop is, and derives the price of its time."""

from __future__ import annotations

from pathlib import Path

_WINDOW = 0.5
"""Seconds over which a load is measured."""
_SHORTAGE_FROM, _SHORTAGE_TO = 0.4, 0.8
"""Shares of time in which the loop computes or waits for a processor; between them the price rises."""
_MAX_PRICE = 4.0
_SCHEDULER = Path("/proc/thread-self/schedstat")
"""Linux: nanoseconds this thread spent on a processor, nanoseconds it waited for one, and how often it ran."""


class LoopLoad:
    """Measures how busy a thread is.

    Attributes:
        value: the share of time in which it computed, over the last whole window of half a second; 0.0 before.
        price: the factor for charging its time: 1.0 while it has time to spare, up to 4.0 when it has none.
    """

    __slots__ = ("_since", "_used", "_waited", "price", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.price = 1.0
        self._since: float | None = None
        self._used = self._waited = 0.0

    def sample(self, now: float, used: float, waited: float = 0.0) -> None:
        """Record what the thread has used until now.  Call it often, in the thread itself.

        Args:
            now: monotonic seconds.
            used: processor seconds.
            waited: seconds in which it could have computed but other threads had the processor
                (:func:`seconds_in_queue`).
        """
        if self._since is not None and (passed := now - self._since) < _WINDOW:
            return
        if self._since is not None:
            self.value = (used - self._used) / passed
            shortage = (self.value + (waited - self._waited) / passed - _SHORTAGE_FROM) / (
                _SHORTAGE_TO - _SHORTAGE_FROM
            )
            self.price = 1 + (_MAX_PRICE - 1) * min(1.0, max(0.0, shortage))
        self._since, self._used, self._waited = now, used, waited


def seconds_in_queue() -> float:
    """Seconds this thread has waited for a processor since it started; 0.0 on systems that do not report it."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
