"""Whether a peer is still there, and still reads: judged by whoever looks at its connection now and then."""

from __future__ import annotations

from typing import Protocol

from teleglyph.errors import ConnectionLostError, PeerError, PeerTimeoutError
from teleglyph.net.connection import Connection


class LivenessTimeouts(Protocol):
    """How long a service waits for a peer; seconds."""

    @property
    def ping_after(self) -> float:
        """Silence after which a ping goes out."""

    @property
    def silence_timeout(self) -> float:
        """Silence, also to pings, after which a peer counts as gone."""

    @property
    def stall_timeout(self) -> float:
        """A peer that takes no bytes for so long has stopped reading."""


_BEHIND = 5.0
"""Seconds between two questions to a peer that is read too slowly to see whether it has left."""
_LATE = 0.5
"""Seconds by which looks are late on a busy machine."""


class Absences:
    """Notices when this process itself was not there: stopped, or on a machine that stood still.

    What peers sent meanwhile waits in the kernel, so their silence is none.

    Args:
        interval: seconds between two looks.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._looked: float | None = None

    def look(self, now: float) -> float:
        """Look, once in every interval; returns the seconds that are missing since the last look, 0.0 if none are."""
        looked, self._looked = self._looked, now
        missing = 0.0 if looked is None else now - looked - self._interval
        return missing if missing > _LATE else 0.0


def overdue(connection: Connection, patience: LivenessTimeouts, now: float) -> PeerError | None:
    """Why a connection has to end, if it has.

    Args:
        connection: to be judged.
        patience: how long it may be silent.
        now: as ``time.monotonic`` says.
    """
    blocked, silence = connection.blocked_since, now - connection.last_received
    if blocked is not None and now - blocked > patience.stall_timeout:
        return PeerTimeoutError(f"{connection.peer} has stopped reading")
    if silence > patience.silence_timeout:
        return ConnectionLostError(f"{connection.peer} has been silent for {silence:.0f} s")
    return None


def needs_ping(connection: Connection, patience: LivenessTimeouts, now: float) -> bool:
    """Whether a peer has been silent for long enough to be asked for a sign of life, and was not asked just now."""
    if connection.is_reading_paused:
        # The end of a connection waits behind what was sent before.  But whoever has left refuses what it gets.
        return now - connection.last_asked > min(_BEHIND, patience.ping_after)
    is_silent = now - connection.last_received > patience.ping_after
    # What was sent to it says nothing: who only listens is asked as well.
    return is_silent and now - connection.last_asked > patience.ping_after / 2
