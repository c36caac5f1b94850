"""When a stream counts as beyond repair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DamagePolicy:
    """How much may be decoded in vain before a stream is given up, counted from its last good frame.

    A stream that is joined in its middle decodes nothing before its next keyframe, which may take 10 s or so.

    Attributes:
        seconds: of the film, if ``packets`` are reached as well.
        packets: few packets say nothing, however long they last: a slide show has one every few seconds.
        most_packets, most_bytes: whatever the time stamps say.
        read_errors: in a row, of the container; a damaged place costs a few.
    """

    seconds: float = 20.0
    packets: int = 60
    most_packets: int = 3000
    most_bytes: int = 64 << 20
    read_errors: int = 50


class Damage:
    """Counts what one stream loses.

    Args:
        policy: when to give up.

    Attributes:
        lost: packets that could not be decoded, over all.
        in_a_row: packets since the last one that gave a frame.
    """

    def __init__(self, policy: DamagePolicy | None = None) -> None:
        self.lost = 0
        self._policy = policy or DamagePolicy()
        self._since: float | None = None
        self.in_a_row = 0
        self._bytes = 0

    def decoded(self) -> None:
        """A packet gave a frame."""
        self._since = None
        self.in_a_row = self._bytes = 0

    def fruitless(self, seconds: float, size: int, *, failed: bool) -> bool:
        """A packet gave no frame.

        Args:
            seconds: its time in the film.
            size: in bytes.
            failed: the decoder refused it; decoders may also just wait for more.

        Returns:
            Whether the stream should be given up.
        """
        self.lost += failed
        self._since = seconds if self._since is None else min(self._since, seconds)
        self.in_a_row += 1
        self._bytes += size
        policy = self._policy
        is_long = seconds - self._since >= policy.seconds and self.in_a_row >= policy.packets
        return is_long or self.in_a_row >= policy.most_packets or self._bytes >= policy.most_bytes
