"""Estimates what a viewer's connection carries, from its acknowledgements.  Time is an argument."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_QUEUE_SECONDS = 0.06
"""Deltas may be ahead of what the viewer shows by the shortest round trip and this."""
_LATE_SECONDS = 0.15
"""A delta that is later than the round trip by more than this waits somewhere, even if no rate is known yet."""
_UNKNOWN_WINDOW = 64 << 10
"""Bytes under way while the rate is unknown."""
_MIN_WINDOW = 1500
_MAX_FRAMES = 128
_RATE_MEMORY = 2.0
"""Seconds after which a rate that was reached once means less and less."""
_GROWTH = 1.1
"""Growth of the window for every second after that."""
_DELAY_MEMORY = 8.0
"""Seconds after which the delay is measured again."""
_COMPRESSION_SECONDS = 60e-6
_COMPRESSION_SECONDS_PER_BYTE = 2e-9
_COMPRESSION_SAVES = 0.3
"""Approximate cost and saving of compression at level 1 (bench.picture)."""
_NEAR_SECONDS = 0.005
_NEAR_RATE, _FAR_RATE = 100e6, 5e6
"""Bytes per second that links are assumed to carry before they were ever full: within a house, and beyond."""


class _Sent(NamedTuple):
    number: int
    size: int
    at: float
    delivered: int
    """Bytes that had been acknowledged when it was sent."""
    delivered_at: float
    alone: bool
    """Nothing was under way when it was sent."""


class _Sample(NamedTuple):
    value: float
    at: float


class LinkMeter:
    """Measures the bytes under way to one viewer, the rate at which they arrive, and the round trip.

    A sample of the rate is the bytes that were acknowledged between a delta's sending and its acknowledgement, over
    that time; the rate is the highest sample of the last seconds.  A sample counts only if more could have been sent
    meanwhile, or if it is higher than the known rate: few bytes do not show what a link would carry.

    The delay is the round trip without a queue of our own, including the delta's own time on the link.  If the link
    always has a queue, the meter now and then waits until nothing is under way, and measures then.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.limit = limit
        """Bytes per second that the viewer allows; 0 for no limit."""
        self.in_flight = 0
        """Bytes that were sent and not yet acknowledged."""
        self._sent: deque[_Sent] = deque()
        self._delivered = 0
        self._delivered_at = 0.0
        self._rates: deque[_Sample] = deque()
        self._delay = 0.0
        self._delay_at = -1e9
        self._was_full = False
        """More could have been sent since the delay was last measured."""
        self._is_draining = False
        self._full_at = -1e9
        self._credit_at = 0.0

    @property
    def rate(self) -> float:
        """Bytes per second that the link carries at least; 0 while nothing is known."""
        return self._rates[0].value if self._rates else 0.0

    @property
    def delay(self) -> float:
        """Shortest time in seconds from sending a delta to its acknowledgement."""
        return self._delay

    def window(self, now: float) -> float:
        """Bytes that may be under way."""
        if not self._rates:
            return _UNKNOWN_WINDOW
        known = max(_MIN_WINDOW, self.rate * (self.delay + _QUEUE_SECONDS))
        age = now - self._rates[-1].at - _RATE_MEMORY
        return known if age <= 0 else min(max(known, _UNKNOWN_WINDOW), known * _GROWTH**age)

    def is_open(self, now: float) -> bool:
        """Whether another delta may be sent: it would neither wait on the way nor exceed the limit."""
        if self.limit and now < self._credit_at:
            return False
        if not self._sent:
            self._is_draining = False
            return True
        is_late = self._delay_at > 0 and now - self._sent[0].at > self._delay + _LATE_SECONDS
        is_full = self.in_flight >= self.window(now) or is_late or len(self._sent) >= _MAX_FRAMES
        if is_full:
            self._full_at = now
            self._was_full = True
        if self._was_full and self._rates and now - self._delay_at > _DELAY_MEMORY:
            self._is_draining = True
        return not is_full and not self._is_draining

    def wants_compression(self, size: int) -> bool:
        """Whether a delta of this many bytes arrives earlier compressed."""
        rate = self.rate or (_FAR_RATE if self.delay > _NEAR_SECONDS else _NEAR_RATE)
        if self.limit:
            rate = min(rate, self.limit)
        return size * _COMPRESSION_SAVES / rate > _COMPRESSION_SECONDS + size * _COMPRESSION_SECONDS_PER_BYTE

    def opens_at(self) -> float:
        """When the limit allows the next delta, in monotonic seconds."""
        return self._credit_at if self.limit else 0.0

    def record_sent(self, number: int, size: int, now: float) -> None:
        """Record a delta that was sent."""
        if not self._sent:
            self._delivered_at = now
        self._sent.append(_Sent(number, size, now, self._delivered, self._delivered_at, not self._sent))
        self.in_flight += size
        if self.limit:
            self._credit_at = max(self._credit_at, now) + size / self.limit

    def record_ack(self, number: int, now: float) -> bool:
        """Record that a delta and all before it are shown; False if it was never sent or is acknowledged already."""
        if not any(sent.number == number for sent in self._sent):
            return False
        newest = self._sent[0]
        while self._sent:
            newest = self._sent.popleft()
            self.in_flight -= newest.size
            self._delivered += newest.size
            if newest.number == number:
                break
        self._delivered_at = now
        rate = (self._delivered - newest.delivered) / max(1e-6, now - newest.delivered_at)
        if self._full_at >= newest.at or (self._rates and rate > self.rate):
            _keep_largest(self._rates, _Sample(rate, now))
        delay = now - newest.at
        is_old = now - self._delay_at > _DELAY_MEMORY and not self._was_full
        if newest.alone or is_old or delay <= self._delay:
            self._delay, self._delay_at, self._was_full = delay, now, False
        return True


def _keep_largest(samples: deque[_Sample], new: _Sample) -> None:
    """Add a sample, and keep the largest one of the last seconds in front."""
    while samples and samples[-1].value <= new.value:
        samples.pop()
    samples.append(new)
    while samples[0].at < new.at - _RATE_MEMORY:
        samples.popleft()
