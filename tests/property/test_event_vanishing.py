"""Random events and requests to vanish on both databases, against a model of lists and loops."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teleglyph.errors import EventRefusedError
from teleglyph.events.policy import Policy
from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore, Outcome
from teleglyph.store.moderation import START, Erasure, ModerationStore, finish_erasures
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter

KEYS = [bytes([number]) * 32 for number in (1, 2)]
PUBKEYS = [sign_event(key, 1, 1).pubkey for key in KEYS]


@functools.cache
def event(key: int, at: int, kind: int, *recipients: int) -> NostrEvent:
    return sign_event(KEYS[key], at, kind, [["p", PUBKEYS[one]] for one in recipients])


events = st.builds(
    lambda key, at, kind, recipients: event(key, at, kind, *recipients),
    st.integers(0, 1),
    st.integers(1, 6),
    st.sampled_from([1, 1, 4, 1059, 1059, 5, 62]),
    st.lists(st.integers(0, 1), max_size=2, unique=True),
)
steps = st.lists(events | st.sampled_from(["restart", "slice", "finish"]), max_size=25)


class Model:
    """A model in which requests take full effect at once."""

    def __init__(self) -> None:
        self.events: list[NostrEvent] = []
        self.vanished: dict[str, int] = {}

    def is_gone(self, one: NostrEvent) -> bool:
        if one.created_at <= self.vanished.get(one.pubkey, -1):
            return True
        recipients = one.values("p") if one.kind == 1059 else []
        return any(one.created_at <= self.vanished.get(key, -1) for key in recipients)

    def is_last_request(self, one: NostrEvent) -> bool:
        return one.kind == 62 and one.created_at == self.vanished[one.pubkey]

    def put(self, one: NostrEvent) -> bool:
        if self.is_gone(one) or one in self.events:
            return False
        if one.kind == 62:
            self.vanished[one.pubkey] = one.created_at
            self.events = [old for old in self.events if self.is_last_request(old) or not self.is_gone(old)]
        self.events.append(one)
        return True


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
        base.execute("CREATE DATABASE event_vanishing")
    opened = open_database(url.replace("/postgres?", "/event_vanishing?"), 1)
    yield opened
    opened.close()


def empty(database: Database) -> None:
    def work(base: object) -> None:
        for table in ("events", "event_tags", "event_words", "vanished_authors", "event_erasures"):
            base.run(f"DELETE FROM {table}")  # type: ignore[attr-defined]

    database.write(work).result()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=steps)
def test_the_remaining_events_are_those_of_the_model(database: Database, steps: list[NostrEvent | str]) -> None:
    empty(database)
    store, moderation, policy, model = EventStore(database), ModerationStore(database), Policy(), Model()
    for step in steps:
        match step:
            case "restart":
                policy = Policy()
                policy.load(moderation.load().result())
            case "slice":
                for pubkey in PUBKEYS:
                    moderation.erase(Erasure(pubkey, is_ban=False), START).result()
            case "finish":
                finish_erasures(moderation)
            case NostrEvent():
                assert put(store, policy, step) is model.put(step)
    finish_erasures(moderation)
    found = store.find([Filter()], 1000, 1000, 1000).result()
    assert {one.id.hex() for one in found} == {one.id for one in model.events}
    assert moderation.load().result().vanished == model.vanished


def put(store: EventStore, policy: Policy, one: NostrEvent) -> bool:
    try:
        policy.check(one)
    except EventRefusedError:
        return False
    (outcome,) = (store.store_vanish_request(one) if one.kind == 62 else store.store_events([one])).result()
    if outcome is Outcome.STORED and one.kind == 62:
        policy.record_vanished(one)
    return outcome is Outcome.STORED
