"""The parts of the relay that all its sessions share."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from teleglyph.events.group_roles import may_read
from teleglyph.events.groups import Groups
from teleglyph.events.ingest import Ingest
from teleglyph.events.limits import EventLimits
from teleglyph.events.matcher import Matcher
from teleglyph.events.subscription import Subscription
from teleglyph.events.sync import SyncLedger
from teleglyph.net import Connection, SlidingWindow
from teleglyph.store.events import EventStore
from teleglyph.wire.nostr.event import NostrEvent


@dataclass(slots=True)
class EventCounters:
    """Totals since the start."""

    published: int = 0
    """New events."""
    delivered: int = 0
    """Live events that were queued for a client."""
    subscriptions_ended: int = 0
    """Because their client was too slow."""
    events_purged: int = 0
    """Queued events that were dropped with their subscription."""
    closed_as_slow: int = 0
    expired: int = 0


@dataclass(slots=True)
class RelayState:
    """The relay as its sessions see it.

    Attributes:
        groups: None if the relay has no groups.
        request_bytes: size of all requests that wait for their answers.
        query_seconds: reader time of the database that clients have used.
    """

    store: EventStore
    limits: EventLimits
    groups: Groups | None
    ingest: Ingest
    vanish_rate: SlidingWindow
    counters: EventCounters = field(default_factory=EventCounters)
    matcher: Matcher[Subscription] = field(default_factory=Matcher)
    sync_ledger: SyncLedger = field(default_factory=SyncLedger)
    request_bytes: int = 0
    query_seconds: float = 0.0

    def charge_query(self, connection: Connection, seconds: float) -> None:
        """Count reader time of the database, and charge it to the connection that caused it."""
        self.query_seconds += seconds
        connection.charge(seconds, elsewhere=True)

    def may_read(self, event: NostrEvent, readers: Set[str]) -> bool:
        """Whether a client that proved these public keys may read an event."""
        if self.groups is not None:
            return self.groups.may_read(event, readers)
        return may_read(event, None, readers)
