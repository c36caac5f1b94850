"""Decisions are durable and erasures complete, whenever the process ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore, Outcome
from teleglyph.store.moderation import START, Erasure, ModerationStore, Rule, RuleChange, finish_erasures
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter

ANN, BOB, EVE = (bytes([number]) * 32 for number in (1, 2, 3))
NOW = 100_000


def pub(key: bytes) -> str:
    return sign_event(key, 1, 1).pubkey


def make(key: bytes, at: int, kind: int = 1, *tags: list[str], content: str = "") -> NostrEvent:
    return sign_event(key, at, kind, tags, content)


def kept(store: EventStore) -> set[str]:
    found = store.find([Filter()], 10_000, 10_000, NOW).result()
    return {one.id.hex() for one in found}


def ids(*events: NostrEvent) -> set[str]:
    return {event.id for event in events}


@pytest.fixture
def database(database_place: str) -> Iterator[Database]:
    opened = open_database(database_place, 1)
    yield opened
    opened.close()


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture
def store(database: Database) -> ModerationStore:
    return ModerationStore(database)


def test_rules_are_found_again_and_the_last_text_counts(store: ModerationStore) -> None:
    store.write(RuleChange([(Rule.BANNED_KEY, "a", "spam"), (Rule.SETTING, "name", "x")])).result()
    store.write(RuleChange([(Rule.BANNED_KEY, "a", "more spam"), (Rule.BANNED_KEY, "b", "")])).result()
    store.write(RuleChange(removed=[(Rule.BANNED_KEY, "b"), (Rule.SETTING, "b")])).result()
    record = store.load().result()
    assert record.rules[Rule.BANNED_KEY] == {"a": "more spam"}
    assert record.rules[Rule.SETTING] == {"name": "x"}
    assert (record.vanished, record.erasures) == ({}, [])


def test_a_banned_event_is_removed_in_the_same_transaction(store: ModerationStore, events: EventStore) -> None:
    one, other = make(ANN, 1, content="findable"), make(ANN, 2, content="findable")
    events.store_events([one, other]).result()
    store.write(RuleChange([(Rule.BANNED_EVENT, one.id, "")], erased=[one.id, "ab" * 32])).result()
    assert kept(events) == ids(other)
    assert events.count([Filter(search="findable")], NOW).result()[0] == 1
    assert events.store_events([one]).result() == [Outcome.STORED], "the list refuses it, not the store"


def test_a_ban_erases_all_of_an_author_in_slices(store: ModerationStore, events: EventStore) -> None:
    own = [make(ANN, at, content=f"{at}") for at in range(1200)]
    wrap, other = make(EVE, 5, 1059, ["p", pub(ANN)]), make(BOB, 5)
    events.store_events([*own, make(ANN, NOW, 62, ["relay", "x"]), wrap, other]).result()
    store.write(RuleChange([(Rule.BANNED_KEY, pub(ANN), "")], banned=pub(ANN))).result()
    erasure = Erasure(pub(ANN), is_ban=True)
    assert store.load().result().erasures == [erasure]
    slices = 0
    cursor = START
    while (following := store.erase(erasure, cursor).result()) is not None:
        cursor = following
        slices += 1
    assert slices == 3
    assert kept(events) == ids(wrap, other)
    assert store.load().result().erasures == []


def test_an_unban_ends_the_erasing(store: ModerationStore, events: EventStore) -> None:
    events.store_events([make(ANN, at) for at in range(700)]).result()
    store.write(RuleChange(banned=pub(ANN))).result()
    erasure = Erasure(pub(ANN), is_ban=True)
    assert store.erase(erasure, START).result() == START
    store.write(RuleChange(unbanned=pub(ANN))).result()
    assert store.erase(erasure, START).result() is None
    assert len(kept(events)) == 200


def test_vanishing_erases_earlier_events_and_gift_wraps(store: ModerationStore, events: EventStore) -> None:
    before = [make(ANN, at, kind) for at, kind in ((1, 1), (50, 0), (50, 30023), (50, 4), (100, 1))]
    deletion, earlier = make(ANN, 60, 5, ["e", "ab" * 32], ["a", f"30023:{pub(ANN)}:x"]), make(ANN, 70, 62)
    after = make(ANN, 101)
    wraps = [make(EVE, at, 1059, ["p", pub(BOB)], ["p", pub(ANN)]) for at in range(0, 101, 1) for _ in range(6)]
    wraps = list({wrap.id: wrap for wrap in wraps}.values())
    later_wrap, mention = make(EVE, 101, 1059, ["p", pub(ANN)]), make(EVE, 7, 1, ["p", pub(ANN)])
    letter = make(EVE, 8, 4, ["p", pub(ANN)])
    elsewhere = make(EVE, 9, 1059, ["p", pub(BOB)])
    rest = [after, later_wrap, mention, letter, elsewhere]
    events.store_events([*before, deletion, earlier, *wraps, *rest]).result()
    request = make(ANN, 100, 62, ["relay", "ALL_RELAYS"])
    assert events.store_vanish_request(request).result() == [Outcome.STORED]
    assert events.store_vanish_request(request).result() == [Outcome.DUPLICATE]
    record = store.load().result()
    assert (record.vanished, record.erasures) == ({pub(ANN): 100}, [Erasure(pub(ANN), is_ban=False)])
    finish_erasures(store)
    assert kept(events) == ids(request, *rest)
    assert store.load().result().erasures == []
    assert store.load().result().vanished == {pub(ANN): 100}
    again = make(ANN, 60, 30023, ["d", "x"])
    assert events.store_events([again]).result() == [Outcome.STORED], "no trace of the deletion of an address is left"


def test_gift_wraps_are_found_among_many_mentions(store: ModerationStore, events: EventStore) -> None:
    mentions = [make(EVE, 5, 1, ["p", pub(ANN)], content=f"{number}") for number in range(1100)]
    wraps = [make(EVE, 5, 1059, ["p", pub(ANN)], content=f"{number}") for number in range(3)]
    for number, wrap in enumerate(wraps):
        mentions.insert(520 * number, wrap)
    events.store_events(mentions).result()
    events.store_vanish_request(make(ANN, 100, 62)).result()
    finish_erasures(store)
    assert events.count([Filter(kinds=frozenset([1]))], NOW).result()[0] == 1100
    assert events.count([Filter(kinds=frozenset([1059]))], NOW).result()[0] == 0


def test_erasing_continues_after_the_process_died(database_place: str) -> None:
    database = open_database(database_place, 1)
    events, store = EventStore(database), ModerationStore(database)
    events.store_events([make(ANN, at, content=f"{at}") for at in range(1200)]).result()
    request = make(ANN, 5000, 62)
    events.store_vanish_request(request).result()
    store.erase(Erasure(pub(ANN), is_ban=False), START).result()
    database.close()
    database = open_database(database_place, 2)
    events, store = EventStore(database), ModerationStore(database)
    assert len(kept(events)) == 701
    finish_erasures(store)
    assert kept(events) == ids(request)
    database.close()


def test_a_second_request_to_vanish_covers_more(store: ModerationStore, events: EventStore) -> None:
    first, second = make(ANN, 10, 62), make(ANN, 20, 62)
    events.store_vanish_request(first).result()
    finish_erasures(store)
    between = make(ANN, 15)
    events.store_events([between]).result()
    events.store_vanish_request(second).result()
    finish_erasures(store)
    assert kept(events) == ids(second)
    events.store_vanish_request(make(ANN, 12, 62)).result()
    assert store.load().result().vanished == {pub(ANN): 20}


def test_a_request_to_vanish_cannot_be_deleted(store: ModerationStore, events: EventStore) -> None:
    request = make(ANN, 10, 62)
    assert events.store_events([make(ANN, 20, 5, ["e", request.id])]).result() == [Outcome.STORED]
    assert events.store_vanish_request(request).result() == [Outcome.STORED]
    events.store_events([make(ANN, 21, 5, ["e", request.id])]).result()
    assert request.id in kept(events)
    assert store.load().result().vanished == {pub(ANN): 10}


def test_an_authentication_is_valid_once(store: ModerationStore) -> None:
    assert store.use_once("ab" * 64, 160, 100).result()
    assert not store.use_once("ab" * 64, 160, 101).result()
    assert not store.use_once("ab" * 64, 160, 160).result()
    assert store.use_once("cd" * 64, 160, 100).result()
    assert store.use_once("ab" * 64, 160, 161).result(), "by now its own time is over"
