"""Detects overload, so that no more participants are admitted than the server has time for."""

from __future__ import annotations

from collections.abc import Iterable

from teleglyph.call.statistics import RoomCounters

_PERIOD = 1.0
"""Seconds per measurement."""
_IN_A_ROW = 3
"""Overloaded measurements in a row before participants are refused, so that a short peak does not count."""
_MISSED = 0.5
"""Fraction of missed frames above which a server is overloaded."""
_FEW = 10
"""Frames in a measurement below which the fraction means nothing."""


class Overload:
    """Measures the load of the event loop and the frames that viewers miss.

    All viewers of a room slow down together, because one batch renders them.  Missed frames therefore show how far the
    server is behind, whether this process or another one uses the time.

    Args:
        max_load: fraction of the event loop's time above which nobody else may join; 1: no limit.

    Attributes:
        missed: fraction of frames that viewers missed in the last measurement.
    """

    def __init__(self, max_load: float) -> None:
        self.missed = 0.0
        self._max_load = max_load
        self._since: float | None = None
        self._ticks = self._late = 0
        self._too_much = 0

    @property
    def reason(self) -> str | None:
        """Why nobody else may join; None if others may."""
        if self._too_much < _IN_A_ROW:
            return None
        return "The server has no time for more participants now"

    def sample(self, load: float, rooms: Iterable[RoomCounters], now: float) -> None:
        """Measure, if a measurement is due.

        Args:
            load: of the event loop, 0 to 1.
            rooms: counters of all call rooms there are and were.
            now: monotonic seconds.
        """
        if self._since is not None and now - self._since < _PERIOD:
            return
        self._since = now
        counters = list(rooms)
        ticks, late = sum(one.ticks for one in counters), sum(one.late_ticks for one in counters)
        made, missed = max(0, ticks - self._ticks), max(0, late - self._late)
        self._ticks, self._late = ticks, late
        self.missed = missed / (made + missed) if made + missed >= _FEW else 0.0
        is_too_much = self._max_load < 1 and (load > self._max_load or self.missed > _MISSED)
        self._too_much = self._too_much + 1 if is_too_much else 0
