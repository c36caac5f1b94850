"""When a server admits nobody else."""

from __future__ import annotations

import pytest

from teleglyph.call.statistics import RoomCounters
from teleglyph.server.overload import Overload


def after(seconds: list[tuple[float, int, int]], max_load: float = 0.9) -> Overload:
    """The state after measurements: load of the loop, frames made, frames missed."""
    overload, ticks, late = Overload(max_load), 0, 0
    for second, (load, made, missed) in enumerate(seconds):
        ticks, late = ticks + made, late + missed
        for part in (0.0, 0.4):
            overload.sample(
                load,
                [RoomCounters(ticks=ticks // 2, late_ticks=late), RoomCounters(ticks=ticks - ticks // 2)],
                second + part,
            )
    return overload


@pytest.mark.parametrize(
    ("seconds", "is_overloaded"),
    [
        ([(0.5, 60, 0)] * 10, False),
        ([(0.95, 60, 0)] * 2, False),
        ([(0.95, 60, 0)] * 3, True),
        ([(0.95, 60, 0)] * 10 + [(0.5, 60, 0)], False),
        ([(0.5, 28, 32)] * 3, True),
        ([(0.5, 32, 28)] * 10, False),
        ([(0.2, 1, 5)] * 10, False),
        ([(0.0, 0, 0)] * 10, False),
    ],
    ids=["fine", "a moment", "busy", "over", "far behind", "a little behind", "nearly nothing", "nobody"],
)
def test_a_load_has_to_last(seconds: list[tuple[float, int, int]], is_overloaded: bool) -> None:
    assert (after(seconds).reason is not None) == is_overloaded


def test_a_host_may_admit_everybody() -> None:
    assert after([(1.0, 1, 1000)] * 10, max_load=1.0).reason is None


def test_a_room_that_ended_does_not_look_like_missed_frames() -> None:
    overload = after([(0.1, 60, 0)] * 3)
    overload.sample(0.1, [], 100.0)
    assert overload.missed == 0.0
