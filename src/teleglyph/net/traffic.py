"""Limits and counters of one connection."""

from __future__ import annotations

from dataclasses import dataclass

from teleglyph.net.outbox import OutboxLimits


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of what one peer may send and of what may wait for it."""

    packets_per_second: float = 2000.0
    packet_burst: float = 500.0
    bytes_per_second: float = 64 * 2**20
    byte_burst: float = 8 * 2**20
    receive_buffer: int = 512 << 10
    """Unread bytes at which reading from the transport pauses."""
    outbox: OutboxLimits = OutboxLimits()


@dataclass(slots=True)
class Traffic:
    """Counters of one connection."""

    bytes_in: int = 0
    bytes_out: int = 0
    messages_in: int = 0
    throttled: int = 0
    """How often the reader paused because the peer sent or cost too much."""
