"""Stored events have the same readers as live ones: the condition in SQL against the rule in Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teleglyph.events.group_roles import may_read
from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore
from teleglyph.store.groups import GroupChange, GroupRecord, GroupStore
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import group_of

KEYS = [bytes([number]) * 32 for number in (1, 2, 3)]
PUBKEYS = [sign_event(key, 1, 1).pubkey for key in KEYS]
NAMES = ["a", "b" * 70, "free"]
NOW = 1000
_numbers = itertools.count()

people = st.dictionaries(st.sampled_from(PUBKEYS), st.sampled_from([[], ["admin"], ["moderator"]]))
flags = st.frozensets(st.sampled_from(["private", "hidden", "restricted", "closed"]))
groups = st.builds(GroupRecord, st.sampled_from(NAMES[:2]), flags=flags, members=people)
group_tags = st.sampled_from([[], [["h"]], *([["h", name]] for name in NAMES), [["h", "a"], ["h", "free"]]])
named = st.lists(st.sampled_from(PUBKEYS), max_size=2).map(lambda keys: [["p", key] for key in keys])
kinds = st.sampled_from([0, 1, 4, 9, 1059, 9000, 9005, 9007, 9009, 9010, 9020, 9021, 9022, 9023, 30023])
plain = st.builds(
    lambda key, kind, in_groups, people: sign_event(KEYS[key], 5, kind, [*in_groups, *people]),
    *(st.integers(0, 2), kinds, group_tags, named),
)
descriptions = st.builds(
    lambda kind, name: sign_event(KEYS[0], 5, kind, [["d", name]]),
    *(st.sampled_from([39000, 39001, 39005, 39009]), st.sampled_from(NAMES)),
)
events = st.one_of(plain, plain, plain, descriptions)
readers = st.frozensets(st.sampled_from(PUBKEYS))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    place: str | Path = tmp_path_factory.mktemp("readers") / "base"
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql")
        with psycopg.connect(url, autocommit=True) as base:
            base.execute("CREATE DATABASE event_readers")
        place = url.replace("/postgres?", "/event_readers?")
    opened = open_database(place, 1)
    yield opened
    opened.close()


def empty(database: Database) -> None:
    tables = ("events", "event_tags", "event_words", "event_groups", "event_group_members", "event_group_invites")

    def work(base: object) -> None:
        for table in tables:
            base.run(f"DELETE FROM {table}")  # type: ignore[attr-defined]

    database.write(work).result()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    records=st.lists(groups, max_size=2, unique_by=lambda record: record.id),
    said=st.lists(events, max_size=12),
    who=st.lists(readers, min_size=1, max_size=3),
)
def test_stored_and_live_events_have_the_same_readers(
    database: Database, records: list[GroupRecord], said: list[NostrEvent], who: list[frozenset[str]]
) -> None:
    empty(database)
    store = EventStore(database)
    for record in records:
        GroupStore(database).write(GroupChange(record.id, record, record.members)).result()
    store.store_events(said).result()
    stored = [one.id.hex() for one in store.find([Filter()], 100, 100, NOW).result()]
    by_id, by_name = {event.id: event for event in said}, {record.id: record for record in records}
    for reader in who:
        expected = [
            number for number in stored if may_read(by_id[number], by_name.get(group_of(by_id[number]) or ""), reader)
        ]
        found = store.find([Filter()], 100, 100, NOW, readers=reader).result()
        assert [one.id.hex() for one in found] == expected
        assert store.count([Filter()], NOW, readers=reader).result()[0] == len(expected)
        everything = store.find([Filter()], 100, 100, NOW).result()
        assert [number.hex() for number, _ in store.bodies(everything, reader).result()] == expected
        assert len(store.find([Filter(limit=2)], 100, 100, NOW, readers=reader).result()) == min(2, len(expected))
        for name in NAMES:
            wanted = [Filter(tags={"h": frozenset([name])})]
            inside = [
                number for number in expected if by_id[number].first("h") == name and group_of(by_id[number]) == name
            ]
            assert [one.id.hex() for one in store.find(wanted, 100, 100, NOW, readers=reader).result()] == inside
