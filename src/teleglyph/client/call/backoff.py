"""The pauses between attempts to reach a server."""

from __future__ import annotations

from collections.abc import Callable

from teleglyph.errors import AuthenticationError, CallRoomError, HandshakeError, PeerError, VerificationError

FIRST_PAUSE, MAX_PAUSE = 0.5, 10.0
"""In seconds."""
UNANSWERED_PAUSES = (0.2, 0.4, 0.8, 1.2, 1.6)
"""Seconds before each retry when a server closes the connection before its first byte.

ascii-chat's server sometimes does so for about two seconds after a participant has left.
"""
_JITTER = 0.2


class ReconnectBackoff:
    """Exponential backoff with jitter.

    Args:
        limit: attempts before giving up; -1 never gives up, 0 never retries.
        random: returns a number from 0 to 1; spreads the pauses so that clients do not reconnect all at once.
    """

    def __init__(self, limit: int, random: Callable[[], float]) -> None:
        self.number = 0
        """Attempts since the last success."""
        self._limit = limit
        self._random = random

    def reset(self) -> None:
        """Start again after a success."""
        self.number = 0

    def next_pause(self, error: PeerError) -> float | None:
        """Seconds to wait before the next attempt; None to give up."""
        if isinstance(error, AuthenticationError | CallRoomError | HandshakeError | VerificationError):
            return None
        if self._limit >= 0 and self.number >= self._limit:
            return None
        pause = min(FIRST_PAUSE * 2.0**self.number, MAX_PAUSE)
        self.number += 1
        return pause * (1 + _JITTER * (2 * self._random() - 1))
