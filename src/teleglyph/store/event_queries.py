"""Finds and counts events by filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from teleglyph.errors import EventRefusedError
from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.event_rows import NOT_DELETED, ROWS_PER_STATEMENT, placeholders
from teleglyph.store.hyperloglog import registers
from teleglyph.store.tag_keys import tag_key
from teleglyph.store.visibility import visible_to
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.negentropy import Records
from teleglyph.wire.nostr.search_words import encode_words, wanted_words


@dataclass(frozen=True, slots=True)
class Found:
    """An event that matches a filter; sorts in the order of delivery."""

    created_at: int
    id: bytes
    seq: int


def _conditions(wanted: Filter, now: float, readers: Set[str] | None) -> tuple[str, list[object]]:
    """A filter as an SQL condition with its values, without its limit and search."""
    terms, values = ["(expires_at IS NULL OR expires_at > ?)"], [int(now)]  # type: list[str], list[object]

    def add(term: str, added: Iterable[object]) -> None:
        terms.append(term)
        values.extend(added)

    if wanted.ids is not None:
        add(f"id IN ({placeholders(wanted.ids)})", map(bytes.fromhex, wanted.ids))
    if wanted.authors is not None:
        add(f"pubkey IN ({placeholders(wanted.authors)})", map(bytes.fromhex, wanted.authors))
    if wanted.kinds is not None:
        add(f"kind IN ({placeholders(wanted.kinds)})", wanted.kinds)
    if wanted.since is not None:
        add("created_at >= ?", [wanted.since])
    if wanted.until is not None:
        add("created_at <= ?", [wanted.until])
    for name, among in wanted.tags.items():
        add(
            f"seq IN (SELECT seq FROM event_tags WHERE name = ? AND value IN ({placeholders(among)}))",
            [name, *map(tag_key, among)],
        )
    if readers is not None:
        add(*visible_to(readers))
    return " AND ".join(terms), values


def find_events(
    connection: DatabaseConnection,
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
        for created_at, event_id, seq in _select(connection, wanted, limit, now, readers):
            found.setdefault(seq, Found(created_at, bytes(event_id), seq))
    if is_scored:
        return list(found.values())
    return sorted(found.values(), key=lambda one: (-one.created_at, one.id))


def _select(
    connection: DatabaseConnection, wanted: Filter, limit: int, now: float, readers: Set[str] | None
) -> list[tuple[int, bytes, int]]:
    """Time, id and sequence number of the events that match a filter, the best first."""
    where, values = _conditions(wanted, now, readers)
    words = None if wanted.search is None else wanted_words(wanted.search)
    if words is None:
        sql = f"SELECT created_at, id, seq FROM events WHERE {where} ORDER BY created_at DESC, id LIMIT ?"
        return connection.run(sql, *values, limit)
    if not words:
        return []
    search, text = connection.search_words(encode_words(words))
    sql = (
        f"SELECT created_at, id, seq FROM events JOIN ({search}) AS hits ON hits.rowid = seq WHERE {where} "
        "ORDER BY hits.score, created_at DESC, id LIMIT ?"
    )
    return connection.run(sql, text, *values, limit)


def sync_records(
    connection: DatabaseConnection, wanted: Filter, maximum: int, now: float, readers: Set[str] | None
) -> Records:
    limit = maximum + 1 if wanted.limit is None else min(wanted.limit, maximum + 1)
    rows = _select(connection, wanted, limit, now, readers)
    if len(rows) > maximum:
        raise EventRefusedError(f"blocked: more than {maximum} events match the filter; narrow it with since and until")
    return Records((created_at, bytes(event_id)) for created_at, event_id, _ in rows)


def event_bodies(
    connection: DatabaseConnection, found: Sequence[Found], readers: Set[str] | None
) -> list[tuple[bytes, bytes]]:
    bodies: dict[int, bytes] = {}
    condition, values = ("1 = 1", []) if readers is None else visible_to(readers)
    for start in range(0, len(found), ROWS_PER_STATEMENT):
        part = [one.seq for one in found[start : start + ROWS_PER_STATEMENT]]
        bodies.update(
            (seq, bytes(body))
            for seq, body in connection.run(
                f"SELECT seq, body FROM events WHERE seq IN ({placeholders(part)}) AND {NOT_DELETED} AND {condition}",
                *part,
                *values,
            )
        )
    return [(one.id, bodies[one.seq]) for one in found if one.seq in bodies]


def count_events(
    connection: DatabaseConnection,
    filters: Sequence[Filter],
    now: float,
    hll_offset: int | None,
    readers: Set[str] | None,
) -> tuple[int, str]:
    parts: list[str] = []
    values: list[object] = []
    for wanted in filters:
        where, added = _conditions(wanted, now, readers)
        words = None if wanted.search is None else wanted_words(wanted.search)
        if words is not None and not words:
            continue
        if words:
            search, text = connection.search_words(encode_words(words))
            where += f" AND seq IN (SELECT rowid FROM ({search}) AS hits)"
            added.append(text)
        parts.append(f"SELECT seq, pubkey FROM events WHERE {where}")
        values += added
    if not parts:
        return 0, "" if hll_offset is None else bytes(256).hex()
    union = " UNION ".join(parts)
    ((total,),) = connection.run(f"SELECT count(*) FROM ({union}) AS matching", *values)
    if hll_offset is None:
        return int(total), ""
    authors = connection.run(f"SELECT DISTINCT pubkey FROM ({union}) AS matching", *values)
    return int(total), registers((bytes(author) for (author,) in authors), hll_offset).hex()
