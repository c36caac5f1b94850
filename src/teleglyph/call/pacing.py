"""Schedules a viewer's frames: absolute due times, without bursts."""

from __future__ import annotations

_MIN_SPACING = 0.75
"""Shortest time between two frames, as a part of the period; peers drop frames that come in bursts."""
TOLERANCE = 0.0006
"""Seconds by which a tick may be early: event loops round their timers to a millisecond."""


class Schedule:
    """Due times of one frame rate, shared by all viewers of a room with that rate, so that they can share frames.

    Each due time follows the last one by exactly a period, whatever the ticks themselves cost.  A late tick is not
    made up for: periods that have passed are skipped.  After a quiet time (nothing changed) the next frame is due at
    once, since waiting for a grid of past ticks would only add delay.

    Args:
        rate: frames per second, 1 to 144.
    """

    def __init__(self, rate: int) -> None:
        self.period = 1.0 / rate
        self.next_due = 0.0

    def is_due(self, now: float) -> bool:
        """Whether it is time for a tick; ``now`` is monotonic time in seconds."""
        return now >= self.next_due - TOLERANCE

    def advance(self, now: float, quiet: bool) -> int:
        """Set the next due time after a tick at ``now``, and return how many ticks were skipped.

        Args:
            now: seconds on the clock of ``next_due``.
            quiet: the tick was late only because there was nothing to show before.
        """
        late = max(0.0, now - self.next_due)
        skipped = 0 if quiet else int(late / self.period)
        self.next_due = max(self.next_due + self.period, now + self.period * _MIN_SPACING)
        return skipped


class Schedules:
    """The schedules of one room, one for each frame rate."""

    def __init__(self) -> None:
        self._by_rate: dict[int, Schedule] = {}

    def of(self, rate: int) -> Schedule:
        """The schedule of a frame rate."""
        schedule = self._by_rate.get(rate)
        if schedule is None:
            schedule = self._by_rate[rate] = Schedule(rate)
        return schedule
