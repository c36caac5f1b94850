"""Limits the connections of each address, with one count for all ports and protocols."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from teleglyph.net import CostLedger, CostLimits, CostMeter, SlidingWindow, is_loopback, network_of
from teleglyph.server.refusals import RefusalLog

_OPENING = 0.0003
"""Estimated processor time of accepting a connection, which cannot be measured outside the event loop."""
_OWN_DESCRIPTORS = 64
"""Reserved for files, the database and decoders."""
_ADMINISTRATION = 16
"""Reserved for programs on this machine."""
_PEOPLE = 48
"""Reserved for addresses of participants, so that they can reconnect."""


class AddressGate:
    """Counts the open connections of each address, its new ones per minute, and their cost.

    Args:
        per_address: connections of one address at the same time; 0: any number.
        per_minute: new connections of one address per minute; 0: any number.
        costs: limits of processor time.
        descriptors: the number of files that this process may open.
        is_in_call: whether a participant from a network (:func:`teleglyph.net.network_of`) is in a call.

    Attributes:
        refused: the number of refused connections, by reason.
        refusals: logs them.
        costs: the accounts of all addresses.
    """

    def __init__(
        self,
        per_address: int,
        per_minute: int,
        costs: CostLimits,
        descriptors: int,
        is_in_call: Callable[[str], bool],
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.refusals = RefusalLog()
        self.costs = CostLedger(costs)
        self._per_address = per_address
        self._window = SlidingWindow(per_minute, 60.0)
        self._descriptors = descriptors
        self._is_in_call = is_in_call
        self._open: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        """The number of open connections."""
        return self._total

    def refuse(self, peer: str, *, is_counted: bool = False) -> str | None:
        """The reason for refusing a new connection; None if it may connect, which counts for its rate.

        Args:
            peer: its address.
            is_counted: the connection was counted already.
        """
        reason = self._costly(peer) if is_counted else self.may_wait(peer)
        if reason is None and not self._window.allow(network_of(peer), time.monotonic()):
            text = f"more than {self._window.limit} connections per minute"
            reason = self.record_refusal("rate", "connections too often", peer, text)
        return reason

    def meter(self, peer: str) -> CostMeter | None:
        """The cost meter for a connection of an address."""
        return self.costs.meter(network_of(peer))

    def charge(self, peer: str, seconds: float) -> float:
        """Charge event-loop time to an address, outside the meters; returns the seconds to pause."""
        return self.costs.charge(network_of(peer), seconds, time.monotonic())

    def may_wait(self, peer: str, *, is_proxy: bool = False) -> str | None:
        """The reason for closing a connection before it sends anything; None if it may send.

        Args:
            peer: its address.
            is_proxy: it may have any number of connections, because it has clients of its own.
        """
        if (reason := self._costly(peer)) is not None:
            return reason
        network = network_of(peer)
        if self._per_address and not is_proxy and self._open[network] >= self._per_address:
            text = f"it already has {self._per_address} connections"
            return self.record_refusal("address", "too many of one address", peer, text)
        if self._total >= self._places(peer, network):
            return self.record_refusal(
                "descriptors", "no descriptor is free", peer, f"{self._total} connections are open"
            )
        return None

    def let_in(self, peer: str, *, is_proxy: bool = False) -> Callable[[], None] | str:
        """Count a connection; returns a function that uncounts it, or the reason for refusing it."""
        if not is_proxy:
            self.charge(peer, _OPENING)
        reason = self.may_wait(peer, is_proxy=is_proxy)
        if reason is not None:
            return reason
        return self.enter(peer)

    def enter(self, peer: str) -> Callable[[], None]:
        """Count a connection that was admitted already; returns a function that uncounts it."""
        network = network_of(peer)
        self._open[network] += 1
        self._total += 1
        is_gone = False

        def leave() -> None:
            nonlocal is_gone
            if is_gone:
                return
            is_gone = True
            self._total -= 1
            self._open[network] -= 1
            if not self._open[network]:
                del self._open[network]

        return leave

    def _places(self, peer: str, network: str) -> int:
        """The number of open connections from which another one of this address is refused."""
        places = self._descriptors - _OWN_DESCRIPTORS
        if not is_loopback(peer):
            places -= _ADMINISTRATION
            if not self._is_in_call(network):
                places -= _PEOPLE
        return places

    def _costly(self, peer: str) -> str | None:
        if self.costs.refused_for(network_of(peer), time.monotonic()) > 0:
            return self.record_refusal("cost", "too costly", peer, "its connections used too much processor time")
        return None

    def record_refusal(self, counter: str, kind: str, peer: str, reason: str) -> str:
        """Count and log a refusal; returns the reason.

        Args:
            counter: the key in ``refused``.
            kind: refusals of one kind are logged together.
            peer: the address, for the log.
            reason: for the log.
        """
        self.refused[counter] += 1
        self.refusals.log_refusal(kind, f"{peer} was refused: {reason}", time.monotonic())
        return reason
