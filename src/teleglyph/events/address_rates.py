"""Event rates of addresses; they outlive connections, so that reconnecting gains nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from teleglyph.net import TokenBucket


class AddressRates:
    """The event rate of each address.

    Args:
        make: creates a rate.
        max_addresses: that are remembered; the ones longest unseen are forgotten first.
    """

    def __init__(self, make: Callable[[], TokenBucket], max_addresses: int = 10_000) -> None:
        self._make = make
        self._max_addresses = max_addresses
        self._rates: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rates)

    def of(self, network: str) -> TokenBucket:
        """The rate of an address, for a new connection from it."""
        rate = self._rates.pop(network, None) or self._make()
        self._rates[network] = rate
        while len(self._rates) > self._max_addresses:
            self._rates.popitem(last=False)
        return rate
