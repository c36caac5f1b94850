"""Rate limits as small policies: time is an argument, nothing here reads a clock or sleeps."""

from __future__ import annotations

from collections import OrderedDict, deque


class TokenBucket:
    """Allows ``rate`` units a second on average and ``burst`` at once.

    Args:
        rate: units a second.
        burst: units that may be taken at once after a pause.
    """

    __slots__ = ("_level", "_updated", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._updated: float | None = None

    def take(self, amount: float, now: float) -> float:
        """Take ``amount`` and return for how many seconds the taker must pause (0.0: not at all).

        The amount is taken in any case, so the pause grows with what was taken too much.
        """
        self._refill(now)
        self._level -= amount
        return 0.0 if self._level >= 0 else -self._level / self.rate

    def allow(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount`` if it is there; otherwise take nothing and return False."""
        self._refill(now)
        if self._level < amount:
            return False
        self._level -= amount
        return True

    def _refill(self, now: float) -> None:
        if self._updated is not None and now > self._updated:
            self._level = min(self.burst, self._level + (now - self._updated) * self.rate)
        self._updated = now


class SlidingWindow:
    """Allows ``limit`` events per ``period`` seconds for each key, over a window that slides.

    The memory is bounded: at most ``max_keys`` keys are remembered, the ones longest unseen go first.
    A limit of 0 allows everything.
    """

    def __init__(self, limit: int, period: float, max_keys: int = 10_000) -> None:
        self.limit = limit
        self.period = period
        self.max_keys = max_keys
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def allow(self, key: str, now: float) -> bool:
        """Count one event of ``key`` and say whether it is within the limit; refused events are not counted."""
        if self.limit == 0:
            return True
        events = self._events.pop(key, None) or deque()
        self._events[key] = events
        while events and events[0] <= now - self.period:
            events.popleft()
        while len(self._events) > self.max_keys:
            self._events.popitem(last=False)
        if len(events) >= self.limit:
            return False
        events.append(now)
        return True


class GuessLimiter:
    """Makes whoever fails to prove something wait, longer each time: 1, 2, 4 ... seconds after a few free tries.

    The memory is bounded: at most ``max_keys`` keys are remembered, the ones longest unseen go first.

    Args:
        free: failures without consequences; people mistype.
        longest: the longest wait in seconds.
        forget: seconds without a failure after which a key is as if never seen.
        max_keys: keys that are remembered.
    """

    def __init__(self, free: int = 3, longest: float = 300.0, forget: float = 3600.0, max_keys: int = 10_000) -> None:
        self.free, self.longest, self.forget, self.max_keys = free, longest, forget, max_keys
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def failed(self, key: str, now: float) -> None:
        """Count a failure."""
        count, last = self._failures.pop(key, (0, now))
        self._failures[key] = (1 if now - last > self.forget else count + 1, now)
        while len(self._failures) > self.max_keys:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forgive a key its failures."""
        self._failures.pop(key, None)

    def wait(self, key: str, now: float) -> float:
        """Seconds that a key still has to wait; 0.0 if it may try."""
        count, last = self._failures.get(key, (0, now))
        over = count - self.free
        if over < 0 or now - last > self.forget:
            return 0.0
        return max(0.0, last + min(self.longest, 2.0 ** min(over, 30)) - now)
