"""What peers cost: processor time, charged to the connection that causes it and to its address.

Limits on messages and bytes let a peer choose the most expensive message.  Here work is charged by what it really took,
wherever it happens: parsing, checking signatures, answering questions.  A connection that costs more than its share is
read more slowly, so that its transport pushes back.  One that stays over its share while the event loop has hardly
any time to spare is closed, and its address is refused for a while.  An address keeps its account when its connections
end, so connecting again gains nothing.

Time is an argument; nothing here reads a clock or sleeps, except :class:`Working`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from teleglyph.net.ratelimit import TokenBucket

_RESTED = 0.5
"""Part of a burst that has to be there again until a peer no longer counts as over its share."""
_MODEST = 0.9
"""A connection with so much of its burst left is not closed for what others of its address cost."""
_LOAD_WINDOW = 1.0
"""Seconds over which a load is measured."""


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
        elif self.over_since is not None and self.left(now) >= _RESTED:
            self.over_since = None
        return pause

    def left(self, now: float) -> float:
        """The part of the burst that is there."""
        return self._bucket.level(now) / self._bucket.burst

    def start_patience_again(self, now: float) -> None:
        """Count the time over the share from now on."""
        if self.over_since is not None:
            self.over_since = now

    def is_over_for(self, seconds: float, now: float) -> bool:
        return self.over_since is not None and now - self.over_since > seconds


class _Address(_Allowance):
    __slots__ = ("refused_until",)

    def __init__(self, limits: CostLimits) -> None:
        super().__init__(limits.address_share, limits.address_burst)
        self.refused_until = 0.0


class CostMeter:
    """What one connection costs; made by :meth:`CostLedger.meter`."""

    __slots__ = ("_address", "_is_busy", "_limits", "_own")

    def __init__(self, limits: CostLimits, address: _Address, is_busy: Callable[[], bool]) -> None:
        self._limits = limits
        self._address = address
        self._is_busy = is_busy
        self._own = _Allowance(limits.peer_share, limits.peer_burst)

    def charge(self, seconds: float, now: float) -> float:
        """Charge processor time to the connection and its address; 0.0 asks only for the pause.

        Returns:
            seconds for which nothing more should be read from the connection.
        """
        return max(self._own.charge(seconds, now), self._address.charge(seconds, now))

    def is_exhausted(self, now: float) -> bool:
        """Whether the connection has to be closed; its address is refused from then on."""
        if not self._is_busy():
            self._own.start_patience_again(now)
            self._address.start_patience_again(now)
            return False
        patience = self._limits.patience
        is_over = self._own.is_over_for(patience, now) or (
            self._address.is_over_for(patience, now) and self._own.left(now) < _MODEST
        )
        if is_over:
            self._address.refused_until = now + self._limits.refusal
        return is_over


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

    def __len__(self) -> int:
        return len(self._addresses)

    def meter(self, network: str) -> CostMeter | None:
        """The meter of a new connection of an address; None without limits."""
        if not self.limits.peer_share:
            return None
        address = self._addresses.pop(network, None) or _Address(self.limits)
        self._addresses[network] = address
        while len(self._addresses) > self._max_addresses:
            self._addresses.popitem(last=False)
        return CostMeter(self.limits, address, self._is_busy)

    def refused_for(self, network: str, now: float) -> float:
        """Seconds for which an address is still refused; 0.0 if it is not."""
        address = self._addresses.get(network)
        return 0.0 if address is None else max(0.0, address.refused_until - now)

    def _is_busy(self) -> bool:
        return self.load.value >= self.limits.busy


class LoopLoad:
    """How busy a thread is: the part of the time in which it computes.

    Attributes:
        value: over the last whole window of a second; 0.0 before.
    """

    __slots__ = ("_since", "_used", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self._since: float | None = None
        self._used = 0.0

    def sample(self, now: float, used: float) -> None:
        """Note the processor time that the thread has used until now; often, in the thread itself."""
        if self._since is None:
            self._since, self._used = now, used
        elif now - self._since >= _LOAD_WINDOW:
            self.value = (used - self._used) / (now - self._since)
            self._since, self._used = now, used


class Working:
    """Measures the processor time of this thread between two points of the event loop without a wait between them.

    Use::

        started = Working()
        ...
        pause = meter.charge(started.seconds(), now)
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.thread_time()

    def seconds(self) -> float:
        """Processor time since then, or since the last call."""
        since, self._since = self._since, time.thread_time()
        return self._since - since
