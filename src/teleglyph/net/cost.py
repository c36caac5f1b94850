"""What peers cost: processor time, charged to the connection that causes it and to its address.

Limits on messages and bytes let a peer choose the most expensive message.  Here work is charged by what it really took,
wherever it happens: parsing, checking signatures, answering questions.  A connection that costs more than its share is
read more slowly, so that its transport pushes back.  One that stays over its share while the event loop has hardly
any time to spare is closed, and its address is refused for a while.  An address keeps its account when its connections
end, so connecting again gains nothing.

An address has two accounts.  One is for all that it costs, and allows bursts of seconds.  The other is only for the
event loop, and allows hardly any burst: what many connections of one address have to say is spread evenly over time,
so that others wait for one small piece of work at most.  The loop's time gets dearer while it is short, whether the
loop or other programs of the machine use it up.  While nobody from elsewhere is connected, nothing is charged.

Time is an argument; nothing here reads a clock or sleeps, except :class:`Stopwatch`.
"""

from __future__ import annotations

import time
import types
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from teleglyph.net.ratelimit import TokenBucket

_RESTED = 0.5
"""Part of a burst that has to be there again until a peer no longer counts as over its share."""
_MODEST = 0.9
"""A connection with so much of its burst left is not closed for what others of its address cost."""
_LOOP_BURST = 0.004
"""Seconds of the event loop that an address may take at once."""
_TURN = 0.001
"""Seconds of the event loop for which a connection that has to wait reserves its turn."""
_DEEP = 1.0
"""Seconds of debt with which an address gets no further connections."""
_LOAD_WINDOW = 0.5
"""Seconds over which a load is measured."""
_SHORT = (0.4, 0.8)
"""Parts of the time in which the loop computes or waits for a processor, between which its time gets dearer."""
_HIGHEST_PRICE = 4.0
"""What a second of the loop's time counts at most."""
_SCHEDULER = Path("/proc/thread-self/schedstat")
"""What Linux knows of a thread: nanoseconds on a processor, nanoseconds in its queue, and how often it ran."""
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class CostLimits:
    """How much processor time peers may cost.

    Attributes:
        peer_share: seconds per second, of one connection; 0 lifts all of these limits.
        peer_burst: seconds at once, of one connection.
        address_share: seconds per second, of all connections of one address (IPv6: a /64) together.
        address_burst: seconds at once, of one address.
        patience: seconds over a share, without a rest and with a busy event loop, after which a connection is closed.
        refusal: seconds for which its address is refused afterwards.
    """

    peer_share: float = 0.15
    peer_burst: float = 1.0
    address_share: float = 0.4
    address_burst: float = 3.0
    patience: float = 30.0
    refusal: float = 60.0
    busy: float = 0.75
    """Load of the event loop from which peers over their share are closed; 0: always."""


class _Allowance:
    """A share of processor time, and since when it has been exceeded."""

    __slots__ = ("_bucket", "over_since")

    def __init__(self, share: float, burst: float) -> None:
        self._bucket = TokenBucket(share, burst)
        self.over_since: float | None = None

    def charge(self, seconds: float, now: float) -> float:
        """Take processor time; returns the seconds until it is earned back."""
        pause = self._bucket.take(seconds, now)
        if pause > 0:
            self.over_since = now if self.over_since is None else self.over_since
        else:
            self._rest(now)
        return pause

    def left(self, now: float) -> float:
        """The part of the burst that is there."""
        return self._bucket.level(now) / self._bucket.burst

    def owed(self, now: float) -> float:
        """Seconds of processor time that were taken too much."""
        return max(0.0, -self._bucket.level(now))

    def start_patience_again(self, now: float) -> None:
        """Count the time over the share from now on."""
        if self.over_since is not None:
            self.over_since = now

    def is_over_for(self, seconds: float, now: float) -> bool:
        self._rest(now)
        return self.over_since is not None and now - self.over_since > seconds

    def _rest(self, now: float) -> None:
        if self.over_since is not None and self.left(now) >= _RESTED:
            self.over_since = None


class _Address(_Allowance):
    __slots__ = ("loop", "refused_until")

    def __init__(self, limits: CostLimits) -> None:
        super().__init__(limits.address_share, limits.address_burst)
        self.loop = TokenBucket(limits.address_share, _LOOP_BURST)
        self.refused_until = 0.0


class CostMeter:
    """What one connection costs; made by :meth:`CostLedger.meter`."""

    __slots__ = ("_address", "_ledger", "_network", "_own", "_prepaid")

    def __init__(self, ledger: CostLedger, network: str, address: _Address) -> None:
        self._ledger = ledger
        self._network = network
        self._address = address
        self._own = _Allowance(ledger.limits.peer_share, ledger.limits.peer_burst)
        self._prepaid = 0.0

    def charge(self, seconds: float, now: float, *, elsewhere: bool = False) -> float:
        """Charge processor time to the connection and its address.

        Args:
            seconds: of processor time.
            now: on the monotonic clock.
            elsewhere: it was not the event loop's.

        Returns:
            seconds for which nothing more should be read from the connection; before it is read again, it has to
            :meth:`reserve` its turn.
        """
        if self._ledger.is_alone:
            return 0.0
        pause = max(self._own.charge(seconds, now), self._address.charge(seconds, now))
        if elsewhere:
            return pause
        paid = min(seconds, self._prepaid)
        self._prepaid -= paid
        return max(pause, self._address.loop.take((seconds - paid) * self._ledger.load.price, now))

    def reserve(self, now: float) -> float:
        """Pay for a turn of the event loop in advance; returns the seconds until it comes."""
        pause = max(self._own.charge(0.0, now), self._address.charge(0.0, now))
        missing = _TURN - self._prepaid
        self._prepaid = _TURN
        return max(pause, self._address.loop.take(missing * self._ledger.load.price, now))

    def is_exhausted(self, now: float) -> bool:
        """Whether the connection has to be closed; its address is refused from then on."""
        if not self._ledger.is_busy:
            self._own.start_patience_again(now)
            self._address.start_patience_again(now)
            return False
        patience = self._ledger.limits.patience
        is_over = self._own.is_over_for(patience, now) or (
            self._address.is_over_for(patience, now) and self._own.left(now) < _MODEST
        )
        if is_over:
            self._address.refused_until = now + self._ledger.limits.refusal
        return is_over

    def close(self) -> None:
        """The connection is gone; may be called more than once."""
        if self._network:
            self._ledger.left(self._network)
            self._network = ""


class CostLedger:
    """The accounts of all addresses.

    Args:
        limits: what is allowed.
        max_addresses: that are remembered; the ones longest unseen go first.

    Attributes:
        load: of the event loop, whose owner has to sample it.
    """

    def __init__(self, limits: CostLimits, max_addresses: int = 10_000) -> None:
        self.limits = limits
        self.load = LoopLoad()
        self._max_addresses = max_addresses
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._present: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def is_alone(self) -> bool:
        """Whether all who are connected come from one address."""
        return len(self._present) < 2

    @property
    def is_busy(self) -> bool:
        """Whether the event loop has hardly any time to spare."""
        return self.load.value >= self.limits.busy

    def meter(self, network: str) -> CostMeter | None:
        """The meter of a new connection of an address; None without limits."""
        if not self.limits.peer_share:
            return None
        self._present[network] += 1
        return CostMeter(self, network, self._address(network))

    def left(self, network: str) -> None:
        """A connection that had a meter is gone."""
        self._present[network] -= 1
        if self._present[network] <= 0:
            del self._present[network]

    def charge(self, network: str, seconds: float, now: float) -> float:
        """Charge work of the event loop to an address of which no connection has a meter; returns the pause due."""
        if not self.limits.peer_share or (self.is_alone and network in self._present) or not self._present:
            return 0.0
        address = self._address(network)
        return max(address.charge(seconds, now), address.loop.take(seconds * self.load.price, now))

    def refused_for(self, network: str, now: float) -> float:
        """Seconds for which an address gets no further connections; 0.0 if it may have some."""
        address = self._addresses.get(network)
        if address is None:
            return 0.0
        debt = max(0.0, address.owed(now) - _DEEP) / self.limits.address_share
        return max(debt, address.refused_until - now, 0.0)

    def _address(self, network: str) -> _Address:
        address = self._addresses.pop(network, None) or _Address(self.limits)
        self._addresses[network] = address
        while len(self._addresses) > self._max_addresses:
            self._addresses.popitem(last=False)
        return address


class LoopLoad:
    """How busy a thread is.

    Attributes:
        value: the part of the time in which it computes, over the last whole window of half a second; 0.0 before.
        price: what a second of its time counts: 1.0 while it has time to spare, and up to 4.0 when it has none.
    """

    __slots__ = ("_since", "_used", "_waited", "price", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.price = 1.0
        self._since: float | None = None
        self._used = self._waited = 0.0

    def sample(self, now: float, used: float, waited: float = 0.0) -> None:
        """Note what the thread has used until now; often, in the thread itself.

        Args:
            now: monotonic seconds.
            used: processor seconds.
            waited: seconds in which it could have computed but other threads had the processor
                (:func:`seconds_in_queue`).
        """
        if self._since is not None and (passed := now - self._since) < _LOAD_WINDOW:
            return
        if self._since is not None:
            self.value = (used - self._used) / passed
            low, high = _SHORT
            shortage = (self.value + (waited - self._waited) / passed - low) / (high - low)
            self.price = 1 + (_HIGHEST_PRICE - 1) * min(1.0, max(0.0, shortage))
        self._since, self._used, self._waited = now, used, waited


def seconds_in_queue() -> float:
    """For how long this thread has waited for a processor since it began; 0.0 where the system does not say."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Stopwatch:
    """Measures the processor time of a task's steps: all that it does between two waits, whoever does it.

    Args:
        charge: gets seconds; may be replaced when somebody else is to pay.
    """

    __slots__ = ("_since", "charge")

    def __init__(self, charge: Callable[[float], object]) -> None:
        self.charge = charge
        self._since: float | None = None

    def begin(self) -> None:
        """A step begins."""
        self._since = time.thread_time()

    def settle(self) -> None:
        """Charge what the step has cost so far."""
        if self._since is not None:
            since, self._since = self._since, time.thread_time()
            self.charge(self._since - since)

    def end(self) -> None:
        """The step is over."""
        self.settle()
        self._since = None


@types.coroutine
def charged(work: Coroutine[Any, Any, _Result], stopwatch: Stopwatch) -> Generator[Any, Any, _Result]:
    """Do some work, of which the stopwatch measures every step.

    Use::

        await charged(serve(connection), stopwatch)
    """
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        stopwatch.begin()
        try:
            awaited = step()
        except StopIteration as end:
            return cast(_Result, end.value)
        finally:
            stopwatch.end()
        try:
            step = partial(work.send, (yield awaited))
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:
            step = partial(work.throw, error)
