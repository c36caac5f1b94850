"""Rate limits.  Time is an argument; nothing here reads a clock or sleeps."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass


class TokenBucket:
    """Allows ``rate`` units per second on average and ``burst`` at once.

    Args:
        rate: units per second.
        burst: units that may be consumed at once after a pause.
    """

    __slots__ = ("_level", "_updated", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._updated: float | None = None

    def consume(self, amount: float, now: float) -> float:
        """Consume ``amount``; returns the seconds to pause (0.0: not at all).

        The amount is always consumed, so the pause grows with the excess.
        """
        self._refill(now)
        self._level -= amount
        return 0.0 if self._level >= 0 else -self._level / self.rate

    def allow(self, now: float, amount: float = 1.0) -> bool:
        """Consume ``amount`` if it is available; otherwise consume nothing and return False."""
        self._refill(now)
        if self._level < amount:
            return False
        self._level -= amount
        return True

    def level(self, now: float) -> float:
        """Available units; below 0 after excess."""
        self._refill(now)
        return self._level

    def _refill(self, now: float) -> None:
        if self._updated is None:
            self._updated = now
        elif now > self._updated:
            self._level = min(self.burst, self._level + (now - self._updated) * self.rate)
            self._updated = now


class SlidingWindow:
    """Allows ``limit`` events per ``period`` seconds for each key, over a sliding window.

    Remembers at most ``max_keys`` keys, and drops the least recently used first.  A limit of 0 allows everything.
    """

    def __init__(self, limit: int, period: float, max_keys: int = 10_000) -> None:
        self.limit = limit
        self.period = period
        self.max_keys = max_keys
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def allow(self, key: str, now: float) -> bool:
        """Count one event of ``key``; returns False, and does not count it, if it exceeds the limit."""
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
    """Limits how many guesses at a secret are verified for each key, such as an address.

    Each key has ``burst`` attempts.  An attempt is consumed before the guess is verified, so parallel attempts count as
    well, and a refusal reveals nothing about the guess.  A right guess returns its attempt; a wrong one does not.  When
    all are used up, the next attempt comes after ``first`` seconds, and each further failure doubles that pause, up to
    ``longest``.  A right guess does not clear earlier failures, which may be those of another person at that address.

    So if you share an address with a person who mistypes, you still have attempts left.  A guessing program is
    eventually limited to one attempt every ``longest`` seconds.  Refused attempts do not make the pause longer.

    Remembers at most ``max_keys`` keys with failures, and drops the least recently used first.

    Args:
        burst: attempts that may be made at once.
        first: the first pause; seconds.
        longest: the longest pause; seconds.
        forget: seconds without a failure after which a key starts again.
        max_keys: keys to remember.
    """

    def __init__(
        self,
        burst: int = 5,
        first: float = 2.0,
        longest: float = 300.0,
        forget: float = 3600.0,
        max_keys: int = 10_000,
    ) -> None:
        self.burst, self.first, self.longest = burst, first, longest
        self.forget, self.max_keys = forget, max_keys
        self._records: OrderedDict[str, _Guesses] = OrderedDict()

    def __len__(self) -> int:
        """The number of remembered keys."""
        return len(self._records)

    def attempt(self, key: str, now: float) -> float:
        """Consume an attempt.

        Returns:
            0.0 if there was one: verify the guess, then call :meth:`failed` or :meth:`succeeded`.  Otherwise the
            seconds until there is one: do not verify the guess.
        """
        record = self._refilled(key, now)
        wait = self._wait(record)
        if wait == 0.0:
            record.left -= 1.0
        return wait

    def failed(self, key: str, now: float) -> float:
        """Count a wrong guess; returns the seconds until the next attempt, 0.0 if there is one left."""
        record = self._refilled(key, now)
        record.failures += 1
        record.failed_at = now
        record.left = min(self._max_left(record), record.left)
        return self._wait(record)

    def succeeded(self, key: str, now: float) -> None:
        """Return an attempt: the guess was right, or was not verified after all."""
        record = self._refilled(key, now)
        record.left = min(self._max_left(record), record.left + 1.0)
        if record.failures == 0 and record.left == self.burst:
            del self._records[key]

    def _wait(self, record: _Guesses) -> float:
        missing = 1.0 - record.left
        # Sums of small fractions may miss one by a hair.
        return missing * self._interval(record) if missing > 1e-9 else 0.0

    def _max_left(self, record: _Guesses) -> float:
        """The most attempts that may be left after the key's failures."""
        return float(max(1, self.burst - record.failures))

    def _interval(self, record: _Guesses) -> float:
        """Seconds in which one attempt is regained."""
        return min(self.longest, self.first * 2.0 ** min(max(0, record.failures - self.burst), 30))

    def _refilled(self, key: str, now: float) -> _Guesses:
        record = self._records.pop(key, None)
        if record is None or (record.failures and now - record.failed_at > self.forget):
            record = _Guesses(float(self.burst), now)
        self._records[key] = record
        while len(self._records) > self.max_keys:
            self._records.popitem(last=False)
        if now > record.updated:
            gained = (now - record.updated) / self._interval(record)
            record.left = min(self._max_left(record), record.left + gained)
            record.updated = now
        return record


@dataclass(slots=True)
class _Guesses:
    """One key's attempts left (in fractions, as of ``updated``) and failures."""

    left: float
    updated: float
    failures: int = 0
    failed_at: float = 0.0


class SlotPool:
    """A bounded number of slots, with a bound per key.

    Args:
        total: the number of slots.
        per_key: slots that one key may hold.
    """

    def __init__(self, total: int, per_key: int) -> None:
        self.total, self.per_key = total, per_key
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held.total()

    def acquire(self, key: str) -> bool:
        """Take a slot; returns False if this key may not have one."""
        if len(self) >= self.total or self._held[key] >= self.per_key:
            return False
        self._held[key] += 1
        return True

    def release(self, key: str) -> None:
        """Return a slot."""
        self._held[key] -= 1
        if self._held[key] <= 0:
            del self._held[key]
