"""The other side of a set reconciliation, made of lists and loops and written from the protocol's text alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

Item = tuple[int, bytes]
INFINITY = (1 << 64) - 1
START: Item = (0, bytes(32))


def varint(value: int) -> bytes:
    digits = []
    while True:
        digits.append(value % 128)
        value //= 128
        if value == 0:
            break
    return bytes([digit + 128 for digit in digits[:0:-1]] + digits[:1])


def fingerprint(items: list[Item]) -> bytes:
    total = sum(int.from_bytes(number, "little") for _, number in items) % 2**256
    return hashlib.sha256(total.to_bytes(32, "little") + varint(len(items))).digest()[:16]


class Parser:
    """Reads a message; any mistake in it is an AssertionError."""

    def __init__(self, message: bytes) -> None:
        assert message[:1] == b"\x61"
        self.rest = message[1:]

    def take(self, count: int) -> bytes:
        assert len(self.rest) >= count
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self) -> int:
        value = 0
        while True:
            (digit,) = self.take(1)
            value = value * 128 + digit % 128
            if digit < 128:
                return value

    def ranges(self) -> Iterator[tuple[Item, Item, int, object]]:
        """Lower and upper bound, mode and payload."""
        lower, time = START, 0
        while self.rest:
            assert lower[0] != INFINITY, "nothing follows the end"
            difference = self.number()
            time = INFINITY if difference == 0 else time + difference - 1
            upper = (time, self.take(self.number()).ljust(32, b"\0"))
            assert upper >= lower, "ranges are in order"
            mode = self.number()
            payload: object = None
            if mode == 1:
                payload = self.take(16)
            elif mode == 2:
                payload = [self.take(32) for _ in range(self.number())]
            else:
                assert mode == 0
            yield lower, upper, mode, payload
            lower = upper


class Initiator:
    """The side that starts.

    Attributes:
        have: ids that only we have.
        need: ids that only the other side has.
    """

    def __init__(self, items: list[Item], *, buckets: int = 16, max_bytes: int = 60_000) -> None:
        self.items = sorted(items)
        self.have: set[bytes] = set()
        self.need: set[bytes] = set()
        self.buckets, self.max_bytes = buckets, max_bytes

    def between(self, lower: Item, upper: Item) -> list[Item]:
        return [item for item in self.items if lower <= item and (upper[0] == INFINITY or item < upper)]

    def first(self) -> bytes:
        return encode(self.divide(START, (INFINITY, bytes(32))))

    def divide(self, lower: Item, upper: Item) -> list[tuple[Item, int, bytes]]:
        own = self.between(lower, upper)
        if len(own) < 2 * self.buckets:
            return [(upper, 2, varint(len(own)) + b"".join(number for _, number in own))]
        step = len(own) // self.buckets
        parts = [own[start : start + step] for start in range(0, len(own), step)]
        uppers = [part[0] for part in parts[1:]] + [upper]
        return [(bound, 1, fingerprint(part)) for bound, part in zip(uppers, parts, strict=True)]

    def next(self, answer: bytes) -> bytes | None:
        """Return the reply to an answer, or None if everything is known."""
        asked: list[tuple[Item, int, bytes]] = []
        for lower, upper, mode, payload in Parser(answer).ranges():
            own = self.between(lower, upper)
            again: list[tuple[Item, int, bytes]] = []
            if mode == 1 and payload != fingerprint(own):
                again = self.divide(lower, upper)
            elif mode == 2:
                assert isinstance(payload, list)
                self.have |= {number for _, number in own} - set(payload)
                self.need |= set(payload) - {number for _, number in own}
            asked += again or [(upper, 0, b"")]
            if len(encode(asked)) > self.max_bytes and upper[0] != INFINITY:
                rest = [item for item in self.items if item >= upper]
                asked.append(((INFINITY, bytes(32)), 1, fingerprint(rest)))
                break
        return encode(asked) if any(mode for _, mode, _ in asked) else None


def encode(ranges: list[tuple[Item, int, bytes]]) -> bytes:
    message, last = b"\x61", 0
    for (time, prefix), mode, payload in ranges:
        if time == INFINITY:
            message += b"\0\0"
        else:
            message += varint(1 + time - last) + varint(32) + prefix
            last = time
        message += varint(mode) + payload
    return message


def reconcile(initiator: Initiator, respond: Callable[[bytes], bytes], rounds: int = 10_000) -> int:
    """Run the reconciliation; return the number of messages."""
    message: bytes | None = initiator.first()
    count = 0
    while message is not None:
        count += 1
        assert count <= rounds, "it ends"
        message = initiator.next(respond(message))
    return count
