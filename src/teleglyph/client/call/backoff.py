"""How long to wait between two attempts to reach a server again."""

from __future__ import annotations

from collections.abc import Callable

from teleglyph.errors import AuthenticationError, HandshakeError, PeerError, VerificationError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
UNANSWERED_PAUSES = (0.2, 0.4, 0.8, 1.2, 1.6)
"""Seconds before each further attempt when a server ends the connection before its first byte.

ascii-chat's server does so for about two seconds after somebody has left, but not every time.
"""
_SPREAD = 0.2


class Attempts:
    """Counts attempts since the last success and doubles the pauses between them.

    Args:
        limit: attempts before giving up; -1 never gives up, 0 never tries again.
        random: a number from 0 to 1; spreads the pauses, so that many clients do not come back in the same moment.
    """

    def __init__(self, limit: int, random: Callable[[], float]) -> None:
        self.number = 0
        """Attempts since the last success."""
        self._limit = limit
        self._random = random

    def succeeded(self) -> None:
        """The server let us in: begin anew."""
        self.number = 0

    def next_pause(self, error: PeerError) -> float | None:
        """Seconds to wait before the next attempt, or None if there is no use in one."""
        if isinstance(error, AuthenticationError | VerificationError | HandshakeError):
            return None
        if self._limit >= 0 and self.number >= self._limit:
            return None
        pause = min(FIRST_PAUSE * 2.0**self.number, LONGEST_PAUSE)
        self.number += 1
        return pause * (1 + _SPREAD * (2 * self._random() - 1))
