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


class ProofLimiter:
    """Limits how many passwords of one address are verified; those beyond are refused unseen.

    Each address has ``burst`` verifications.  A right password gives its own back, a wrong one is used up.  They refill
    one by one, every 2 s at first; every failure beyond the burst doubles that time up to ``longest``.  A verification
    is taken before the password is looked at, so parallel attempts count as well, and an attempt that has to wait says
    nothing about its password.  Someone else behind the same address still finds what is left of the burst.

    The memory is bounded: at most ``max_keys`` keys are remembered, the ones longest unseen go first.

    Args:
        burst: verifications without a pause.
        longest: the longest time in seconds until the next verification.
        forget: seconds without a failure after which a key starts anew.
        max_keys: keys that are remembered.
    """

    def __init__(self, burst: int = 5, longest: float = 300.0, forget: float = 3600.0, max_keys: int = 10_000) -> None:
        self.burst, self.longest, self.forget, self.max_keys = burst, longest, forget, max_keys
        self._records: OrderedDict[str, _Proofs] = OrderedDict()

    def begin(self, key: str, now: float) -> float:
        """Take a verification: 0.0 if there is one, otherwise the seconds until there will be."""
        record = self._refilled(key, now)
        if record.left < 1.0 - 1e-9:
            return (1.0 - record.left) * self._interval(record.failures)
        record.left -= 1.0
        return 0.0

    def failed(self, key: str, now: float) -> None:
        """The password that was verified was wrong."""
        record = self._refilled(key, now)
        record.failures += 1
        record.failed_at = now

    def succeeded(self, key: str, now: float) -> None:
        """It was right: its verification comes back.  Failures stay, they may be somebody else's."""
        record = self._refilled(key, now)
        record.left = min(float(self.burst), record.left + 1.0)

    def _interval(self, failures: int) -> float:
        return float(min(self.longest, 2.0 ** min(30, max(1, failures - self.burst + 1))))

    def _refilled(self, key: str, now: float) -> _Proofs:
        record = self._records.pop(key, None)
        if record is None or (record.failures and now - record.failed_at > self.forget):
            record = _Proofs(float(self.burst), now)
        self._records[key] = record
        while len(self._records) > self.max_keys:
            self._records.popitem(last=False)
        if now > record.updated:
            gained = (now - record.updated) / self._interval(record.failures)
            record.left = min(float(self.burst), record.left + gained)
            record.updated = now
        return record


@dataclass(slots=True)
class _Proofs:
    left: float
    """Verifications that may be taken now, in parts of one."""
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
