"""Nostr events in a database (docs/protocol/nostr.md).

A batch of events is stored in one transaction, in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Future

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database
from teleglyph.store.event_batch import EventBatch, Outcome, write_vanished
from teleglyph.store.event_queries import Found, count_events, event_bodies, find_events, sync_records
from teleglyph.store.event_removal import erase_group_slice, remove_expired
from teleglyph.store.event_rows import NOT_DELETED, ROWS_PER_STATEMENT, search_texts
from teleglyph.store.groups import GroupChange
from teleglyph.store.query_queue import SERVER, QueryOwner
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import NostrEvent, decode_stored
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.negentropy import Records, respond

__all__ = ["MAX_VALUES", "EventStore", "Found", "Outcome"]

MAX_VALUES = 20_000
"""In all lists of one filter together; SQLite accepts 32766 in a statement."""


class EventStore:
    """Stores and finds events.

    Args:
        database: holds the events.
        has_search: index the words of contents.
    """

    def __init__(self, database: Database, *, has_search: bool = True) -> None:
        self.database = database
        self.has_search = has_search
        if has_search:
            self._index_all()

    def _index_all(self) -> None:
        """Index the words of all events if the index is empty, as in a database from before there was one."""
        seq = 0
        while page := self.database.write(lambda connection, seq=seq: _index_page(connection, seq)).result():  # type: ignore[misc]
            seq = page

    def store_events(
        self,
        events: Sequence[NostrEvent],
        lookups: frozenset[int] = frozenset(),
        changes: Mapping[int, Sequence[GroupChange]] | None = None,
        now: float | None = None,
    ) -> Future[list[Outcome]]:
        """Store events whose signatures were checked.

        Args:
            events: not ephemeral.
            lookups: indices of ``events`` that are only looked up, not stored.
            changes: by index, the changes to groups that are made with an event if it is new.
            now: Unix seconds; events that have expired by then count as absent.  None: no event has expired.

        Returns:
            the outcome of each event, once it is durable.
        """
        size = sum(len(event.text) for index, event in enumerate(events) if index not in lookups)
        changes = changes or {}
        moment = 0 if now is None else int(now)
        return self.database.write(
            lambda connection: EventBatch(connection, self.has_search, moment).store(events, lookups, changes),
            size=size,
        )

    def store_vanish_request(
        self, request: NostrEvent, changes: Sequence[GroupChange] = (), now: float | None = None
    ) -> Future[list[Outcome]]:
        """Store a request to vanish (NIP-62), and record that its author's events are to be erased.

        Args:
            request: checked, and signed by the author who wants to vanish.
            changes: to groups, as in :meth:`store_events`.
            now: as in :meth:`store_events`.
        """
        moment = 0 if now is None else int(now)

        def work(connection: DatabaseConnection) -> list[Outcome]:
            outcomes = EventBatch(connection, self.has_search, moment).store([request], frozenset(), {0: changes})
            if outcomes == [Outcome.STORED]:
                write_vanished(connection, bytes.fromhex(request.pubkey), request.created_at)
            return outcomes

        return self.database.write(work, size=len(request.text))

    def find(
        self,
        filters: Sequence[Filter],
        default_limit: int,
        max_limit: int,
        now: float,
        readers: Set[str] | None = None,
        owner: QueryOwner = SERVER,
    ) -> Future[list[Found]]:
        """Find events: each filter's limit is applied, then the results are merged and sorted.

        Args:
            filters: each has at most MAX_VALUES values.
            default_limit: for filters without a limit.
            max_limit: for any filter.
            now: Unix seconds; events that expired before are not found.
            readers: public keys that the client has proved; None for the relay itself, which may read everything.
            owner: the client whose turn it takes.
        """
        return self.database.read(
            lambda connection: find_events(connection, filters, default_limit, max_limit, now, readers), owner
        )

    def bodies(
        self, found: Sequence[Found], readers: Set[str] | None = None, owner: QueryOwner = SERVER
    ) -> Future[list[tuple[bytes, bytes]]]:
        """The ids and texts of found events, in that order; without those that these readers may no longer read."""
        return self.database.read(lambda connection: event_bodies(connection, found, readers), owner)

    def count(
        self,
        filters: Sequence[Filter],
        now: float,
        hll_offset: int | None = None,
        readers: Set[str] | None = None,
        owner: QueryOwner = SERVER,
    ) -> Future[tuple[int, str]]:
        """Count the events that match filters and that these readers may read, regardless of limits.

        Returns:
            the number, and the HyperLogLog registers of the authors in hexadecimal digits, empty without an offset.
        """
        return self.database.read(lambda connection: count_events(connection, filters, now, hll_offset, readers), owner)

    def records(
        self, wanted: Filter, maximum: int, now: float, readers: Set[str] | None = None, owner: QueryOwner = SERVER
    ) -> Future[Records]:
        """Times and ids of the events that match a filter and that these readers may read, to be synced (NIP-77).

        Raises:
            EventRefusedError: from the future: there are more than ``maximum``.
        """
        return self.database.read(lambda connection: sync_records(connection, wanted, maximum, now, readers), owner)

    def reconcile(self, records: Records, message: bytes, max_bytes: int, owner: QueryOwner = SERVER) -> Future[bytes]:
        """Answer a sync message off the event loop; see :mod:`teleglyph.wire.nostr.negentropy`."""
        return self.database.read(lambda _: respond(records, message, max_bytes), owner)

    def erase_group_slice(self, group: str) -> Future[int]:
        """Remove some of the events that came since a group was created, and return how many.

        Older events with the same id in their ``h`` stay: they belonged to no group.
        """
        return self.database.write(lambda connection: erase_group_slice(connection, tag_key(group)))

    def remove_expired(self, now: float) -> Future[int]:
        """Remove some of the expired and deleted events, and return how many."""
        return self.database.write(lambda connection: remove_expired(connection, now))

    def events_after(self, seq: int, limit: int) -> Future[list[tuple[int, bytes]]]:
        """A page of all events in order of arrival, as sequence numbers and texts."""
        return self.database.read(
            lambda connection: [
                (place, bytes(body))
                for place, body in connection.run(
                    f"SELECT seq, body FROM events WHERE seq > ? AND {NOT_DELETED} ORDER BY seq LIMIT ?", seq, limit
                )
            ]
        )


def _index_page(connection: DatabaseConnection, seq: int) -> int:
    """Index the events after a sequence number, unless the index has entries at the start.

    Returns:
        the last event's sequence number; 0 at the end.
    """
    if seq == 0 and connection.run("SELECT 1 FROM event_words LIMIT 1"):
        return 0
    rows = connection.run("SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", seq, ROWS_PER_STATEMENT)
    connection.add_texts(search_texts((place, decode_stored(bytes(body))) for place, body in rows))
    return int(rows[-1][0]) if rows else 0
