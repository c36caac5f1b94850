"""Large deletions do not block other writers: events are hidden at once, and their rows are deleted in slices."""

from __future__ import annotations

import pytest

from teleglyph.store import event_removal, open_database
from teleglyph.store.database import Database
from teleglyph.store.events import EventStore, Outcome
from teleglyph.store.moderation import START, Erasure, ModerationStore
from teleglyph.wire.nostr.event import VANISH, sign_event
from teleglyph.wire.nostr.filter import Filter

ANN = (1).to_bytes(32, "big")
NOTES = [
    sign_event(ANN, 1000 + number, 1, [["t", f"{number} {n}"] for n in range(150)], "word " * 100)
    for number in range(30)
]
ALL = Filter(kinds=frozenset([1]))


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth, so that few rows are many slices."""
    monkeypatch.setattr(event_removal, "_SLICE_BYTES", event_removal._SLICE_BYTES // 10)


def rows(database: Database) -> tuple[int, int]:
    """Of events that are notes, and of their tags."""
    return database.read(
        lambda base: (
            int(base.run("SELECT count(*) FROM events WHERE kind = 1")[0][0]),
            int(base.run("SELECT count(*) FROM event_tags WHERE name = 't'")[0][0]),
        )
    ).result(20)


def test_deleted_events_are_hidden_at_once_and_removed_in_slices(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = EventStore(database)
    store.store_events(NOTES, now=2000).result(60)
    found = store.find([ALL], 100, 100, 2000).result(20)
    assert len(found) == 30
    request = sign_event(ANN, 2000, 5, [["e", note.id] for note in NOTES], "")
    assert store.store_events([request], now=2000).result(20) == [Outcome.STORED]
    assert rows(database) == (30, 4_500), "the deletion itself touches few rows"
    assert store.find([ALL], 100, 100, 2000).result(20) == []
    assert store.count([ALL], 2000).result(20)[0] == 0
    assert store.bodies(found).result(20) == []
    assert [seq for seq, body in store.events_after(0, 100).result(20) if b'"kind":1,' in body] == []
    assert store.store_events([NOTES[0]], now=2000).result(20) == [Outcome.DELETED]
    slices = []
    while removed := store.remove_expired(2000).result(20):
        slices.append(removed)
    assert len(slices) > 2
    assert rows(database) == (0, 0)
    database.close()


def test_a_deleted_address_is_free_for_a_newer_version(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = EventStore(database)
    old = sign_event(ANN, 1000, 30023, [["d", "x"]], "old")
    store.store_events([old], now=2000).result(20)
    request = sign_event(ANN, 1500, 5, [["a", f"30023:{old.pubkey}:x"]], "")
    new = sign_event(ANN, 1600, 30023, [["d", "x"]], "new")
    assert store.store_events([request, old, new], now=2000).result(20) == [
        Outcome.STORED,
        Outcome.DELETED,
        Outcome.STORED,
    ]
    (found,) = store.find([Filter(kinds=frozenset([30023]))], 10, 10, 2000).result(20)
    assert found.id.hex() == new.id
    database.close()


def test_erasing_an_author_takes_slices_too(database_place: str) -> None:
    database = open_database(database_place, 1)
    store, moderation = EventStore(database), ModerationStore(database)
    store.store_events(NOTES, now=2000).result(60)
    request = sign_event(ANN, 2000, VANISH, [["relay", "ALL_RELAYS"]], "")
    store.store_vanish_request(request, now=2000).result(20)
    cursor: tuple[int, int] | None = START
    slices = 0
    while cursor is not None:
        before = rows(database)[0]
        cursor = moderation.erase(Erasure(request.pubkey, is_ban=False), cursor).result(20)
        assert before - rows(database)[0] < 15
        slices += 1
    assert slices > 2
    assert rows(database) == (0, 0)
    database.close()
