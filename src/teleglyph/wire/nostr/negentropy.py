"""Range-based set reconciliation: the responder of the Negentropy protocol, version 1 (NIP-77).

Two sides find the events that only one of them has, and exchange far less than a list of all ids.  Records are sorted
by time and id.  A message divides them into ranges.  For each range it has nothing (skip), a fingerprint of the ids, or
the ids.  The initiator drives the exchange.  The responder answers each message with one message, and has no state but
its records.

    message = version (0x61), range*
    range   = upper bound, mode (varint), payload
    bound   = time (varint: 0 is infinity, otherwise 1 + difference to the bound before), length (varint), id prefix
    payload = nothing (mode 0) | 16 bytes of fingerprint (mode 1) | count (varint), 32 bytes each (mode 2)

A varint has base-128 digits, most significant first, with the high bit set on all but the last.
"""

from __future__ import annotations

import hashlib
import itertools
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final

from teleglyph.errors import EventRefusedError

VERSION: Final = 0x61
ID_BYTES: Final = 32
_VERSIONS = range(0x60, 0x70)
_SKIP, _FINGERPRINT, _IDS = 0, 1, 2
_FINGERPRINT_BYTES = 16
_INFINITY = (1 << 64) - 1
_SUM = 1 << 256
_MAX_VARINT = 10
"""Bytes; 64 bits need no more."""
_BUCKETS = 16
_FEW = 2 * _BUCKETS
"""A range with fewer records is answered with their ids."""
_ROOM = 64
"""Bytes of a message that are reserved for the fingerprint of everything that did not fit."""
MIN_FRAME: Final = 4096
"""Bytes of a message; smaller ones might not make progress."""
Bound = tuple[int, bytes]
"""Time and id prefix; the records below it belong to a range."""


class Records:
    """The sorted records of one side, 72 bytes each.

    Args:
        items: times in Unix seconds and ids of 32 bytes, in any order, each id once.
    """

    __slots__ = ("_ids", "_sums", "_times")

    def __init__(self, items: Iterable[tuple[int, bytes]]) -> None:
        ordered = sorted(items)
        self._times = array("Q", [time for time, _ in ordered])
        self._ids = b"".join([number for _, number in ordered])
        total, sums = 0, [bytes(ID_BYTES)]
        for _, number in ordered:
            total = (total + int.from_bytes(number, "little")) % _SUM
            sums.append(total.to_bytes(ID_BYTES, "little"))
        self._sums = b"".join(sums)

    def __len__(self) -> int:
        return len(self._times)

    def id(self, place: int) -> bytes:
        """The id of a record."""
        return self._ids[ID_BYTES * place : ID_BYTES * (place + 1)]

    def ids(self, start: int, stop: int) -> bytes:
        """The ids of a range, one after the other."""
        return self._ids[ID_BYTES * start : ID_BYTES * stop]

    def place(self, bound: Bound, start: int = 0) -> int:
        """The index of the first record that is not below a bound.

        Args:
            bound: a time and the beginning of an id.
            start: the result is at least this.
        """
        time, prefix = bound
        if time == _INFINITY:
            return len(self)
        first = bisect_left(self._times, time, start)
        if not any(prefix):
            return first
        last = bisect_right(self._times, time, first)
        return bisect_left(range(last), prefix, first, last, key=self.id)

    def bound(self, place: int) -> Bound:
        """The shortest bound between a record and the one before; infinity after the last one."""
        if place >= len(self):
            return _INFINITY, b""
        time = self._times[place]
        if place == 0 or self._times[place - 1] != time:
            return time, b""
        before, number = self.id(place - 1), self.id(place)
        shared = next(index for index in range(ID_BYTES) if before[index] != number[index])
        return time, number[: shared + 1]

    def fingerprint(self, start: int, stop: int) -> bytes:
        """16 bytes that are equal for equal ranges."""
        sums = self._sums
        total = int.from_bytes(sums[ID_BYTES * stop : ID_BYTES * (stop + 1)], "little")
        total -= int.from_bytes(sums[ID_BYTES * start : ID_BYTES * (start + 1)], "little")
        data = (total % _SUM).to_bytes(ID_BYTES, "little") + encode_varint(stop - start)
        return hashlib.sha256(data).digest()[:_FINGERPRINT_BYTES]


def respond(records: Records, message: bytes, max_bytes: int) -> bytes:
    """Answer one message.  The work is bounded by the sizes of the message and of the answer.

    Args:
        records: our records.
        message: from the other side.
        max_bytes: size of the answer, at least MIN_FRAME.  The rest is left for the next message.

    Raises:
        EventRefusedError: ``invalid:`` and the reason.
    """
    if not message or message[0] not in _VERSIONS:
        raise EventRefusedError("invalid: a sync message must begin with its version, 0x61")
    if message[0] != VERSION:
        return bytes([VERSION])
    reader, answer = _Reader(message), _Answer(records, max_bytes)
    lower = 0
    while not reader.is_done and not answer.is_full:
        bound = reader.bound()
        upper = records.place(bound, lower)
        mode = reader.varint()
        if mode == _SKIP:
            answer.skip(bound)
        elif mode == _FINGERPRINT:
            if reader.read(_FINGERPRINT_BYTES) == records.fingerprint(lower, upper):
                answer.skip(bound)
            else:
                answer.divide(lower, upper, bound)
        elif mode == _IDS:
            reader.read(ID_BYTES * reader.varint())
            answer.list_ids(lower, upper, bound)
        else:
            raise EventRefusedError(f"invalid: a sync message has a range of the unknown mode {mode}")
        lower = upper
    return bytes(answer.data)


class _Reader:
    """Reads a message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._place = 1
        self._last: Bound = (0, bytes(ID_BYTES))

    @property
    def is_done(self) -> bool:
        return self._place == len(self._message)

    def read(self, count: int) -> bytes:
        if count > len(self._message) - self._place:
            raise EventRefusedError("invalid: a sync message ends too early")
        self._place += count
        return self._message[self._place - count : self._place]

    def varint(self) -> int:
        value = 0
        for _ in range(_MAX_VARINT):
            (digit,) = self.read(1)
            value = value << 7 | digit & 0x7F
            if digit < 0x80:
                if value > _INFINITY:
                    break
                return value
        raise EventRefusedError("invalid: a sync message has a number of more than 64 bits")

    def bound(self) -> Bound:
        difference, length = self.varint(), self.varint()
        if length > ID_BYTES:
            raise EventRefusedError(f"invalid: a sync message has an id prefix of {length} bytes")
        prefix = self.read(length).ljust(ID_BYTES, b"\0")
        time = _INFINITY if difference == 0 else self._last[0] + difference - 1
        bound = (time, prefix)
        if self._last[0] == _INFINITY or time > _INFINITY or bound < self._last:
            raise EventRefusedError("invalid: the ranges of a sync message are not in ascending order")
        self._last = bound
        return bound


class _Answer:
    """Builds a message."""

    def __init__(self, records: Records, max_bytes: int) -> None:
        self.data = bytearray([VERSION])
        self.is_full = False
        self._records = records
        self._space = max(max_bytes, MIN_FRAME) - _ROOM
        self._last_time = 0
        self._skipped: Bound | None = None

    def skip(self, bound: Bound) -> None:
        """Skip a range.  Adjacent ones become one, and those at the end are left out."""
        self._skipped = bound

    def divide(self, start: int, stop: int, bound: Bound) -> None:
        """Answer a fingerprint that differs with finer ones or with ids."""
        count = stop - start
        if count < _FEW:
            self.list_ids(start, stop, bound)
            return
        ranges = bytearray()
        last_time = self._end_skipped(ranges)
        places = [start + count * number // _BUCKETS for number in range(_BUCKETS + 1)]
        for first, last in itertools.pairwise(places):
            upper = bound if last == stop else self._records.bound(last)
            last_time = _add_bound(ranges, upper, last_time)
            ranges += bytes([_FINGERPRINT]) + self._records.fingerprint(first, last)
        self._add(ranges, last_time, start)

    def list_ids(self, start: int, stop: int, bound: Bound) -> None:
        """Add the ids of a range, or as many as fit."""
        ranges = bytearray()
        last_time = self._end_skipped(ranges)
        space = self._space - len(self.data) - len(ranges) - 2 * _ROOM
        fitting = max(0, space) // ID_BYTES
        end = min(stop, start + fitting)
        if end == start < stop:
            self._leave_rest(start)
            return
        last_time = _add_bound(ranges, bound if end == stop else self._records.bound(end), last_time)
        ranges += bytes([_IDS]) + encode_varint(end - start) + self._records.ids(start, end)
        self._add(ranges, last_time, start)
        if end < stop and not self.is_full:
            self._leave_rest(end)

    def _add(self, ranges: bytearray, last_time: int, start: int) -> None:
        if len(self.data) + len(ranges) > self._space:
            self._leave_rest(start)
            return
        self.data += ranges
        self._last_time, self._skipped = last_time, None

    def _leave_rest(self, start: int) -> None:
        """Add one fingerprint of everything from a place on; the other side asks for it again."""
        self._last_time = self._end_skipped(self.data)
        _add_bound(self.data, (_INFINITY, b""), self._last_time)
        self.data += bytes([_FINGERPRINT]) + self._records.fingerprint(start, len(self._records))
        self.is_full = True

    def _end_skipped(self, ranges: bytearray) -> int:
        if self._skipped is None:
            return self._last_time
        last_time = _add_bound(ranges, self._skipped, self._last_time)
        ranges.append(_SKIP)
        return last_time


def _add_bound(ranges: bytearray, bound: Bound, last_time: int) -> int:
    """Append a bound; returns the time that the next one is relative to."""
    time, prefix = bound
    prefix = prefix.rstrip(b"\0")
    ranges += encode_varint(0 if time == _INFINITY else time - last_time + 1)
    ranges += encode_varint(len(prefix)) + prefix
    return time


def encode_varint(value: int) -> bytes:
    """A whole number from 0, in base-128 digits, most significant first."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
