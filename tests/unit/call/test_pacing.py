"""The schedule of frames, with time as an argument."""

import pytest

from teleglyph.call.pacing import Schedule


def serve(schedule: Schedule, now: float, quiet: bool = False) -> int:
    assert schedule.is_due(now)
    return schedule.advance(now, quiet)


def test_due_times_do_not_drift_with_the_cost_of_a_tick() -> None:
    schedule = Schedule(60)
    serve(schedule, 10.0, quiet=True)
    schedule.next_due = 10.0
    for tick in range(600):
        assert schedule.next_due == pytest.approx(10.0 + tick / 60)
        serve(schedule, schedule.next_due + 0.003)


def test_a_late_tick_is_skipped_and_counted_not_made_up_for() -> None:
    schedule = Schedule(50)
    schedule.next_due = 1.0
    assert serve(schedule, 1.105) == 5
    assert schedule.next_due > 1.105
    assert not schedule.is_due(1.106)


def test_after_a_quiet_time_the_next_frame_is_due_at_once_and_nothing_was_skipped() -> None:
    schedule = Schedule(50)
    schedule.next_due = 1.0
    assert schedule.is_due(7.3)
    assert serve(schedule, 7.3, quiet=True) == 0


def test_frames_never_come_closer_than_three_quarters_of_a_period() -> None:
    schedule = Schedule(60)
    schedule.next_due = 1.0
    serve(schedule, 1.0 + 0.9 / 60, quiet=True)
    assert schedule.next_due - (1.0 + 0.9 / 60) >= 0.75 / 60 - 1e-9


@pytest.mark.parametrize("rate", [1, 10, 30, 60, 144])
def test_the_number_of_ticks_in_a_minute_is_the_rate(rate: int) -> None:
    schedule = Schedule(rate)
    schedule.next_due = now = 100.0
    served = 0
    while now < 160.0:
        if schedule.is_due(now):
            schedule.advance(now, quiet=False)
            served += 1
        now += 0.001
    assert served == pytest.approx(rate * 60, rel=0.01, abs=1)
