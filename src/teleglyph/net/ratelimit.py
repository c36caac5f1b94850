"""Rate limits as small policies: time is an argument, nothing here reads a clock or sleeps."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass


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

    def level(self, now: float) -> float:
        """Units that are there; below 0 if too many were taken."""
        self._refill(now)
        return self._level

    def _refill(self, now: float) -> None:
        if self._updated is None:
            self._updated = now
        elif now > self._updated:
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
    """Limits how many guesses at a secret are verified for each key; the others are refused unseen.

    A key is an address, or whatever else shares a limit.  Each has ``burst`` attempts.  An attempt is taken before
    anything is verified, so attempts that run in parallel count as well, and a refusal says nothing about the guess.
    A right guess gives its attempt back; a wrong one uses it up.  When all are used up there is one more after a pause
    of ``first`` seconds, and each further failure doubles the pause, up to ``longest``.  A right guess does not forgive
    earlier failures: they may be somebody else's behind the same address.

    So anyone who shares an address with a person who mistypes still finds attempts left, and somebody who guesses all
    the time gets one every ``longest`` seconds in the end.  Refused attempts cost nothing and make no pause longer.

    The memory is bounded: at most ``max_keys`` keys are remembered, the ones longest unseen go first, and keys without
    failures are not remembered at all.

    Args:
        burst: attempts that may be made at once.
        first: the first pause in seconds.
        longest: the longest time in seconds until the next attempt.
        forget: seconds without a failure after which a key starts anew.
        max_keys: keys that are remembered.
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
        """Keys that are remembered."""
        return len(self._records)

    def attempt(self, key: str, now: float) -> float:
        """Take an attempt.

        Returns:
            0.0 if there was one: verify, and then call :meth:`failed` or :meth:`succeeded`.  Otherwise the seconds
            until there is one; nothing may be verified, and nothing was taken.
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
        record.left = min(self._most(record), record.left)
        return self._wait(record)

    def succeeded(self, key: str, now: float) -> None:
        """Give an attempt back: the guess was right, or was not verified after all."""
        record = self._refilled(key, now)
        record.left = min(self._most(record), record.left + 1.0)
        if record.failures == 0 and record.left == self.burst:
            del self._records[key]

    def _wait(self, record: _Guesses) -> float:
        missing = 1.0 - record.left
        # Sums of small fractions may miss one by a hair.
        return missing * self._interval(record) if missing > 1e-9 else 0.0

    def _most(self, record: _Guesses) -> float:
        """Attempts that may be left after so many failures."""
        return float(max(1, self.burst - record.failures))

    def _interval(self, record: _Guesses) -> float:
        """The pause: seconds in which an attempt comes back."""
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
            record.left = min(self._most(record), record.left + gained)
            record.updated = now
        return record


@dataclass(slots=True)
class _Guesses:
    """What is known of one key: attempts left (in fractions, as of ``updated``), and its failures."""

    left: float
    updated: float
    failures: int = 0
    failed_at: float = 0.0


class Places:
    """A bounded number of places, of which one key may hold some.

    Args:
        total: places there are.
        per_key: how many of them one key may hold.
    """

    def __init__(self, total: int, per_key: int) -> None:
        self.total, self.per_key = total, per_key
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held.total()

    def take(self, key: str) -> bool:
        """Take a place; False if there is none for this key."""
        if len(self) >= self.total or self._held[key] >= self.per_key:
            return False
        self._held[key] += 1
        return True

    def free(self, key: str) -> None:
        """Give a place back."""
        self._held[key] -= 1
        if self._held[key] <= 0:
            del self._held[key]
