"""The clock shared by picture and sound."""

import threading

from teleglyph.media.clock import MediaClock


class Time:
    """A time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float, closed: threading.Event) -> bool:
        self.now += seconds
        return closed.is_set()


def make() -> tuple[Time, MediaClock]:
    time = Time()
    return time, MediaClock(lambda: time.now, time.sleep)


def test_the_first_wait_starts_the_clock_and_the_others_follow_it() -> None:
    time, clock = make()
    assert clock.wait(0.0, leads=True)
    assert time.now == 1000.0
    assert clock.wait(3.0, leads=False)
    assert time.now == 1003.0
    assert clock.wait(2.5, leads=True)
    assert time.now == 1003.0, "there is no pause for late pictures"
    assert clock.lateness(2.5) == 0.5


def test_the_first_wait_does_not_move_the_start() -> None:
    time, clock = make()
    assert clock.wait(1.5, leads=True)
    assert time.now == 1001.5
    late_time, late_clock = make()
    assert late_clock.wait(0.0, leads=False)
    assert late_clock.wait(1.5, leads=True)
    assert late_time.now == 1001.5


def test_after_a_stall_the_leading_stream_moves_the_clock() -> None:
    time, clock = make()
    clock.wait(0.0, leads=True)
    time.now += 300.0
    assert clock.wait(1.0, leads=False)
    assert clock.lateness(1.0) == 299.0
    assert clock.wait(1.0, leads=True)
    assert clock.lateness(1.0) == 0.0
    clock.wait(2.0, leads=False)
    assert time.now == 1301.0


def test_a_small_delay_is_made_up_for() -> None:
    time, clock = make()
    clock.wait(0.0, leads=True)
    time.now += 0.9
    clock.wait(0.5, leads=True)
    clock.wait(2.0, leads=True)
    assert time.now == 1002.0


def test_a_closed_clock_ends_waits_and_pauses() -> None:
    clock = MediaClock()
    clock.wait(0.0, leads=True)
    results: list[bool] = []
    waiter = threading.Thread(target=lambda: results.append(clock.wait(1e6, leads=True)))
    waiter.start()
    clock.close()
    waiter.join(20)
    assert results == [False]
    assert not clock.pause(1e6)
