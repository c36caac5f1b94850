"""How much one viewer's connection takes, learnt from when its screens are acknowledged.  Time is an argument."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

QUEUE_SECONDS = 0.06
"""Screens may be ahead of what the viewer shows by the time that the way there and back takes at least, and this."""
_FIRST_WINDOW = 96 << 10
"""Bytes under way while nothing is known of the link: a whole screen."""
_LEAST_WINDOW = 1500
_MOST_FRAMES = 128
_RATE_MEMORY = 2.0
"""Seconds after which a rate that was reached once says nothing any more."""
_DELAY_MEMORY = 10.0


class _Sent(NamedTuple):
    number: int
    size: int
    at: float
    delivered: int
    """Bytes that had been acknowledged when it was sent."""
    delivered_at: float


class _Sample(NamedTuple):
    value: float
    at: float


class LinkMeter:
    """Bytes under way to one viewer, the rate at which they arrive, and how long the way is.

    The rate is the highest of the last seconds' samples; a sample is what was acknowledged between the sending of a
    screen and its own acknowledgement, over that time.  Rates of a viewer who is sent little are too low, never too
    high, so that what is allowed to be under way grows as long as it is used up.
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
        self._delays: deque[_Sample] = deque()
        self._credit_at = 0.0

    @property
    def rate(self) -> float:
        """Bytes a second that the link takes at least; 0 while nothing is known."""
        return self._rates[0].value if self._rates else 0.0

    @property
    def delay(self) -> float:
        """Seconds that a screen takes to the viewer and its acknowledgement back, at least."""
        return self._delays[0].value if self._delays else 0.0

    @property
    def window(self) -> float:
        """Bytes that may be under way."""
        if not self._rates:
            return _FIRST_WINDOW
        return max(_LEAST_WINDOW, self.rate * (self.delay + QUEUE_SECONDS))

    def is_open(self, now: float) -> bool:
        """Whether another screen may be sent: it would neither wait on the way nor exceed the limit."""
        if self.limit and now < self._credit_at:
            return False
        return not self._sent or (self.in_flight < self.window and len(self._sent) < _MOST_FRAMES)

    def opens_at(self) -> float:
        """When the limit allows the next screen."""
        return self._credit_at if self.limit else 0.0

    def sent(self, number: int, size: int, now: float) -> None:
        """Note a screen that was sent."""
        if not self._sent:
            self._delivered_at = now
        self._sent.append(_Sent(number, size, now, self._delivered, self._delivered_at))
        self.in_flight += size
        if self.limit:
            self._credit_at = max(self._credit_at, now) + size / self.limit

    def acknowledged(self, number: int, now: float) -> bool:
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
        elapsed = max(1e-6, now - newest.delivered_at)
        _keep_best(self._rates, _Sample((self._delivered - newest.delivered) / elapsed, now), _RATE_MEMORY, 1)
        _keep_best(self._delays, _Sample(max(1e-6, now - newest.at), now), _DELAY_MEMORY, -1)
        return True

    def oldest_age(self, now: float) -> float:
        """Seconds for which the oldest screen has been under way; 0 if none is."""
        return now - self._sent[0].at if self._sent else 0.0


def _keep_best(samples: deque[_Sample], new: _Sample, memory: float, sign: int) -> None:
    """Keep, in front, the largest (or with -1 the smallest) of the samples that are not too old."""
    while samples and sign * samples[-1].value <= sign * new.value:
        samples.pop()
    samples.append(new)
    while samples[0].at < new.at - memory:
        samples.popleft()
