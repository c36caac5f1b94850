"""Both databases against the reference relay, with random events and filters."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference_relay import ReferenceRelay
from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter

KEYS = [bytes([number]) * 32 for number in (1, 2)]
PUBKEYS = [sign_event(key, 1, 1).pubkey for key in KEYS]
D_VALUES = ["", "x", "x:y", "long" * 40, "é\0"]
NOW = 1000


@functools.cache
def event(key: int, created_at: int, kind: int, tags: tuple[tuple[str, ...], ...]) -> NostrEvent:
    return sign_event(KEYS[key], created_at, kind, tags)


times = st.integers(1, 6)
keys = st.integers(0, 1)
plain_tags = st.sampled_from(
    [
        (),
        (("t", "a"),),
        (("t", "b"), ("t", "a")),
        (("t", "long" * 40),),
        (("t",), ("u", "a")),
        (("expiration", "500"),),
        (("expiration", "1500"), ("t", "a")),
        (("d", "x"), ("d", "y")),
    ]
)
plain = st.builds(event, keys, times, st.sampled_from([1, 7, 45]), plain_tags)
replaceable = st.builds(event, keys, times, st.sampled_from([0, 3, 10002]), plain_tags)
addressable = st.builds(
    event, keys, times, st.just(30023), st.sampled_from(D_VALUES).map(lambda d: (("d", d),)) | st.just(())
)
targets = st.one_of(plain, replaceable, addressable)
deletions = st.builds(
    lambda key, created_at, target, owner, d: event(
        key,
        created_at,
        5,
        (("e", target.id), ("e", "junk"), ("a", f"30023:{PUBKEYS[owner]}:{d}"), ("a", f"0:{PUBKEYS[owner]}:")),
    ),
    *(keys, times, targets, keys, st.sampled_from(D_VALUES)),
)
against_deletions = st.builds(lambda key, target: event(key, 3, 5, (("e", target.id),)), keys, deletions)
events = st.one_of(plain, replaceable, addressable, deletions, against_deletions)

some_ids = st.lists(events.map(lambda one: one.id), min_size=1, max_size=3).map(frozenset)
filters = st.builds(
    Filter,
    ids=st.none() | st.none() | some_ids,
    authors=st.none() | st.sampled_from([frozenset(PUBKEYS), frozenset(PUBKEYS[:1]), frozenset(["ab" * 32])]),
    kinds=st.none() | st.lists(st.sampled_from([0, 1, 5, 7, 30023]), min_size=1).map(frozenset),
    tags=st.just({})
    | st.sampled_from(
        [
            {"t": frozenset("a")},
            {"t": frozenset(["a", "b", "long" * 40])},
            {"t": frozenset("a"), "u": frozenset("a")},
            {"d": frozenset(["x", "é\0"])},
            {"d": frozenset(["y"])},
        ]
    ),
    since=st.none() | times,
    until=st.none() | times,
    limit=st.none() | st.integers(0, 4),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    if request.param == "sqlite":
        with tempfile.TemporaryDirectory() as directory:
            opened = open_database(Path(directory) / "base", 1)
            yield opened
            opened.close()
        return
    url: str = request.getfixturevalue("postgresql")
    with psycopg.connect(url, autocommit=True) as base:
        base.execute("CREATE DATABASE event_property")
    opened = open_database(url.replace("/postgres?", "/event_property?"), 1)
    yield opened
    opened.close()


def empty(database: Database) -> None:
    def work(base: object) -> None:
        for table in ("events", "event_tags", "event_words", "deleted_events", "deleted_addresses"):
            base.run(f"DELETE FROM {table}")  # type: ignore[attr-defined]

    database.write(work).result()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    batches=st.lists(st.lists(events, max_size=6), max_size=5),
    queries=st.lists(st.lists(filters, min_size=1, max_size=3), min_size=1, max_size=5),
)
def test_databases_give_the_same_answers_as_the_reference(
    database: Database, batches: list[list[NostrEvent]], queries: list[list[Filter]]
) -> None:
    empty(database)
    store, reference = EventStore(database), ReferenceRelay()
    for batch in batches:
        outcomes = [outcome.name.lower() for outcome in store.store_events(batch).result()]
        assert outcomes == [reference.put(one) for one in batch]
    by_id = {one.id: one for one in reference.events}
    for query in queries:
        expected = reference.find(query, 3, 4, NOW)
        found = store.find(query, 3, 4, NOW).result()
        assert [one.id.hex() for one in found] == expected
        assert [body for _, body in store.bodies(found).result()] == [by_id[number].text for number in expected]
        assert store.count(query, NOW).result()[0] == reference.count(query, NOW)
    while store.remove_expired(0).result():
        pass  # deleted events are hidden at once, and their rows are removed in steps
    tags = sum(
        len({(tag[0], tag[1]) for tag in one.tags if len(tag) > 1 and len(tag[0]) == 1}) for one in reference.events
    )
    kept = database.read(
        lambda base: (base.run("SELECT count(*) FROM event_tags"), base.run("SELECT count(*) FROM events"))
    )
    assert kept.result() == ([(tags,)], [(len(reference.events),)])
