"""Accounts of processor time, for each connection and each address.

Limits on messages and bytes let a peer choose the most expensive message.  So work is charged by the time it took,
wherever it happens: parsing, checking signatures, answering queries.  A connection that costs more than its share is
read more slowly (back-pressure).  One that stays over its share while the event loop is busy is closed, and its
address is refused for a while.  An address keeps its account when its connections end, so reconnecting gains nothing.

An address has two accounts.  One covers everything and allows bursts of seconds.  The other covers only the event loop
and allows hardly any burst: the work of many connections of one address is spread evenly over time, so that others
wait for at most one small piece of work.  The price of the loop's time rises while it is short, whether the loop or
other programs use it.  While all peers come from one address, nothing is charged.

Time is an argument; nothing here reads a clock or sleeps.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from teleglyph.net.loop_load import LoopLoad
from teleglyph.net.ratelimit import TokenBucket

_RECOVERED = 0.5
"""Part of the burst that must be refilled until a peer no longer counts as over its share."""
_MODEST = 0.9
"""A connection with this part of its burst left is not closed for the cost of others at its address."""
_LOOP_BURST = 0.004
"""Seconds of the event loop that an address may use at once."""
_TURN = 0.001
"""Seconds of the event loop that a waiting connection reserves for its turn."""
_MAX_DEBT = 1.0
"""Seconds of debt above which an address gets no further connections."""


@dataclass(frozen=True, slots=True)
class CostLimits:
    """Limits of the processor time that peers may cost.

    Attributes:
        peer_share: seconds per second, of one connection; 0 disables all of these limits.
        peer_burst: seconds at once, of one connection.
        address_share: seconds per second, of all connections of one address (IPv6: a /64) together.
        address_burst: seconds at once, of one address.
        max_overuse: seconds over a share, without a pause and with a busy event loop, after which a connection is
            closed.
        refusal: seconds for which its address is refused afterwards.
        busy: load of the event loop from which peers over their share are closed; 0: always.
    """

    peer_share: float = 0.15
    peer_burst: float = 1.0
    address_share: float = 0.4
    address_burst: float = 3.0
    max_overuse: float = 30.0
    refusal: float = 60.0
    busy: float = 0.75


class _Allowance:
    """A share of processor time, and since when it has been exceeded."""

    __slots__ = ("_bucket", "over_since")

    def __init__(self, share: float, burst: float) -> None:
        self._bucket = TokenBucket(share, burst)
        self.over_since: float | None = None

    def charge(self, seconds: float, now: float) -> float:
        """Charge processor time; returns the seconds until the allowance is positive again."""
        pause = self._bucket.consume(seconds, now)
        if pause > 0:
            self.over_since = now if self.over_since is None else self.over_since
        else:
            self._check_recovery(now)
        return pause

    def left(self, now: float) -> float:
        """The part of the burst that is left."""
        return self._bucket.level(now) / self._bucket.burst

    def owed(self, now: float) -> float:
        """Seconds of processor time used beyond the allowance."""
        return max(0.0, -self._bucket.level(now))

    def restart_overuse(self, now: float) -> None:
        """Count the time over the share from now on."""
        if self.over_since is not None:
            self.over_since = now

    def is_over_for(self, seconds: float, now: float) -> bool:
        self._check_recovery(now)
        return self.over_since is not None and now - self.over_since > seconds

    def _check_recovery(self, now: float) -> None:
        if self.over_since is not None and self.left(now) >= _RECOVERED:
            self.over_since = None


class _Address(_Allowance):
    __slots__ = ("loop", "refused_until")

    def __init__(self, limits: CostLimits) -> None:
        super().__init__(limits.address_share, limits.address_burst)
        self.loop = TokenBucket(limits.address_share, _LOOP_BURST)
        self.refused_until = 0.0


class CostMeter:
    """Charges one connection for its costs; made by :meth:`CostLedger.meter`."""

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
            now: as from ``time.monotonic``.
            elsewhere: the time was spent outside the event loop.

        Returns:
            Seconds for which the connection should not be read.  Then :meth:`reserve` a turn before reading again.
        """
        if self._ledger.is_alone:
            return 0.0
        pause = max(self._own.charge(seconds, now), self._address.charge(seconds, now))
        if elsewhere:
            return pause
        paid = min(seconds, self._prepaid)
        self._prepaid -= paid
        return max(pause, self._address.loop.consume((seconds - paid) * self._ledger.load.price, now))

    def reserve(self, now: float) -> float:
        """Pay for a turn of the event loop in advance; returns the seconds until it comes."""
        pause = max(self._own.charge(0.0, now), self._address.charge(0.0, now))
        missing = _TURN - self._prepaid
        self._prepaid = _TURN
        return max(pause, self._address.loop.consume(missing * self._ledger.load.price, now))

    def is_exhausted(self, now: float) -> bool:
        """Whether the connection has to be closed; then its address is refused for a while."""
        if not self._ledger.is_busy:
            self._own.restart_overuse(now)
            self._address.restart_overuse(now)
            return False
        seconds = self._ledger.limits.max_overuse
        is_over = self._own.is_over_for(seconds, now) or (
            self._address.is_over_for(seconds, now) and self._own.left(now) < _MODEST
        )
        if is_over:
            self._address.refused_until = now + self._ledger.limits.refusal
        return is_over

    def close(self) -> None:
        """Remove the connection from the ledger; safe to call more than once."""
        if self._network:
            self._ledger.remove_connection(self._network)
            self._network = ""


class CostLedger:
    """The accounts of all addresses.

    Args:
        limits: shares and bursts.
        max_addresses: accounts to keep; the least recently used are dropped first.

    Attributes:
        load: of the event loop, which its owner has to sample.
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
        """Whether all connected peers come from one address."""
        return len(self._present) < 2

    @property
    def is_busy(self) -> bool:
        """Whether the event loop has little time to spare."""
        return self.load.value >= self.limits.busy

    def meter(self, network: str) -> CostMeter | None:
        """The meter of a new connection of an address; None without limits."""
        if not self.limits.peer_share:
            return None
        self._present[network] += 1
        return CostMeter(self, network, self._address(network))

    def remove_connection(self, network: str) -> None:
        """Count a closed connection that had a meter."""
        self._present[network] -= 1
        if self._present[network] <= 0:
            del self._present[network]

    def charge(self, network: str, seconds: float, now: float) -> float:
        """Charge event-loop time to an address whose connection has no meter; returns the seconds to pause."""
        if not self.limits.peer_share or (self.is_alone and network in self._present) or not self._present:
            return 0.0
        address = self._address(network)
        return max(address.charge(seconds, now), address.loop.consume(seconds * self.load.price, now))

    def refused_for(self, network: str, now: float) -> float:
        """Seconds for which an address gets no further connections; 0.0 if it may connect."""
        address = self._addresses.get(network)
        if address is None:
            return 0.0
        debt = max(0.0, address.owed(now) - _MAX_DEBT) / self.limits.address_share
        return max(debt, address.refused_until - now, 0.0)

    def _address(self, network: str) -> _Address:
        address = self._addresses.pop(network, None) or _Address(self.limits)
        self._addresses[network] = address
        while len(self._addresses) > self._max_addresses:
            self._addresses.popitem(last=False)
        return address
