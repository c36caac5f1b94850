"""Notices that a router has restarted: its epoch, the age of its mappings, must grow as fast as our clock."""

from __future__ import annotations


class EpochCheck:
    """Compares a router's epoch with our clock (RFC 6887, section 8.5; RFC 6886, section 3.6)."""

    def __init__(self) -> None:
        self._previous: tuple[float, int] | None = None

    def is_continuous(self, epoch: int, now: float) -> bool:
        """Whether the router still has the mappings that it had at the previous call; True at the first call.

        Args:
            epoch: of a response, in seconds.
            now: when it came; seconds of a clock that never goes back.
        """
        previous, self._previous = self._previous, (now, epoch)
        if previous is None:
            return True
        ours, theirs = now - previous[0], epoch - previous[1]
        if theirs < -1:
            return False
        # Clocks may differ by a sixteenth, and both sides round to seconds.
        return ours + 2 >= theirs - theirs / 16 and theirs + 2 >= ours - ours / 16
