"""Limits of the discovery service."""

from __future__ import annotations

import enum
from dataclasses import dataclass

HOUR = 3600.0
DAY = 24 * HOUR


class RequestKind(enum.Enum):
    """Kinds of requests; each has its own rate."""

    CREATE = "create"
    LOOKUP = "lookup"
    JOIN = "join"
    CONTROL = "control"
    """Leaving, ending, reconnecting and announcing."""
    NAME = "name"
    """Reserving and releasing names."""
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """Limits; times in seconds, and rates per minute and address (IPv6: a /64)."""

    max_sessions: int = 100_000
    sessions_per_address: int = 64
    """Sessions that one address may have created."""
    creates: int = 10
    lookups: int = 30
    joins: int = 20
    controls: int = 100
    names: int = 10
    probes: int = 6
    relays: int = 120
    """Messages to others, per minute and connection."""
    relay_bytes: int = 256 << 10
    """Bytes of messages to others, per minute and connection."""
    max_participants: int = 16
    """Of a session whose service checks who joins."""
    max_callers: int = 64
    """Participants at once of a session whose host decides who joins; they leave when they have reached the host."""
    callers_per_address: int = 8
    """The same, from one address."""
    host_grace: float = 120.0
    """Until a host that lost its connection counts as gone."""
    participant_grace: float = 45.0
    """Until a participant with a proven key that lost its connection has left."""
    caller_idle: float = 300.0
    """Until a participant that sends nothing to the host has to leave."""
    idle: float = 3 * HOUR
    """Until a session ends whose host is not connected and in which nothing happens."""
    lifetime: float = DAY
    """Until a session expires whose host is connected; renewed while it is."""
    held: float = 30 * DAY
    """Until another host may have the name of an ended session."""
    touch_interval: float = 600.0
    """Between two notes in the database that hosts are connected."""

    def rate(self, kind: RequestKind) -> int:
        """Requests of a kind per minute."""
        return {
            RequestKind.CREATE: self.creates,
            RequestKind.LOOKUP: self.lookups,
            RequestKind.JOIN: self.joins,
            RequestKind.CONTROL: self.controls,
            RequestKind.NAME: self.names,
            RequestKind.PROBE: self.probes,
        }[kind]
