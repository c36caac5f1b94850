"""Decides whether a peer is still there and still reads.  Services call these functions at regular intervals."""

from __future__ import annotations

from typing import Protocol

from teleglyph.errors import ConnectionLostError, PeerError, PeerTimeoutError
from teleglyph.net.connection import Connection


class LivenessTimeouts(Protocol):
    """The times for which a service waits for a peer, in seconds."""

    @property
    def ping_after(self) -> float:
        """Silence after which a ping is sent."""

    @property
    def silence_timeout(self) -> float:
        """Silence, even after pings, after which a peer counts as gone."""

    @property
    def stall_timeout(self) -> float:
        """Time without accepting bytes after which a peer counts as no longer reading."""


_PROBE_INTERVAL = 5.0
"""Seconds between two probes of a peer that is read too slowly to notice whether it has left."""
_MAX_LATENESS = 0.5
"""Seconds by which samples may be late on a busy machine."""


class StallDetector:
    """Detects that this process itself was stopped, or that its machine was suspended.

    Bytes that peers sent meanwhile wait in the kernel, so that time must not count as their silence.

    Args:
        interval: seconds between two samples.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._sampled: float | None = None

    def sample(self, now: float) -> float:
        """Return the seconds for which the process was stopped since the last sample; 0.0 if it was not.

        Call it once in every interval.
        """
        sampled, self._sampled = self._sampled, now
        missing = 0.0 if sampled is None else now - sampled - self._interval
        return missing if missing > _MAX_LATENESS else 0.0


def timeout_error(connection: Connection, timeouts: LivenessTimeouts, now: float) -> PeerError | None:
    """The error with which a connection has to end because of a timeout; None if it may go on.

    Args:
        connection: to check.
        timeouts: how long it may be silent or blocked.
        now: as from ``time.monotonic``.
    """
    blocked, silence = connection.blocked_since, now - connection.last_received
    if blocked is not None and now - blocked > timeouts.stall_timeout:
        return PeerTimeoutError(f"{connection.peer} has stopped reading")
    if silence > timeouts.silence_timeout:
        return ConnectionLostError(f"{connection.peer} has been silent for {silence:.0f} s")
    return None


def needs_ping(connection: Connection, timeouts: LivenessTimeouts, now: float) -> bool:
    """Whether a peer has been silent for long enough to send a ping, and was not probed just now."""
    if connection.is_reading_paused:
        # The end of a connection waits behind unread bytes, but a peer that has left rejects the ping.
        return now - connection.last_probed > min(_PROBE_INTERVAL, timeouts.ping_after)
    is_silent = now - connection.last_received > timeouts.ping_after
    # Bytes sent to the peer prove nothing: a peer that only listens has to be probed as well.
    return is_silent and now - connection.last_probed > timeouts.ping_after / 2
