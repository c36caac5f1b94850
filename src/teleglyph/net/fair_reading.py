"""Paces one connection's reader: rate limits, processor time, and turns for the other connections."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Protocol

from teleglyph.errors import RateLimitError
from teleglyph.net.cost import CostMeter
from teleglyph.net.ratelimit import TokenBucket
from teleglyph.net.stopwatch import Stopwatch
from teleglyph.net.traffic import ConnectionLimits, Traffic

_MAX_MESSAGES = 64
"""Messages one reader may handle before it lets the others run."""
_MAX_SECONDS = 0.001
"""Processor time one reader may use before it lets the others run."""
_COSTLY_DIVISOR = 4
"""A peer that had to wait for its turn is fed this many times fewer bytes at once."""
_MAX_PAUSE = 0.5
"""Seconds; a reader that waits longer checks this often whether its connection has ended."""


class PacedReader(Protocol):
    """The connection whose reader is paced."""

    def is_ending(self) -> bool:
        """Whether waiting is pointless, because the peer is gone or the reader will fail."""

    def mark_heard(self, now: float) -> None:
        """Treat the peer as heard from: its silence means nothing while it is not read."""


class FairReading:
    """Limits how fast a connection is read.

    Args:
        limits: rates.
        traffic: counts the pauses.
        meter: charged for what the peer costs; None: cost is unlimited.
        feed_bytes: the most bytes the session gets at once; 0: no limit.
    """

    def __init__(self, limits: ConnectionLimits, traffic: Traffic, meter: CostMeter | None, feed_bytes: int) -> None:
        self.stopwatch = Stopwatch(self.charge)
        """Charges the task that reads (:func:`teleglyph.net.charged`)."""
        self.is_in_debt = False
        """Whether the peer has cost too much, so that it is read again only when its turn comes."""
        self._packets = TokenBucket(limits.packets_per_second, limits.packet_burst)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.byte_burst)
        self._traffic = traffic
        self._meter = meter
        self._feed_bytes = feed_bytes
        self._has_waited = False
        """Whether it just waited for its turn, so that it gets little at once."""
        self._busy = 0.0
        """Processor time since the other connections last ran."""
        self._messages = 0
        """Messages since the other connections last ran."""
        self._measured_at = 0.0

    def charge(self, seconds: float, *, elsewhere: bool = False) -> None:
        """Charge processor time to the peer.  Its reader pauses when necessary.

        Args:
            seconds: of processor time.
            elsewhere: the time was spent outside the event loop.
        """
        if not elsewhere:
            self._busy += seconds
        if self._meter is not None and self._meter.charge(seconds, time.monotonic(), elsewhere=elsewhere) > 0:
            self.is_in_debt = True

    def close(self) -> None:
        """Charge the address only: the connection is closed."""
        if self._meter is None:
            self.stopwatch.charge = _ignore
        else:
            self._meter.close()
            # Not through this object, which holds the stopwatch: a cycle would keep the connection in memory.
            self.stopwatch.charge = partial(_charge_meter, self._meter)

    def next_feed_size(self) -> int:
        """The most bytes that the session may get now; 0: no limit."""
        size = -(-self._feed_bytes // _COSTLY_DIVISOR) if self._has_waited else self._feed_bytes
        self._has_waited = False
        return size

    def mark_yielded(self) -> None:
        """Start counting messages again, because the reader waits for bytes anyway."""
        self._messages = 0

    async def after_work(self, reader: PacedReader) -> None:
        """Wait until the peer may cost something again, or let the others run after some work.

        Raises:
            RateLimitError: the peer has cost too much for too long.
        """
        self.stopwatch.lap()
        if self._meter is not None and self.is_in_debt:
            await self._wait_for_turn(self._meter, reader)
        elif self._busy > _MAX_SECONDS:
            self._busy = 0.0
            self._messages = 0
            await asyncio.sleep(0)

    async def after_message(self, reader: PacedReader, now: float) -> None:
        """Like :meth:`after_work`, at most once per millisecond, and keep the peer's messages within their rate.

        Args:
            reader: the connection's; paused if necessary.
            now: when the message arrived.

        Raises:
            RateLimitError: the peer has cost too much for too long.
        """
        # The clock of the processor is too slow to be read for every small message.
        if self.is_in_debt or now - self._measured_at >= _MAX_SECONDS:
            self._measured_at = now
            await self.after_work(reader)
            now = time.monotonic()  # the rate has recovered during a wait
        pause = self._packets.consume(1, now)
        self._messages += 1
        if pause > 0:
            self._traffic.throttled += 1
            self._messages = 0
            await asyncio.sleep(pause)
        elif self._messages >= _MAX_MESSAGES:
            self._messages = 0
            await asyncio.sleep(0)

    async def after_bytes(self, count: int) -> None:
        """Keep the peer's bytes within their rate."""
        pause = self._bytes.consume(count, time.monotonic())
        if pause > 0:
            self._traffic.throttled += 1
            await asyncio.sleep(pause)

    async def _wait_for_turn(self, meter: CostMeter, reader: PacedReader) -> None:
        self._traffic.throttled += 1
        self._busy = 0.0
        self._has_waited = True
        now = time.monotonic()
        until = now + meter.reserve(now)
        while now < until and not reader.is_ending():
            if meter.is_exhausted(now):
                raise RateLimitError("Too much processor time was used from your address. Try again in a minute.")
            await asyncio.sleep(min(until - now, _MAX_PAUSE))
            now = time.monotonic()
            reader.mark_heard(now)
        self.is_in_debt = now < until


def _charge_meter(meter: CostMeter, seconds: float) -> None:
    meter.charge(seconds, time.monotonic())


def _ignore(_seconds: float) -> None:
    """Stands in for a meter where cost is unlimited."""
