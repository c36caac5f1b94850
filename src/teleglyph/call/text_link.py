"""Whether frames of text reach a viewer earlier if they are compressed."""

from __future__ import annotations

_SMOOTHING = 0.3
_MEMORY = 10.0
"""Seconds without a wait after which the link may have become a fast one."""
_SAVED = 0.7
"""Part of a frame of text that compression saves, about (bench.picture)."""
_SECONDS = 100e-6
_SECONDS_PER_BYTE = 12e-9
"""What compression and decompression cost: 1.7 ms for a frame of 139 KB."""


class TextLink:
    """The rate of one viewer's connection, as far as it holds frames up.

    ascii-chat's programs acknowledge nothing; what is known of their links is for how long a frame kept the transport
    from taking more.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        """Bytes a second; 0 while nothing was ever held up."""
        self._sent = 0
        self._blocked_at = 0.0

    def record_sent(self, size: int) -> None:
        """Note a frame that was put into the outbox."""
        self._sent = size

    def record_block(self, seconds: float, now: float) -> None:
        """Note that the transport takes bytes again, after so long a time."""
        self._blocked_at = now
        if self._sent and seconds > 0:
            rate = self._sent / seconds
            self.rate = rate if not self.rate else self.rate + (rate - self.rate) * _SMOOTHING

    def wants_compression(self, size: int, now: float) -> bool:
        """Whether a frame of so many bytes arrives earlier compressed."""
        if now - self._blocked_at > _MEMORY:
            self.rate = 0.0
        return self.rate > 0 and size * _SAVED / self.rate > _SECONDS + size * _SECONDS_PER_BYTE
