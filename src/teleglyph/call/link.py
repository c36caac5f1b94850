"""How much one viewer's connection takes, learnt from when its screens are acknowledged.  Time is an argument."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_QUEUE_SECONDS = 0.06
"""Screens may be ahead of what the viewer shows by the time that the way there and back takes at least, and this."""
_LATE_SECONDS = 0.15
"""A screen that is so much later than the way takes waits somewhere, on a link of which nothing else is known."""
_UNKNOWN_WINDOW = 64 << 10
"""Bytes under way while it is not known what the link takes."""
_MIN_WINDOW = 1500
_MAX_FRAMES = 128
_RATE_MEMORY = 2.0
"""Seconds after which a rate that was reached once says less and less."""
_GROWTH = 1.1
"""So much more than it took once a link may take for every second after that."""
_DELAY_MEMORY = 8.0
"""Seconds after which the delay has to be measured again."""
_COMPRESSION_SECONDS = 60e-6
_COMPRESSION_SECONDS_PER_BYTE = 2e-9
_COMPRESSION_SAVES = 0.3
"""What compression at level 1 costs and saves, about (bench.picture)."""
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
    """Bytes under way to one viewer, the rate at which they arrive, and how long the way is.

    A sample of the rate is what was acknowledged between the sending of a screen and its own acknowledgement, over that
    time, and the rate is the highest of the last seconds.  It counts only if there was more to send meanwhile than
    could be sent, or if it is more than what was known: who is sent little shows nothing of what its link would take.

    The delay is what the way takes without a queue of our own, with the time that a screen itself takes.  While there
    always is a queue, because the link takes less than there is to send, it is measured by waiting, now and then, until
    nothing is under way.
    """

    def __init__(self, limit: float = 0.0) -> None:
        self.limit = limit
        """Bytes a second that the viewer wants at most; 0 for no limit."""
        self.in_flight = 0
        """Bytes that were sent and not acknowledged."""
        self._sent: deque[_Sent] = deque()
        self._delivered = 0
        self._delivered_at = 0.0
        self._rates: deque[_Sample] = deque()
        self._delay = 0.0
        self._delay_at = -1e9
        self._was_full = False
        """More could have been sent since the delay was measured last."""
        self._is_draining = False
        self._full_at = -1e9
        self._credit_at = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second that the link takes at least; 0 while nothing is known."""
        return self._rates[0].value if self._rates else 0.0

    @property
    def delay(self) -> float:
        """Seconds that a screen takes to the viewer and its acknowledgement back, at least."""
        return self._delay

    def window(self, now: float) -> float:
        """Bytes that may be under way."""
        if not self._rates:
            return _UNKNOWN_WINDOW
        known = max(_MIN_WINDOW, self.rate * (self.delay + _QUEUE_SECONDS))
        age = now - self._rates[-1].at - _RATE_MEMORY
        return known if age <= 0 else min(max(known, _UNKNOWN_WINDOW), known * _GROWTH**age)

    def is_open(self, now: float) -> bool:
        """Whether another screen may be sent: it would neither wait on the way nor exceed the limit."""
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
        """When the limit allows the next screen."""
        return self._credit_at if self.limit else 0.0

    def record_sent(self, number: int, size: int, now: float) -> None:
        """Note a screen that was sent."""
        if not self._sent:
            self._delivered_at = now
        self._sent.append(_Sent(number, size, now, self._delivered, self._delivered_at, not self._sent))
        self.in_flight += size
        if self.limit:
            self._credit_at = max(self._credit_at, now) + size / self.limit

    def record_ack(self, number: int, now: float) -> bool:
        """Note that a screen, and all before it, are shown; False if it was never sent or is known already."""
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
    """Keep, in front, the largest of the samples that are not older than the memory before the newest."""
    while samples and samples[-1].value <= new.value:
        samples.pop()
    samples.append(new)
    while samples[0].at < new.at - _RATE_MEMORY:
        samples.popleft()
