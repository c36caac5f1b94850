"""Nostr events: what is kept, what replaces what, what was deleted, and finding it again (spec event-relay 4 to 9).

Everything about one batch of events happens in one transaction, in the order in which they came.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.errors import EventRefusedError
from teleglyph.store.database import Base, Database
from teleglyph.store.groups import GroupChange, write_change
from teleglyph.store.questions import SERVER, Asker
from teleglyph.store.readers import visible_to
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent, decode_kept, is_hex
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import (
    DESCRIPTIONS,
    DIRECT_MESSAGES,
    Audience,
    audience_of,
    audience_of_kind,
    group_of,
    is_management,
)
from teleglyph.wire.nostr.negentropy import Records, respond
from teleglyph.wire.nostr.search_words import encode_words, wanted_words, words_of

_SWEEP = 500
_SLICE_BYTES = 256 << 10
"""Of the texts of the events that one transaction removes; a tag has 7 bytes or more, and a row of its own."""
_GONE = 0
"""``expires_at`` of events that were deleted and whose rows are still to be removed, a slice at a time."""
_CHUNK = 500
_REFERENCE = re.compile(r"[0-9a-f]{8,64}")
_IS_HERE = f"(expires_at IS NULL OR expires_at <> {_GONE})"
"""Condition on events: they were not deleted."""
_MAX_REFERENCES = 50
_NOT_DELETED = frozenset({DELETION, VANISH})
"""Kinds that no deletion takes back (NIP-09, NIP-62)."""
_ADDRESS = re.compile(r"([0-9]{1,5}):([0-9a-f]{64}):(.*)", re.DOTALL)
MAX_VALUES = 20_000
"""In all lists of one filter together; SQLite takes 32766 in a statement."""


class Outcome(enum.Enum):
    """What became of an event."""

    STORED = enum.auto()
    DUPLICATE = enum.auto()
    OLDER = enum.auto()
    """A newer version is there."""
    DELETED = enum.auto()
    """Its author deleted it."""
    ABSENT = enum.auto()
    """It was only asked after, and is not there."""
    OUT_OF_CONTEXT = enum.auto()
    """It refers in ``previous`` to events that are not here."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an event is that a subscription asked for; sorted as they are delivered."""

    created_at: int
    id: bytes
    seq: int


class EventStore:
    """Events in a database.

    Args:
        database: where they are.
        has_search: keeps what is needed to find words in contents.
    """

    def __init__(self, database: Database, *, has_search: bool = True) -> None:
        self.database = database
        self.has_search = has_search
        if has_search:
            self._index_all()

    def _index_all(self) -> None:
        """Find the words of all events if none were found yet: the database is older than its index, or had none."""
        seq = 0
        while page := self.database.write(lambda base, seq=seq: _index_page(base, seq)).result():  # type: ignore[misc]
            seq = page

    def put(
        self,
        events: Sequence[NostrEvent],
        asked: frozenset[int] = frozenset(),
        changes: Mapping[int, Sequence[GroupChange]] | None = None,
        now: float | None = None,
    ) -> Future[list[Outcome]]:
        """Keep events, whose proofs were checked.

        Args:
            events: not ephemeral.
            asked: places of those in ``events`` that are not to be kept, but only asked after.
            changes: by the place of an event what changes about a group with it, if it is new.
            now: Unix seconds; what has expired by then counts as absent.  None: nothing has.

        Returns:
            what became of each, when that is durable.
        """
        size = sum(len(event.text) for place, event in enumerate(events) if place not in asked)
        changes = changes or {}
        moment = 0 if now is None else int(now)
        return self.database.write(
            lambda base: _Batch(base, self.has_search, moment).put(events, asked, changes), size=size
        )

    def vanish(
        self, request: NostrEvent, changes: Sequence[GroupChange] = (), now: float | None = None
    ) -> Future[list[Outcome]]:
        """Keep a request to vanish (NIP-62).  What it asks for is written down with it, to be erased step by step.

        Args:
            request: checked already.
            changes: about groups, as with :meth:`put`.
            now: Unix seconds, as with :meth:`put`.
        """
        moment = 0 if now is None else int(now)

        def work(base: Base) -> list[Outcome]:
            outcomes = _Batch(base, self.has_search, moment).put([request], frozenset(), {0: changes})
            if outcomes == [Outcome.STORED]:
                _write_vanished(base, bytes.fromhex(request.pubkey), request.created_at)
            return outcomes

        return self.database.write(work, size=len(request.text))

    def find(
        self,
        filters: Sequence[Filter],
        default_limit: int,
        max_limit: int,
        now: float,
        readers: Set[str] | None = None,
        asker: Asker = SERVER,
    ) -> Future[list[Found]]:
        """Where the events are that filters ask for: each filter's limit applied, then merged and sorted.

        Args:
            filters: each has at most MAX_VALUES values.
            default_limit: of a filter that has none.
            max_limit: that no filter exceeds.
            now: Unix seconds; what ended before is not found.
            readers: public keys that whoever asks has proved; None for the relay itself, which sees everything.
            asker: whose turn it takes, as with the other questions.
        """
        return self.database.read(lambda base: _find(base, filters, default_limit, max_limit, now, readers), asker)

    def bodies(
        self, found: Sequence[Found], readers: Set[str] | None = None, asker: Asker = SERVER
    ) -> Future[list[tuple[bytes, bytes]]]:
        """The ids and texts of events that were found, in that order, without those that are gone meanwhile, or are
        no longer for these readers.
        """
        return self.database.read(lambda base: _bodies(base, found, readers), asker)

    def count(
        self,
        filters: Sequence[Filter],
        now: float,
        hll_offset: int | None = None,
        readers: Set[str] | None = None,
        asker: Asker = SERVER,
    ) -> Future[tuple[int, str]]:
        """How many events filters ask for that these readers may see, limits aside; and the HyperLogLog registers of
        their authors as hexadecimal digits, empty without an offset.
        """
        return self.database.read(lambda base: _count(base, filters, now, hll_offset, readers), asker)

    def records(
        self, wanted: Filter, most: int, now: float, readers: Set[str] | None = None, asker: Asker = SERVER
    ) -> Future[Records]:
        """Times and ids of the events that a filter asks for and these readers may see, to be reconciled (NIP-77).

        Args:
            wanted: the filter.
            most: events.
            now: Unix seconds; what ended before is left out.
            readers: public keys that the client has proved; None for the relay itself.
            asker: whose turn it takes.

        Raises:
            EventRefusedError: from the future: there are more.
        """
        return self.database.read(lambda base: _records(base, wanted, most, now, readers), asker)

    def reconcile(self, records: Records, message: bytes, max_bytes: int, asker: Asker = SERVER) -> Future[bytes]:
        """Answer a message of a reconciliation beside the event loop; see :mod:`teleglyph.wire.nostr.negentropy`."""
        return self.database.read(lambda _: respond(records, message, max_bytes), asker)

    def erase_group(self, group: str) -> Future[int]:
        """Remove some of the events that came since a group was made; how many it were.

        What had the same id in its ``h`` before stays: it was written to nobody's group.
        """
        return self.database.write(lambda base: _erase_group(base, tag_key(group)))

    def sweep(self, now: float) -> Future[int]:
        """Remove some events that have ended; how many it were."""
        return self.database.write(lambda base: _sweep(base, now))

    def after(self, seq: int, number: int) -> Future[list[tuple[int, bytes]]]:
        """A page of all events in the order in which they came, with their places."""
        return self.database.read(
            lambda base: [
                (place, bytes(body))
                for place, body in base.run(
                    f"SELECT seq, body FROM events WHERE seq > ? AND {_IS_HERE} ORDER BY seq LIMIT ?", seq, number
                )
            ]
        )


def _tag_rows(event: NostrEvent, seq: int) -> list[tuple[str, bytes, int, int]]:
    keys = {(tag[0], tag_key(tag[1])) for tag in event.tags if len(tag) > 1 and len(tag[0]) == 1 and tag[0].isalpha()}
    if group_of(event) is None:
        # Several groups are none: no question for one of them finds the event.
        keys = {key for key in keys if key[0] != "h"}
    return [(name, value, event.created_at, seq) for name, value in sorted(keys) if name.isascii()]


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Batch:
    """Events on their way into the database; plain ones are gathered and written together."""

    base: Base
    has_search: bool
    now: int
    waiting: list[NostrEvent] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    deleted: set[tuple[bytes, bytes]] = field(default_factory=set)

    def put(
        self, events: Sequence[NostrEvent], asked: frozenset[int], changes: Mapping[int, Sequence[GroupChange]]
    ) -> list[Outcome]:
        ids = [bytes.fromhex(event.id) for event in events]
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            marks = _marks(part)
            ended = self.base.run(
                f"SELECT seq, body FROM events WHERE id IN ({marks}) AND expires_at <= ?", *part, self.now
            )
            remove_events(self.base, [(seq, decode_kept(bytes(body))) for seq, body in ended])
            self.known.update(
                bytes(row[0]) for row in self.base.run(f"SELECT id FROM events WHERE id IN ({marks})", *part)
            )
            self.deleted.update(
                (bytes(number), bytes(pubkey))
                for number, pubkey in self.base.run(
                    f"SELECT id, pubkey FROM deleted_events WHERE id IN ({marks})", *part
                )
            )
        outcomes = []
        for place, (event, number) in enumerate(zip(events, ids, strict=True)):
            if number in self.known:
                outcomes.append(Outcome.DUPLICATE)
            elif place in asked:
                outcomes.append(Outcome.ABSENT)
            else:
                outcomes.append(self._put(event, number))
                if outcomes[-1] is Outcome.STORED and place in changes:
                    self._change_groups(changes[place])
        self._flush()
        return outcomes

    def _change_groups(self, changes: Sequence[GroupChange]) -> None:
        """A new group's events begin with the one that made it, which is written now."""
        ((last,),) = self.base.run("SELECT coalesce(max(seq), 0) FROM events")
        self._flush()
        for change in changes:
            write_change(self.base, change, last + 1)
            _erase_from_group(self.base, change.id, [bytes.fromhex(number) for number in change.erased])

    def _put(self, event: NostrEvent, number: bytes) -> Outcome:
        pubkey = bytes.fromhex(event.pubkey)
        if event.kind not in _NOT_DELETED and any((number, key) in self.deleted for key in _deleters(event, pubkey)):
            return Outcome.DELETED
        if not self._is_in_context(event):
            return Outcome.OUT_OF_CONTEXT
        address = event.address
        if address is not None:
            self._flush()
            outcome = self._make_way(event, pubkey, tag_key(address))
            if outcome is not Outcome.STORED:
                return outcome
        self.known.add(number)
        self.waiting.append(event)
        if event.kind == DELETION:
            self._flush()
            self._delete(event, pubkey)
        return Outcome.STORED

    def _is_in_context(self, event: NostrEvent) -> bool:
        """Whether the events that one in a group refers to in ``previous`` are here (NIP-29)."""
        wanted = [value for tag in event.tags if tag[0] == "previous" for value in tag[1:]]
        group = group_of(event)
        if not wanted or group is None:
            return True
        if not self.base.run("SELECT 1 FROM event_groups WHERE group_key = ?", tag_key(group)):
            return True
        if len(wanted) > _MAX_REFERENCES or not all(map(_REFERENCE.fullmatch, wanted)):
            return False
        self._flush()
        return all(
            self.base.run(
                f"SELECT 1 FROM events WHERE id BETWEEN ? AND ? AND {_IS_HERE} LIMIT 1",
                bytes.fromhex(value.ljust(64, "0")),
                bytes.fromhex(value.ljust(64, "f")),
            )
            for value in set(wanted)
        )

    def _make_way(self, event: NostrEvent, pubkey: bytes, address: bytes) -> Outcome:
        """Remove the older version of an event, if there is one and the event may take its place."""
        key = (pubkey, event.kind, address)
        deleted = self.base.run(
            "SELECT created_at FROM deleted_addresses WHERE pubkey = ? AND kind = ? AND address = ?", *key
        )
        if deleted and event.created_at <= deleted[0][0]:
            return Outcome.DELETED
        for seq, body, expires_at in self.base.run(
            "SELECT seq, body, expires_at FROM events WHERE pubkey = ? AND kind = ? AND address = ?", *key
        ):
            old = decode_kept(bytes(body))
            has_ended = expires_at is not None and expires_at <= self.now
            if not has_ended and not event.replaces(old):
                return Outcome.OLDER
            self._remove([(seq, old)])
        return Outcome.STORED

    def _delete(self, request: NostrEvent, pubkey: bytes) -> None:
        """NIP-09: what a request names of its own author's."""
        numbers = sorted({bytes.fromhex(value) for value in request.values("e") if is_hex(value)})
        self.deleted.update((number, pubkey) for number in numbers)
        self.base.run_many(
            "INSERT INTO deleted_events (id, pubkey) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(number, pubkey) for number in numbers],
        )
        for start in range(0, len(numbers), _CHUNK):
            part = numbers[start : start + _CHUNK]
            rows = self.base.run(
                f"SELECT seq, id FROM events WHERE id IN ({_marks(part)}) AND kind NOT IN ({_marks(_NOT_DELETED)}) "
                f"AND (pubkey = ? OR (kind IN ({_marks(DIRECT_MESSAGES)}) AND EXISTS ("
                "SELECT 1 FROM event_tags AS named WHERE named.name = 'p' AND named.value = ? "
                "AND named.created_at = events.created_at AND named.seq = events.seq)))",
                *(*part, *_NOT_DELETED, pubkey, *DIRECT_MESSAGES, tag_key(request.pubkey)),
            )
            _hide(self.base, [seq for seq, _ in rows])
            self.known.difference_update(bytes(number) for _, number in rows)
        for value in set(request.values("a")):
            address = _ADDRESS.fullmatch(value)
            if address is not None and address[2] == request.pubkey and int(address[1]) < 1 << 16:
                self._delete_address(pubkey, int(address[1]), tag_key(address[3]), request.created_at)

    def _delete_address(self, pubkey: bytes, kind: int, address: bytes, until: int) -> None:
        self.base.run(
            "INSERT INTO deleted_addresses (pubkey, kind, address, created_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (pubkey, kind, address) DO UPDATE SET created_at = excluded.created_at "
            "WHERE excluded.created_at > deleted_addresses.created_at",
            *(pubkey, kind, address, until),
        )
        rows = self.base.run(
            "SELECT seq, id FROM events WHERE pubkey = ? AND kind = ? AND address = ? AND created_at <= ?",
            *(pubkey, kind, address, until),
        )
        _hide(self.base, [seq for seq, _ in rows])
        self.known.difference_update(bytes(number) for _, number in rows)

    def _remove(self, events: list[tuple[int, NostrEvent]]) -> None:
        remove_events(self.base, events)
        self.known.difference_update(bytes.fromhex(event.id) for _, event in events)

    def _flush(self) -> None:
        events, self.waiting = self.waiting, []
        if not events:
            return
        seqs = self.base.take_numbers("events", "seq", len(events))
        self.base.run_many(
            "INSERT INTO events (seq, id, pubkey, created_at, kind, address, expires_at, body, audience, group_key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(event, seq) for event, seq in zip(events, seqs, strict=True)],
        )
        tags = [row for event, seq in zip(events, seqs, strict=True) for row in _tag_rows(event, seq)]
        if tags:
            self.base.run_many("INSERT INTO event_tags (name, value, created_at, seq) VALUES (?, ?, ?, ?)", tags)
        if self.has_search:
            self.base.add_texts(_texts(zip(seqs, events, strict=True)))


def _hide(base: Base, seqs: Sequence[int]) -> None:
    """Let events be gone for whoever asks; :func:`_sweep` removes their rows, which takes longer."""
    base.run_many("UPDATE events SET expires_at = ? WHERE seq = ?", [(_GONE, seq) for seq in seqs])


def _write_vanished(base: Base, pubkey: bytes, until: int) -> None:
    base.run(
        "INSERT INTO vanished_authors (pubkey, until) VALUES (?, ?) ON CONFLICT (pubkey) "
        "DO UPDATE SET until = excluded.until WHERE excluded.until > vanished_authors.until",
        *(pubkey, until),
    )
    base.run(
        "INSERT INTO event_erasures (pubkey, until, is_ban) VALUES (?, ?, 0) ON CONFLICT (pubkey, is_ban) "
        "DO UPDATE SET until = excluded.until WHERE excluded.until > event_erasures.until",
        *(pubkey, until),
    )


def _texts(events: Iterable[tuple[int, NostrEvent]]) -> list[tuple[int, str]]:
    encoded = ((seq, encode_words(words_of(event.content))) for seq, event in events if event.content)
    return [(seq, text) for seq, text in encoded if text]


def _row(event: NostrEvent, seq: int) -> tuple[object, ...]:
    address, group = event.address, group_of(event)
    return (
        seq,
        bytes.fromhex(event.id),
        bytes.fromhex(event.pubkey),
        event.created_at,
        event.kind,
        None if address is None else tag_key(address),
        event.expires_at,
        event.text,
        int(audience_of(event)),
        None if group is None else tag_key(group),
    )


def _deleters(event: NostrEvent, author: bytes) -> list[bytes]:
    """Public keys of those who may delete an event: its author, and who received it as a direct message (NIP-59)."""
    if event.kind not in DIRECT_MESSAGES:
        return [author]
    return [author, *(bytes.fromhex(value) for value in event.values("p") if is_hex(value))]


def remove_events(base: Base, events: Sequence[tuple[int, NostrEvent]]) -> None:
    """Remove events by their places, with all that is kept about them."""
    if not events:
        return
    tags = [row for seq, event in events for row in _tag_rows(event, seq)]
    base.run_many("DELETE FROM event_tags WHERE name = ? AND value = ? AND created_at = ? AND seq = ?", tags)
    places = [(seq,) for seq, _ in events]
    base.run_many("DELETE FROM event_words WHERE rowid = ?", places)
    base.run_many("DELETE FROM events WHERE seq = ?", places)


def remove_slice(base: Base, places: Sequence[Sequence[int]]) -> int:
    """Remove the first ones of some events, as many as one transaction removes without making others wait.

    Args:
        base: inside a transaction.
        places: and the sizes of their texts, which bound how many rows of tags and words go with them.

    Returns:
        how many were removed.
    """
    chosen: list[int] = []
    size = 0
    for seq, length in places:
        size += length
        if chosen and size > _SLICE_BYTES:
            break
        chosen.append(seq)
    if chosen:
        rows = base.run(f"SELECT seq, body FROM events WHERE seq IN ({_marks(chosen)})", *chosen)
        remove_events(base, [(seq, decode_kept(bytes(body))) for seq, body in rows])
    return len(chosen)


def _sweep(base: Base, now: float) -> int:
    places = base.run("SELECT seq, length(body) FROM events WHERE expires_at <= ? LIMIT ?", int(now), _SWEEP)
    return remove_slice(base, places)


def _erase_from_group(base: Base, group: str, ids: Sequence[bytes]) -> None:
    """Remove events of a group and keep them away; what manages the group stays, invitations and requests aside."""
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        rows = base.run(
            f"SELECT seq, id, pubkey, kind FROM events WHERE id IN ({_marks(part)}) AND group_key = ?",
            *(*part, tag_key(group)),
        )
        found = [(seq, bytes(number), bytes(pubkey)) for seq, number, pubkey, kind in rows if is_erasable(kind)]
        _hide(base, [seq for seq, _, _ in found])
        base.run_many(
            "INSERT INTO deleted_events (id, pubkey) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(number, pubkey) for _, number, pubkey in found],
        )


def is_erasable(kind: int) -> bool:
    """Whether a group's moderators may erase events of a kind: not those that say what the group is and who runs it,
    and no requests to vanish.
    """
    return kind != VANISH and (not is_management(kind) or audience_of_kind(kind) is Audience.ADMINS)


def _erase_group(base: Base, group: bytes) -> int:
    places = base.run(
        "SELECT seq, length(body) FROM events WHERE group_key = ? AND kind NOT BETWEEN ? AND ? AND seq >= "
        "(SELECT first_seq FROM event_groups WHERE group_key = ?) ORDER BY seq LIMIT ?",
        *(group, DESCRIPTIONS.start, DESCRIPTIONS.stop - 1, group, _SWEEP),
    )
    return remove_slice(base, places)


def _index_page(base: Base, seq: int) -> int:
    """Index the events behind a place, if the index is empty at first; returns the last one's place, 0 at the end."""
    if seq == 0 and base.run("SELECT 1 FROM event_words LIMIT 1"):
        return 0
    rows = base.run("SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", seq, _CHUNK)
    base.add_texts(_texts((place, decode_kept(bytes(body))) for place, body in rows))
    return int(rows[-1][0]) if rows else 0


# --- reading ----------------------------------------------------------------------------------------------------------


def _conditions(wanted: Filter, now: float, readers: Set[str] | None) -> tuple[str, list[object]]:
    """A filter's WHERE and its values; limit and search aside."""
    terms, values = ["(expires_at IS NULL OR expires_at > ?)"], [int(now)]  # type: list[str], list[object]

    def add(term: str, added: Iterable[object]) -> None:
        terms.append(term)
        values.extend(added)

    if wanted.ids is not None:
        add(f"id IN ({_marks(wanted.ids)})", map(bytes.fromhex, wanted.ids))
    if wanted.authors is not None:
        add(f"pubkey IN ({_marks(wanted.authors)})", map(bytes.fromhex, wanted.authors))
    if wanted.kinds is not None:
        add(f"kind IN ({_marks(wanted.kinds)})", wanted.kinds)
    if wanted.since is not None:
        add("created_at >= ?", [wanted.since])
    if wanted.until is not None:
        add("created_at <= ?", [wanted.until])
    for name, among in wanted.tags.items():
        add(
            f"seq IN (SELECT seq FROM event_tags WHERE name = ? AND value IN ({_marks(among)}))",
            [name, *map(tag_key, among)],
        )
    if readers is not None:
        add(*visible_to(readers))
    return " AND ".join(terms), values


def _find(
    base: Base,
    filters: Sequence[Filter],
    default_limit: int,
    max_limit: int,
    now: float,
    readers: Set[str] | None,
) -> list[Found]:
    found: dict[int, Found] = {}
    is_scored = False
    for wanted in filters:
        limit = min(default_limit if wanted.limit is None else wanted.limit, max_limit)
        if limit == 0:
            continue
        is_scored = is_scored or bool(wanted.search and wanted_words(wanted.search))
        for created_at, number, seq in _select(base, wanted, limit, now, readers):
            found.setdefault(seq, Found(created_at, bytes(number), seq))
    if is_scored:
        return list(found.values())
    return sorted(found.values(), key=lambda one: (-one.created_at, one.id))


def _select(
    base: Base, wanted: Filter, limit: int, now: float, readers: Set[str] | None
) -> list[tuple[int, bytes, int]]:
    """Time, id and place of what a filter asks for, the best first."""
    where, values = _conditions(wanted, now, readers)
    words = None if wanted.search is None else wanted_words(wanted.search)
    if words is None:
        sql = f"SELECT created_at, id, seq FROM events WHERE {where} ORDER BY created_at DESC, id LIMIT ?"
        return base.run(sql, *values, limit)
    if not words:
        return []
    search, text = base.search_words(encode_words(words))
    sql = (
        f"SELECT created_at, id, seq FROM events JOIN ({search}) AS hits ON hits.rowid = seq WHERE {where} "
        "ORDER BY hits.score, created_at DESC, id LIMIT ?"
    )
    return base.run(sql, text, *values, limit)


def _records(base: Base, wanted: Filter, most: int, now: float, readers: Set[str] | None) -> Records:
    limit = most + 1 if wanted.limit is None else min(wanted.limit, most + 1)
    rows = _select(base, wanted, limit, now, readers)
    if len(rows) > most:
        raise EventRefusedError(f"blocked: the filter finds more than {most} events, narrow it with since and until")
    return Records((created_at, bytes(number)) for created_at, number, _ in rows)


def _bodies(base: Base, found: Sequence[Found], readers: Set[str] | None) -> list[tuple[bytes, bytes]]:
    bodies: dict[int, bytes] = {}
    condition, values = ("1 = 1", []) if readers is None else visible_to(readers)
    for start in range(0, len(found), _CHUNK):
        part = [one.seq for one in found[start : start + _CHUNK]]
        bodies.update(
            (seq, bytes(body))
            for seq, body in base.run(
                f"SELECT seq, body FROM events WHERE seq IN ({_marks(part)}) AND {_IS_HERE} AND {condition}",
                *part,
                *values,
            )
        )
    return [(one.id, bodies[one.seq]) for one in found if one.seq in bodies]


def _count(
    base: Base, filters: Sequence[Filter], now: float, hll_offset: int | None, readers: Set[str] | None
) -> tuple[int, str]:
    parts: list[str] = []
    values: list[object] = []
    for wanted in filters:
        where, added = _conditions(wanted, now, readers)
        words = None if wanted.search is None else wanted_words(wanted.search)
        if words is not None and not words:
            continue
        if words:
            search, text = base.search_words(encode_words(words))
            where += f" AND seq IN (SELECT rowid FROM ({search}) AS hits)"
            added.append(text)
        parts.append(f"SELECT seq, pubkey FROM events WHERE {where}")
        values += added
    if not parts:
        return 0, "" if hll_offset is None else bytes(256).hex()
    union = " UNION ".join(parts)
    ((number,),) = base.run(f"SELECT count(*) FROM ({union}) AS matching", *values)
    if hll_offset is None:
        return int(number), ""
    authors = base.run(f"SELECT DISTINCT pubkey FROM ({union}) AS matching", *values)
    return int(number), registers((bytes(author) for (author,) in authors), hll_offset).hex()


def hyperloglog_offset(value: str | None) -> int | None:
    """Where in public keys the bytes are that a filter's authors are counted by (NIP-45).

    Args:
        value: the first one of the filter's first tag, as the client wrote it; None if it has no tags.
    """
    if value is None:
        return None
    address = _ADDRESS.fullmatch(value)
    text = address[2] if address else value
    if not is_hex(text):
        text = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return int(text[32], 16) + 8


def registers(authors: Iterable[bytes], offset: int) -> bytearray:
    """HyperLogLog of public keys: 256 registers, chosen by the byte at the offset."""
    result = bytearray(256)
    for author in authors:
        rest = author[offset + 1 :]
        zeros = 8 * len(rest) - int.from_bytes(rest, "big").bit_length()
        result[author[offset]] = max(result[author[offset]], zeros + 1)
    return result
