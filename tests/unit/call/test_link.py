"""Estimating a viewer's link from its acknowledgements, with time as an argument."""

import pytest

from teleglyph.call.link import LinkMeter


class Link:
    """A link with a rate in bytes per second and a delay, and a meter in front of it."""

    def __init__(self, rate: float, delay: float) -> None:
        self.meter = LinkMeter()
        self.rate, self.delay = rate, delay
        self.now = self.busy_until = 0.0
        self.number = 0
        self.ages: list[float] = []
        self._arrivals: list[tuple[float, int]] = []

    def run(self, seconds: float, size: int, rate: float = 60) -> int:
        """Send frames of a size as often as the meter allows; return how many."""
        sent, end = 0, self.now + seconds
        while self.now < end:
            self.now += 1 / rate
            while self._arrivals and self._arrivals[0][0] <= self.now:
                at, number = self._arrivals.pop(0)
                assert self.meter.record_ack(number, at)
            if not self.meter.is_open(self.now):
                continue
            self.number += 1
            sent += 1
            self.busy_until = max(self.busy_until, self.now) + size / self.rate
            self.ages.append(self.busy_until + self.delay / 2 - self.now)
            self.meter.record_sent(self.number, size, self.now)
            self._arrivals.append((self.busy_until + self.delay, self.number))
        return sent


@pytest.mark.parametrize("rate", [64 << 10, 256 << 10, 1 << 20])
@pytest.mark.parametrize("delay", [0.001, 0.05, 0.2])
def test_a_busy_link_is_kept_busy_and_nothing_waits_for_long(rate: int, delay: float) -> None:
    link = Link(rate, delay)
    link.run(3, 8000)
    link.ages.clear()
    frames = link.run(20, 8000)
    assert frames * 8000 / 20 >= 0.7 * min(rate, 60 * 8000)
    # Its own way there, what may be ahead of it, its own time on the link twice (that is part of the measured delay),
    # and a tick.
    bound = delay / 2 + 0.06 + 2 * 8000 / rate + 1 / 60
    ages = sorted(link.ages)
    assert ages[int(0.95 * len(ages))] <= 1.1 * bound
    assert ages[-1] <= 1.5 * bound


def test_a_fast_link_takes_every_frame() -> None:
    assert Link(50e6, 0.01).run(5, 20_000) == pytest.approx(300, abs=2)


def test_a_link_that_becomes_slow_is_detected() -> None:
    link = Link(10e6, 0.02)
    link.run(5, 10_000)
    link.rate = 100e3
    link.run(6, 10_000)
    assert link.meter.rate == pytest.approx(100e3, rel=0.3)
    link.ages.clear()
    link.run(5, 10_000)
    assert max(link.ages) < 0.4


def test_a_viewer_that_acknowledges_nothing_gets_nothing_more() -> None:
    meter = LinkMeter()
    sent = 0
    for frame in range(1, 1000):
        if meter.is_open(frame / 60):
            meter.record_sent(frame, 1000, frame / 60)
            sent += 1
    assert sent <= 128


def test_a_limit_is_kept_on_any_link() -> None:
    link = Link(50e6, 0.001)
    link.meter.limit = 100_000
    assert link.run(10, 5000) * 5000 / 10 == pytest.approx(100_000, rel=0.1)


def test_acknowledgements_of_unsent_frames_change_nothing() -> None:
    meter = LinkMeter()
    meter.record_sent(7, 1000, 1.0)
    assert not meter.record_ack(8, 1.1)
    assert not meter.record_ack(0, 1.1)
    assert meter.in_flight == 1000
    assert meter.record_ack(7, 1.1)
    assert not meter.record_ack(7, 1.2)
    assert meter.in_flight == 0


def test_an_acknowledgement_covers_all_frames_before_it() -> None:
    meter = LinkMeter()
    for number in (1, 2, 3):
        meter.record_sent(number, 500, 1.0)
    assert meter.record_ack(2, 1.1)
    assert meter.in_flight == 500
    assert not meter.record_ack(1, 1.2)
