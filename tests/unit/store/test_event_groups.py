"""A group's admins decide about their group's events, and about nobody else's."""

from __future__ import annotations

from teleglyph.store import open_database
from teleglyph.store.events import EventStore, Outcome
from teleglyph.wire.nostr import NostrEvent, sign_event

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32


def make(key: bytes, at: int, kind: int, *groups: str) -> NostrEvent:
    return sign_event(key, at, kind, [["h", group] for group in groups], f"{at}")


def kept(store: EventStore) -> list[bytes]:
    return [body for _, body in store.after(0, 5000).result()]


def test_moderation_reaches_its_own_group_only(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = EventStore(database)
    own, other, free = make(BOB, 1, 9, "g"), make(BOB, 2, 9, "other"), make(BOB, 3, 1)
    second = make(BOB, 4, 9, "other", "g")
    store.put([own, other, free, second]).result()
    store.erase_from_group("g", [event.id for event in (own, other, free, second)]).result()
    assert kept(store) == [other.text, free.text, second.text]
    assert store.put([own]).result() == [Outcome.DELETED]
    database.close()


def test_a_deleted_group_takes_along_what_came_since_it_was_made(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = EventStore(database)
    before = [make(BOB, 10 + number, 9, "g") for number in range(3)]
    elsewhere = make(BOB, 5, 9, "other")
    since = [make(ANN, 1, 9007, "g"), *(make(BOB, 100 + number, 9, "g") for number in range(1200))]
    store.put([*before, since[0], elsewhere, *since[1:]]).result()
    erased = []
    while number := store.erase_group("g").result():
        erased.append(number)
    assert erased == [500, 500, 201]
    assert kept(store) == [*(event.text for event in before), elsewhere.text]
    database.close()
