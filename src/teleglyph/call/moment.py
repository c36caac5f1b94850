"""The state of a room at one moment, as its viewers need it, and a way to be looked at again later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from teleglyph.call.pacing import Schedules

_MIN_DELAY = 0.001


class Alarm:
    """Calls back once, at the earliest of the requested times.

    Args:
        on_ring: called on the event loop.
    """

    def __init__(self, on_ring: Callable[[], None]) -> None:
        self._on_ring = on_ring
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def set(self, when: float, now: float) -> None:
        """Ring at ``when``, in monotonic seconds, unless the alarm rings earlier anyway."""
        if self._timer is not None:
            if self._rings_at <= when:
                return
            self._timer.cancel()
        self._rings_at = when
        self._timer = asyncio.get_running_loop().call_later(max(_MIN_DELAY, when - now), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._on_ring()


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a room at one moment.

    Attributes:
        now: monotonic seconds.
        revision, scene_revision: the room's.
        expected_until: until when a first picture is expected while nobody sends one; in the past otherwise.
        schedules: the room's.
        alarm: has the pacer look at the viewers again.
    """

    now: float
    revision: int
    scene_revision: int
    expected_until: float
    schedules: Schedules
    alarm: Alarm

    def is_due(self, rate: int) -> bool:
        """Whether it is time for a frame of viewers with this frame rate."""
        return self.schedules.of(rate).is_due(self.now)

    def wake_at(self, when: float) -> None:
        """Have the pacer look again at ``when``, in monotonic seconds."""
        self.alarm.set(when, self.now)
