"""Whether text frames reach a viewer earlier if they are compressed."""

from __future__ import annotations

_SMOOTHING = 0.3
_MEMORY = 10.0
"""Seconds without a wait after which the link may have become fast."""
_SAVED = 0.7
"""Part of a text frame that compression saves, about (bench.picture)."""
_SECONDS = 100e-6
_SECONDS_PER_BYTE = 12e-9
"""Cost of compression and decompression: 1.7 ms for a frame of 139 KB."""


class TextLink:
    """Estimates the rate of one viewer's connection.

    ascii-chat's programs acknowledge nothing, so the only measure is how long a frame kept the transport full.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        """Bytes per second; 0 if the transport was never full."""
        self._sent = 0
        self._blocked_at = 0.0

    def record_sent(self, size: int) -> None:
        """Record a frame that was queued."""
        self._sent = size

    def record_block(self, seconds: float, now: float) -> None:
        """Record that the transport was full for some seconds and takes bytes again."""
        self._blocked_at = now
        if self._sent and seconds > 0:
            rate = self._sent / seconds
            self.rate = rate if not self.rate else self.rate + (rate - self.rate) * _SMOOTHING

    def wants_compression(self, size: int, now: float) -> bool:
        """Whether a frame of this many bytes arrives earlier compressed."""
        if now - self._blocked_at > _MEMORY:
            self.rate = 0.0
        return self.rate > 0 and size * _SAVED / self.rate > _SECONDS + size * _SECONDS_PER_BYTE
