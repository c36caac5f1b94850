"""The queue in front of a connection's only writer.

Producers call ``queue_*`` and never wait; the writer takes batches.  Each lane has its own policy when it is full:

========  =======================  ==========================================================
lane      order                    when full
========  =======================  ==========================================================
control   first in, first out      never drops: the peer is too slow, and the connection is closed
audio     first in, first out      drops the oldest packet; the bound is a time, not a count
video     one slot                 drops the older frame, and keeps its prefix for the newer one
========  =======================  ==========================================================

Packets are queued by reference, so one rendered frame serves every viewer.  Work per connection (encryption, framing)
happens in the writer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from teleglyph.net.waiters import resolve


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """Bounds of one outbox."""

    control_bytes: int = 1 << 20
    """Control bytes that may wait before the peer counts as too slow."""
    control_messages: int = 1 << 20
    """Control messages that may wait before the peer counts as too slow."""
    soft_bytes: int = 1 << 20
    soft_messages: int = 1 << 20
    """Control bytes and messages above which optional messages skip this peer."""
    audio_seconds: float = 0.2
    """Sound that may wait; older sound would be heard too late."""
    batch_bytes: int = 256 << 10
    """Bytes of control and audio in one batch, after which the writer checks the transport."""


@dataclass(slots=True)
class OutboxCounters:
    """Packets that passed through one outbox, and all drops."""

    control_packets: int = 0
    audio_packets: int = 0
    video_frames: int = 0
    audio_dropped: int = 0
    video_dropped: int = 0
    purged: int = 0
    """Packets that were removed before they were sent."""
    peak_control_bytes: int = 0
    peak_control_messages: int = 0
    peak_audio_seconds: float = 0.0


class Outgoing(NamedTuple):
    """One packet for the writer.

    Attributes:
        data: the packet, or its beginning.
        raw: sent unchanged (handshake bytes, frames); other packets are sealed.
        body: follows the data; packets of many peers may share one.
        group: identifies the packet for :meth:`Outbox.purge`.
    """

    data: bytes
    raw: bool
    body: bytes = b""
    group: object = None


class OutboxBudget:
    """Bytes that may wait in the control lanes of many outboxes together.

    Args:
        limit: above it, optional messages are skipped.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether more bytes wait than the limit allows."""
        return self.used > self.limit


class _Sound(NamedTuple):
    packet: bytes
    seconds: float


class _Picture(NamedTuple):
    packet: bytes
    prefix: bytes | None


class Outbox:
    """Bounded lanes in front of one writer.

    Args:
        limits: the bounds.
        on_overflow: called once, from inside ``queue_control``, when the control lane exceeds its bound.
        budget: shared with other outboxes; None for a budget of its own.

    Attributes:
        on_ready: set by the writer; called after every packet queued and when the outbox is closed.
        try_write: set by the writer; offered raw bytes while nothing is queued.  Returns True if it wrote them, and
            then they are not queued.
    """

    def __init__(
        self,
        limits: OutboxLimits | None = None,
        on_overflow: Callable[[], None] | None = None,
        budget: OutboxBudget | None = None,
    ) -> None:
        self.limits = limits or OutboxLimits()
        self.counters = OutboxCounters()
        self.on_ready: Callable[[], None] = _ignore
        self.try_write: Callable[[bytes], bool] = _refuse
        self._on_overflow = on_overflow
        self._budget = budget or OutboxBudget(1 << 60)
        self.in_flight = 0
        """Bytes that the writer took and the transport still buffers."""
        self._control: deque[Outgoing] = deque()
        self._control_bytes = 0
        self._audio: deque[_Sound] = deque()
        self._audio_seconds = 0.0
        self._picture: _Picture | None = None
        self._closed = False
        self._slot_waiter: asyncio.Future[None] | None = None
        self._is_released = False
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    # --- producers ------------------------------------------------------------------------------------

    def queue_control(self, packet: bytes) -> None:
        """Queue a packet that must arrive, in order."""
        self._queue_control(Outgoing(packet, raw=False))

    def queue_raw(self, data: bytes) -> None:
        """Queue bytes that are sent unchanged (handshake packets, frames), in order with the control packets."""
        if not (self._control or self._audio or self._picture or self._closed) and self.try_write(data):
            self.counters.control_packets += 1
        else:
            self._queue_control(Outgoing(data, raw=True))

    def queue_last(self, data: bytes) -> None:
        """Queue the last bytes, and close the outbox."""
        self.queue_raw(data)
        self.close()

    def queue_shared(self, head: bytes, body: bytes, group: object) -> None:
        """Queue raw bytes in two parts, in order with the control packets; the second is kept by reference.

        Args:
            head: the first part.
            body: the second part, which several outboxes may share.
            group: identifies them for :meth:`purge`.
        """
        self._queue_control(Outgoing(head, True, body, group))

    def purge(self, group: object) -> int:
        """Remove the queued packets of a group; returns their number."""
        kept = deque(item for item in self._control if item.group is not group)
        purged = len(self._control) - len(kept)
        if purged:
            size = sum(len(item.data) + len(item.body) for item in kept)
            self._count(size - self._control_bytes)
            self._control = kept
            self.counters.purged += purged
        return purged

    async def wait_until_below(self, max_bytes: int, max_messages: int) -> None:
        """Wait until the control lane holds at most this much, or until :meth:`release`."""
        while not self._is_released and not self._is_below(max_bytes, max_messages):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((max_bytes, max_messages, waiter))
            await waiter

    def release(self) -> None:
        """End all calls of :meth:`wait_until_below`, now and later: the connection is about to close."""
        self._is_released = True
        self.wake()

    def _is_below(self, max_bytes: int, max_messages: int) -> bool:
        return self._control_bytes + self.in_flight <= max_bytes and len(self._control) <= max_messages

    def wake(self) -> None:
        """Check all calls of :meth:`wait_until_below`; called by the writer when the transport accepted more."""
        if self._waiters:
            waiting, self._waiters = self._waiters, []
            for item in waiting:
                if self._is_released or self._is_below(item[0], item[1]):
                    resolve(item[2])
                else:
                    self._waiters.append(item)

    def queue_audio(self, packet: bytes, seconds: float) -> None:
        """Queue a packet with ``seconds`` of sound; drops the oldest sound when too much waits."""
        if self._closed:
            return
        self._audio.append(_Sound(packet, seconds))
        self._audio_seconds += seconds
        while self._audio_seconds > self.limits.audio_seconds and len(self._audio) > 1:
            self._audio_seconds -= self._audio.popleft().seconds
            self.counters.audio_dropped += 1
        self.counters.peak_audio_seconds = max(self.counters.peak_audio_seconds, self._audio_seconds)
        self.on_ready()

    def queue_frame(self, packet: bytes, prefix: bytes | None = None) -> None:
        """Put a frame into the slot, and drop the frame that still waits there.

        ``prefix`` is a packet that must be sent directly before the frame, such as a request to clear the screen.  It
        is kept when a newer frame replaces its own.
        """
        if self._closed:
            return
        if self._picture is not None:
            self.counters.video_dropped += 1
            prefix = prefix or self._picture.prefix
        self._picture = _Picture(packet, prefix)
        self.on_ready()

    async def wait_until_frame_taken(self) -> None:
        """Wait until the slot is empty.

        For a single producer whose frames build on each other: replacing one in the slot would break those after it.
        """
        while self._picture is not None:
            self._slot_waiter = asyncio.get_running_loop().create_future()
            try:
                await self._slot_waiter
            finally:
                self._slot_waiter = None

    def close(self) -> None:
        """Accept nothing more.  Queued control packets are still sent; media is dropped."""
        self._closed = True
        self._audio.clear()
        self._audio_seconds = 0.0
        self._picture = None
        resolve(self._slot_waiter)
        self.release()
        self.on_ready()

    def discard(self) -> None:
        """Drop everything queued: the transport is gone."""
        self._control.clear()
        self._count(-self._control_bytes)
        self.in_flight = 0
        self.wake()

    def detach(self) -> None:
        """Forget the writer, which is gone: it holds this outbox, and a cycle would keep both in memory."""
        self.on_ready, self.try_write, self._on_overflow = _ignore, _refuse, None

    # --- the writer -----------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is queued."""
        return not (self._control or self._audio or self._picture)

    @property
    def has_video(self) -> bool:
        """Whether a frame waits in the slot."""
        return self._picture is not None

    @property
    def finished(self) -> bool:
        """Whether the outbox is closed and the writer has taken everything."""
        return self._closed and self.idle

    @property
    def is_congested(self) -> bool:
        """Whether optional messages should skip this peer, because too much waits here or in all outboxes together."""
        limits = self.limits
        return not self._is_below(limits.soft_bytes, limits.soft_messages) or (
            self._budget.is_exhausted and bool(self._control)
        )

    @property
    def queued_messages(self) -> int:
        """Packets in the control lane."""
        return len(self._control)

    @property
    def queued_bytes(self) -> int:
        """Bytes in all lanes."""
        picture = len(self._picture.packet) if self._picture else 0
        return self._control_bytes + sum(len(sound.packet) for sound in self._audio) + picture

    def next_batch(self) -> list[Outgoing]:
        """Take the next batch, in sending order: sound, then control, then at most one video frame.

        The frame waits for a later batch when sound and control reach the byte budget.  It is taken as late as
        possible, so that a newer frame can replace it while the transport is busy.
        """
        batch: list[Outgoing] = []
        size = 0
        while self._audio and size < self.limits.batch_bytes:
            sound = self._audio.popleft()
            self._audio_seconds -= sound.seconds
            self.counters.audio_packets += 1
            batch.append(Outgoing(sound.packet, raw=False))
            size += len(sound.packet)
        while self._control and size < self.limits.batch_bytes:
            item = self._control.popleft()
            self.counters.control_packets += 1
            batch.append(item)
            size += len(item.data) + len(item.body)
            self._count(-len(item.data) - len(item.body))
        if self._picture is not None and size < self.limits.batch_bytes:
            if self._picture.prefix:
                batch.append(Outgoing(self._picture.prefix, raw=False))
            batch.append(Outgoing(self._picture.packet, raw=False))
            self.counters.video_frames += 1
            self._picture = None
            resolve(self._slot_waiter)
        self.wake()
        return batch

    # --- internals ------------------------------------------------------------------------------------

    def _queue_control(self, item: Outgoing) -> None:
        if self._closed:
            return
        self._control.append(item)
        self._count(len(item.data) + len(item.body))
        counters, limits = self.counters, self.limits
        counters.peak_control_bytes = max(counters.peak_control_bytes, self._control_bytes)
        counters.peak_control_messages = max(counters.peak_control_messages, len(self._control))
        if self._control_bytes > limits.control_bytes or len(self._control) > limits.control_messages:
            self._overflow()
        self.on_ready()

    def _count(self, change: int) -> None:
        self._control_bytes += change
        self._budget.used += change

    def _overflow(self) -> None:
        callback, self._on_overflow = self._on_overflow, None
        if callback is not None:
            callback()


def _ignore() -> None:
    """Stands in for the writer before there is one."""


def _refuse(_data: bytes) -> bool:
    """Stands in for the writer before there is one."""
    return False
