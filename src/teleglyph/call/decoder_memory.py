"""One memory budget for the decoders of all senders."""

from __future__ import annotations

from collections.abc import Callable

from teleglyph.errors import MediaDecodeError


class DecoderMemory:
    """Bytes reserved for decoders, by sender.

    If too little is left, the largest holder loses its decoder, but only to a smaller one: senders of large pictures
    make room for senders of small ones, never the other way.

    Args:
        total: bytes for all senders.
        each: bytes for one of them.
    """

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._held: dict[object, tuple[int, Callable[[], None]]] = {}

    @property
    def held(self) -> int:
        """Bytes reserved now."""
        return sum(amount for amount, _ in self._held.values())

    def reserve(self, holder: object, amount: int, give_up: Callable[[], None]) -> None:
        """Reserve an amount of bytes, which replaces the holder's earlier reservation.

        Args:
            holder: a decoder, or any other hashable object.
            amount: in bytes.
            give_up: called when another holder gets the bytes.

        Raises:
            MediaDecodeError: too few are left; the earlier reservation stays.
        """
        if amount > self._each:
            raise MediaDecodeError(f"The stream needs {amount} bytes, and at most {self._each} are allowed.")
        others = {other: held for other, held in self._held.items() if other is not holder}
        missing = sum(held for held, _ in others.values()) + amount - self._total
        losers = []
        while missing > 0:
            largest = max(others, key=lambda other: others[other][0], default=None)
            if largest is None or others[largest][0] <= amount:
                raise MediaDecodeError("All memory for decoders is in use. Try again later.")
            missing -= others.pop(largest)[0]
            losers.append(largest)
        self._held[holder] = amount, give_up
        for loser in losers:
            self._held.pop(loser)[1]()

    def release(self, holder: object) -> None:
        """Free the reservation of this holder, if it has one."""
        self._held.pop(holder, None)
