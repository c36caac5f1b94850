"""Which addresses may connect, whatever they want: one count for all ports and protocols."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from teleglyph.net import CostLedger, CostLimits, CostMeter, SlidingWindow, is_loopback, network_of
from teleglyph.server.refusals import RefusalLog

_OPENING = 0.0003
"""Processor time of accepting a connection, roughly: where it goes cannot be told from outside the event loop."""
_OWN_DESCRIPTORS = 64
"""Kept back for files, the database and decoders."""
_ADMINISTRATION = 16
"""Kept back for programs on this machine."""
_PEOPLE = 48
"""Kept back for addresses from which somebody is in a call: whoever loses a connection can come again."""


class AddressGate:
    """Counts the connections of each address while they last, how often it comes, and what it costs.

    Args:
        per_address: connections of one address at the same time; 0: any number.
        per_minute: connections of one address in a minute; 0: any number.
        costs: how much processor time addresses may use.
        descriptors: that this process may have open.
        is_in_call: whether somebody of this network (:func:`teleglyph.net.network_of`) is in a call.

    Attributes:
        refused: connections that were not admitted, by reason.
        refusals: what the log says about them.
        costs: what the peers of each address cost.
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
        """Connections that are counted."""
        return self._total

    def refuse(self, peer: str, *, is_counted: bool = False) -> str | None:
        """Why an address may not connect now; None if it may, which counts for its rate.

        Args:
            peer: its address.
            is_counted: the connection is among those of its address already.
        """
        reason = self._costly(peer) if is_counted else self.may_wait(peer)
        if reason is None and not self._window.allow(network_of(peer), time.monotonic()):
            text = f"more than {self._window.limit} connections in a minute"
            reason = self.note("rate", "connections too often", peer, text)
        return reason

    def meter(self, peer: str) -> CostMeter | None:
        """What counts the cost of a connection of an address."""
        return self.costs.meter(network_of(peer))

    def may_wait(self, peer: str, *, is_proxy: bool = False) -> str | None:
        """Why an address may not even say what it wants; None if it may.

        Args:
            peer: its address.
            is_proxy: others stand behind it, so it may have any number of connections.
        """
        if (reason := self._costly(peer)) is not None:
            return reason
        network = network_of(peer)
        if self._per_address and not is_proxy and self._open[network] >= self._per_address:
            text = f"it has {self._per_address} connections already"
            return self.note("address", "too many of one address", peer, text)
        if self._total >= self._places(peer, network):
            return self.note("descriptors", "no descriptor is free", peer, f"{self._total} connections are open")
        return None

    def let_in(self, peer: str, *, is_proxy: bool = False) -> Callable[[], None] | str:
        """Count a connection if it may be there: what to call when it is gone; or why it may not."""
        if not is_proxy:
            self.costs.charge(network_of(peer), _OPENING, time.monotonic())
        reason = self.may_wait(peer, is_proxy=is_proxy)
        if reason is not None:
            return reason
        return self.enter(peer)

    def enter(self, peer: str) -> Callable[[], None]:
        """Count a connection that was let in already; returns what is to be called when it is gone."""
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
        """How many connections there may be for another one of this address to be let in."""
        places = self._descriptors - _OWN_DESCRIPTORS
        if not is_loopback(peer):
            places -= _ADMINISTRATION
            if not self._is_in_call(network):
                places -= _PEOPLE
        return places

    def _costly(self, peer: str) -> str | None:
        if self.costs.refused_for(network_of(peer), time.monotonic()) > 0:
            return self.note("cost", "too costly", peer, "its connections used too much processor time")
        return None

    def note(self, counter: str, kind: str, peer: str, reason: str) -> str:
        """Count and log that an address was refused; returns the reason.

        Args:
            counter: what ``refused`` counts it as.
            kind: refusals of one kind are logged together.
            peer: the address, for the log.
            reason: for the log.
        """
        self.refused[counter] += 1
        self.refusals.note(kind, f"{peer} was refused: {reason}", time.monotonic())
        return reason
