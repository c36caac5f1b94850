"""Removes events: hidden at once, and their rows a slice at a time."""

from __future__ import annotations

from collections.abc import Sequence

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.event_rows import GONE, ROWS_PER_STATEMENT, placeholders, tag_rows
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import VANISH, NostrEvent, decode_stored
from teleglyph.wire.nostr.groups import (
    DESCRIPTIONS,
    Audience,
    audience_of_kind,
    is_management,
)

_SLICE_EVENTS = 500
_SLICE_BYTES = 256 << 10
"""Text of the events that one transaction removes; each tag has at least 7 bytes and a row of its own."""


def hide_events(connection: DatabaseConnection, seqs: Sequence[int]) -> None:
    """Make events invisible at once; :func:`remove_expired` removes their rows later."""
    connection.run_many("UPDATE events SET expires_at = ? WHERE seq = ?", [(GONE, seq) for seq in seqs])


def remove_events(connection: DatabaseConnection, events: Sequence[tuple[int, NostrEvent]]) -> None:
    """Remove events by their sequence numbers, with their tags and words."""
    if not events:
        return
    tags = [row for seq, event in events for row in tag_rows(event, seq)]
    connection.run_many("DELETE FROM event_tags WHERE name = ? AND value = ? AND created_at = ? AND seq = ?", tags)
    places = [(seq,) for seq, _ in events]
    connection.run_many("DELETE FROM event_words WHERE rowid = ?", places)
    connection.run_many("DELETE FROM events WHERE seq = ?", places)


def remove_slice(connection: DatabaseConnection, places: Sequence[Sequence[int]]) -> int:
    """Remove the first of some events, as many as fit into one short transaction.

    Args:
        connection: in a transaction of the writer.
        places: sequence numbers with the sizes of their texts, which bound how many rows of tags and words go too.

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
        rows = connection.run(f"SELECT seq, body FROM events WHERE seq IN ({placeholders(chosen)})", *chosen)
        remove_events(connection, [(seq, decode_stored(bytes(body))) for seq, body in rows])
    return len(chosen)


def remove_expired(connection: DatabaseConnection, now: float) -> int:
    places = connection.run(
        "SELECT seq, length(body) FROM events WHERE expires_at <= ? LIMIT ?", int(now), _SLICE_EVENTS
    )
    return remove_slice(connection, places)


def erase_from_group(connection: DatabaseConnection, group: str, ids: Sequence[bytes]) -> None:
    """Delete events of a group for good; see :func:`is_erasable` for those that stay."""
    for start in range(0, len(ids), ROWS_PER_STATEMENT):
        part = ids[start : start + ROWS_PER_STATEMENT]
        rows = connection.run(
            f"SELECT seq, id, pubkey, kind FROM events WHERE id IN ({placeholders(part)}) AND group_key = ?",
            *(*part, tag_key(group)),
        )
        found = [(seq, bytes(event_id), bytes(pubkey)) for seq, event_id, pubkey, kind in rows if is_erasable(kind)]
        hide_events(connection, [seq for seq, _, _ in found])
        connection.run_many(
            "INSERT INTO deleted_events (id, pubkey) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(event_id, pubkey) for _, event_id, pubkey in found],
        )


def is_erasable(kind: int) -> bool:
    """Whether a group's moderators may erase events of a kind.

    Requests to vanish and events that manage the group stay, except invitations and requests to join.
    """
    return kind != VANISH and (not is_management(kind) or audience_of_kind(kind) is Audience.ADMINS)


def erase_group_slice(connection: DatabaseConnection, group: bytes) -> int:
    places = connection.run(
        "SELECT seq, length(body) FROM events WHERE group_key = ? AND kind NOT BETWEEN ? AND ? AND seq >= "
        "(SELECT first_seq FROM event_groups WHERE group_key = ?) ORDER BY seq LIMIT ?",
        *(group, DESCRIPTIONS.start, DESCRIPTIONS.stop - 1, group, _SLICE_EVENTS),
    )
    return remove_slice(connection, places)
