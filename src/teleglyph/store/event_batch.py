"""Stores a batch of events in one transaction: replaces older versions and carries out deletions."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.event_removal import erase_from_group, hide_events, remove_events
from teleglyph.store.event_rows import (
    ADDRESS,
    NOT_DELETED,
    ROWS_PER_STATEMENT,
    event_row,
    placeholders,
    search_texts,
    tag_rows,
)
from teleglyph.store.groups import GroupChange, write_change
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent, decode_stored, is_hex
from teleglyph.wire.nostr.groups import (
    DIRECT_MESSAGES,
    group_of,
)

_MAX_REFERENCES = 50
_REFERENCE = re.compile(r"[0-9a-f]{8,64}")
_UNDELETABLE = frozenset({DELETION, VANISH})
"""Kinds that a deletion does not affect (NIP-09, NIP-62)."""


class Outcome(enum.Enum):
    """The result of storing an event."""

    STORED = enum.auto()
    DUPLICATE = enum.auto()
    OLDER = enum.auto()
    """A newer version is stored."""
    DELETED = enum.auto()
    """It was deleted before."""
    ABSENT = enum.auto()
    """It was only looked up, and is not stored."""
    OUT_OF_CONTEXT = enum.auto()
    """Its ``previous`` refers to events that are not stored."""


@dataclass(slots=True)
class EventBatch:
    """Stores events in one transaction; plain ones are gathered and inserted together."""

    connection: DatabaseConnection
    has_search: bool
    now: int
    waiting: list[NostrEvent] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    deleted: set[tuple[bytes, bytes]] = field(default_factory=set)

    def store(
        self, events: Sequence[NostrEvent], lookups: frozenset[int], changes: Mapping[int, Sequence[GroupChange]]
    ) -> list[Outcome]:
        ids = [bytes.fromhex(event.id) for event in events]
        for start in range(0, len(ids), ROWS_PER_STATEMENT):
            part = ids[start : start + ROWS_PER_STATEMENT]
            marks = placeholders(part)
            ended = self.connection.run(
                f"SELECT seq, body FROM events WHERE id IN ({marks}) AND expires_at <= ?", *part, self.now
            )
            remove_events(self.connection, [(seq, decode_stored(bytes(body))) for seq, body in ended])
            self.known.update(
                bytes(row[0]) for row in self.connection.run(f"SELECT id FROM events WHERE id IN ({marks})", *part)
            )
            self.deleted.update(
                (bytes(event_id), bytes(pubkey))
                for event_id, pubkey in self.connection.run(
                    f"SELECT id, pubkey FROM deleted_events WHERE id IN ({marks})", *part
                )
            )
        outcomes = []
        for place, (event, event_id) in enumerate(zip(events, ids, strict=True)):
            if event_id in self.known:
                outcomes.append(Outcome.DUPLICATE)
            elif place in lookups:
                outcomes.append(Outcome.ABSENT)
            else:
                outcomes.append(self._store(event, event_id))
                if outcomes[-1] is Outcome.STORED and place in changes:
                    self._change_groups(changes[place])
        self._flush()
        return outcomes

    def _change_groups(self, changes: Sequence[GroupChange]) -> None:
        """Write changes to groups; a new group's events begin with the one that created it, which is written now."""
        ((last,),) = self.connection.run("SELECT coalesce(max(seq), 0) FROM events")
        self._flush()
        for change in changes:
            write_change(self.connection, change, last + 1)
            erase_from_group(self.connection, change.id, [bytes.fromhex(event_id) for event_id in change.erased])

    def _store(self, event: NostrEvent, event_id: bytes) -> Outcome:
        pubkey = bytes.fromhex(event.pubkey)
        if event.kind not in _UNDELETABLE and any((event_id, key) in self.deleted for key in _deleters(event, pubkey)):
            return Outcome.DELETED
        if not self._is_in_context(event):
            return Outcome.OUT_OF_CONTEXT
        address = event.address
        if address is not None:
            self._flush()
            outcome = self._remove_older_version(event, pubkey, tag_key(address))
            if outcome is not Outcome.STORED:
                return outcome
        self.known.add(event_id)
        self.waiting.append(event)
        if event.kind == DELETION:
            self._flush()
            self._delete(event, pubkey)
        return Outcome.STORED

    def _is_in_context(self, event: NostrEvent) -> bool:
        """Whether the events that ``previous`` of a group's event refers to are stored (NIP-29)."""
        wanted = [value for tag in event.tags if tag[0] == "previous" for value in tag[1:]]
        group = group_of(event)
        if not wanted or group is None:
            return True
        if not self.connection.run("SELECT 1 FROM event_groups WHERE group_key = ?", tag_key(group)):
            return True
        if len(wanted) > _MAX_REFERENCES or not all(map(_REFERENCE.fullmatch, wanted)):
            return False
        self._flush()
        return all(
            self.connection.run(
                f"SELECT 1 FROM events WHERE id BETWEEN ? AND ? AND {NOT_DELETED} LIMIT 1",
                bytes.fromhex(value.ljust(64, "0")),
                bytes.fromhex(value.ljust(64, "f")),
            )
            for value in set(wanted)
        )

    def _remove_older_version(self, event: NostrEvent, pubkey: bytes, address: bytes) -> Outcome:
        """Remove the older version of an event, if there is one and the event may replace it."""
        key = (pubkey, event.kind, address)
        deleted = self.connection.run(
            "SELECT created_at FROM deleted_addresses WHERE pubkey = ? AND kind = ? AND address = ?", *key
        )
        if deleted and event.created_at <= deleted[0][0]:
            return Outcome.DELETED
        for seq, body, expires_at in self.connection.run(
            "SELECT seq, body, expires_at FROM events WHERE pubkey = ? AND kind = ? AND address = ?", *key
        ):
            old = decode_stored(bytes(body))
            has_ended = expires_at is not None and expires_at <= self.now
            if not has_ended and not event.replaces(old):
                return Outcome.OLDER
            self._remove([(seq, old)])
        return Outcome.STORED

    def _delete(self, request: NostrEvent, pubkey: bytes) -> None:
        """Delete the events of the request's author that it names (NIP-09)."""
        event_ids = sorted({bytes.fromhex(value) for value in request.values("e") if is_hex(value)})
        self.deleted.update((event_id, pubkey) for event_id in event_ids)
        self.connection.run_many(
            "INSERT INTO deleted_events (id, pubkey) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(event_id, pubkey) for event_id in event_ids],
        )
        for start in range(0, len(event_ids), ROWS_PER_STATEMENT):
            part = event_ids[start : start + ROWS_PER_STATEMENT]
            rows = self.connection.run(
                f"SELECT seq, id FROM events WHERE id IN ({placeholders(part)}) "
                f"AND kind NOT IN ({placeholders(_UNDELETABLE)}) "
                f"AND (pubkey = ? OR (kind IN ({placeholders(DIRECT_MESSAGES)}) AND EXISTS ("
                "SELECT 1 FROM event_tags AS named WHERE named.name = 'p' AND named.value = ? "
                "AND named.created_at = events.created_at AND named.seq = events.seq)))",
                *(*part, *_UNDELETABLE, pubkey, *DIRECT_MESSAGES, tag_key(request.pubkey)),
            )
            hide_events(self.connection, [seq for seq, _ in rows])
            self.known.difference_update(bytes(event_id) for _, event_id in rows)
        for value in set(request.values("a")):
            address = ADDRESS.fullmatch(value)
            if address is not None and address[2] == request.pubkey and int(address[1]) < 1 << 16:
                self._delete_address(pubkey, int(address[1]), tag_key(address[3]), request.created_at)

    def _delete_address(self, pubkey: bytes, kind: int, address: bytes, until: int) -> None:
        self.connection.run(
            "INSERT INTO deleted_addresses (pubkey, kind, address, created_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (pubkey, kind, address) DO UPDATE SET created_at = excluded.created_at "
            "WHERE excluded.created_at > deleted_addresses.created_at",
            *(pubkey, kind, address, until),
        )
        rows = self.connection.run(
            "SELECT seq, id FROM events WHERE pubkey = ? AND kind = ? AND address = ? AND created_at <= ?",
            *(pubkey, kind, address, until),
        )
        hide_events(self.connection, [seq for seq, _ in rows])
        self.known.difference_update(bytes(event_id) for _, event_id in rows)

    def _remove(self, events: list[tuple[int, NostrEvent]]) -> None:
        remove_events(self.connection, events)
        self.known.difference_update(bytes.fromhex(event.id) for _, event in events)

    def _flush(self) -> None:
        events, self.waiting = self.waiting, []
        if not events:
            return
        seqs = self.connection.allocate_keys("events", "seq", len(events))
        self.connection.run_many(
            "INSERT INTO events (seq, id, pubkey, created_at, kind, address, expires_at, body, audience, group_key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [event_row(event, seq) for event, seq in zip(events, seqs, strict=True)],
        )
        tags = [row for event, seq in zip(events, seqs, strict=True) for row in tag_rows(event, seq)]
        if tags:
            self.connection.run_many("INSERT INTO event_tags (name, value, created_at, seq) VALUES (?, ?, ?, ?)", tags)
        if self.has_search:
            self.connection.add_texts(search_texts(zip(seqs, events, strict=True)))


def write_vanished(connection: DatabaseConnection, pubkey: bytes, until: int) -> None:
    connection.run(
        "INSERT INTO vanished_authors (pubkey, until) VALUES (?, ?) ON CONFLICT (pubkey) "
        "DO UPDATE SET until = excluded.until WHERE excluded.until > vanished_authors.until",
        *(pubkey, until),
    )
    connection.run(
        "INSERT INTO event_erasures (pubkey, until, is_ban) VALUES (?, ?, 0) ON CONFLICT (pubkey, is_ban) "
        "DO UPDATE SET until = excluded.until WHERE excluded.until > event_erasures.until",
        *(pubkey, until),
    )


def _deleters(event: NostrEvent, author: bytes) -> list[bytes]:
    """Public keys that may delete an event: its author, and the recipients of a direct message (NIP-59)."""
    if event.kind not in DIRECT_MESSAGES:
        return [author]
    return [author, *(bytes.fromhex(value) for value in event.values("p") if is_hex(value))]
