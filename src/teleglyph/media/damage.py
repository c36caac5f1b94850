"""Decides when a damaged stream is given up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DamagePolicy:
    """How much may fail to decode before a stream is given up, counted from its last good frame.

    A stream joined in the middle decodes nothing before its next keyframe, which may take about 10 s.

    Attributes:
        seconds: of the film, if ``packets`` are reached as well.
        packets: a minimum, because a slide show has only one packet every few seconds.
        max_packets, max_bytes: bounds for any time stamps.
        read_errors: consecutive errors of the container; a damaged place causes a few.
    """

    seconds: float = 20.0
    packets: int = 60
    max_packets: int = 3000
    max_bytes: int = 64 << 20
    read_errors: int = 50


class Damage:
    """Counts the losses of one stream.

    Args:
        policy: when to give up.

    Attributes:
        lost: total packets that could not be decoded.
        in_a_row: packets since the last one that gave a frame.
    """

    def __init__(self, policy: DamagePolicy | None = None) -> None:
        self.lost = 0
        self._policy = policy or DamagePolicy()
        self._since: float | None = None
        self.in_a_row = 0
        self._bytes = 0

    def record_success(self) -> None:
        """Count a packet that gave a frame."""
        self._since = None
        self.in_a_row = self._bytes = 0

    def record_failure(self, seconds: float, size: int, *, failed: bool) -> bool:
        """Count a packet that gave no frame.

        Args:
            seconds: its time in the film.
            size: in bytes.
            failed: the decoder refused it, instead of waiting for more.

        Returns:
            Whether the stream should be given up.
        """
        self.lost += failed
        self._since = seconds if self._since is None else min(self._since, seconds)
        self.in_a_row += 1
        self._bytes += size
        policy = self._policy
        is_long = seconds - self._since >= policy.seconds and self.in_a_row >= policy.packets
        return is_long or self.in_a_row >= policy.max_packets or self._bytes >= policy.max_bytes
