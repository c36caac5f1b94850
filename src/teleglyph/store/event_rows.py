"""Converts an event to rows of the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import (
    audience_of,
    group_of,
)
from teleglyph.wire.nostr.search_words import encode_words, words_of

ROWS_PER_STATEMENT = 500
GONE = 0
"""``expires_at`` of a deleted event whose rows are still to be removed."""
NOT_DELETED = f"(expires_at IS NULL OR expires_at <> {GONE})"
"""Condition on ``events``: the event was not deleted."""
ADDRESS = re.compile(r"([0-9]{1,5}):([0-9a-f]{64}):(.*)", re.DOTALL)
"""Kind, author and ``d`` of a replaceable event, as in a tag ``a``."""


def tag_rows(event: NostrEvent, seq: int) -> list[tuple[str, bytes, int, int]]:
    keys = {(tag[0], tag_key(tag[1])) for tag in event.tags if len(tag) > 1 and len(tag[0]) == 1 and tag[0].isalpha()}
    if group_of(event) is None:
        # An event with several groups belongs to none, so no query for a group finds it.
        keys = {key for key in keys if key[0] != "h"}
    return [(name, value, event.created_at, seq) for name, value in sorted(keys) if name.isascii()]


def placeholders(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def search_texts(events: Iterable[tuple[int, NostrEvent]]) -> list[tuple[int, str]]:
    encoded = ((seq, encode_words(words_of(event.content))) for seq, event in events if event.content)
    return [(seq, text) for seq, text in encoded if text]


def event_row(event: NostrEvent, seq: int) -> tuple[object, ...]:
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
