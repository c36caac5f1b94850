"""Both databases find the same texts, and live subscriptions match the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter

KEY = bytes([1]) * 32
NOW = 1000
pieces = st.sampled_from(
    [
        *(
            "fox",
            "Fox",
            "foxes",
            "naïve",
            "naive",
            "привет",
            "path/to",
            "to",
            "path",
            "会議",
            "議",
            "会",
            "한국",
            "ไทย",
        ),
        *("nostr:npub1x", "language:en", "https://a.b/c?d=1", "1e5", "0x1f", "a1b2", "x_y", "Straße", "strasse", "'"),
        *(
            '"',
            "*",
            "OR",
            "AND",
            "NOT",
            "NEAR(",
            "^",
            "\0",
            "-fox",
            "fox*",
            "ﬁ",
            "🦊",
            "é",
            "😀x",
            "the",
            "İ",
            ":",
            "&|!",
        ),
    ]
)
phrases = st.lists(pieces, max_size=4).map(" ".join) | st.lists(pieces, max_size=3).map("".join) | st.text(max_size=8)


@pytest.fixture(scope="module")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Database]]:
    url: str = request.getfixturevalue("postgresql")
    with psycopg.connect(url, autocommit=True) as base:
        base.execute("CREATE DATABASE event_search")
    places: list[str | Path] = [
        tmp_path_factory.mktemp("search") / "base",
        url.replace("/postgres?", "/event_search?"),
    ]
    opened = [open_database(place, 1) for place in places]
    yield opened
    for database in opened:
        database.close()


def empty(database: Database) -> None:
    def work(base: object) -> None:
        for table in ("events", "event_tags", "event_words"):
            base.run(f"DELETE FROM {table}")  # type: ignore[attr-defined]

    database.write(work).result()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(phrases, max_size=6, unique=True),
    searches=st.lists(phrases, min_size=1, max_size=6),
)
def test_databases_and_live_subscriptions_find_the_same_texts(
    databases: list[Database], texts: list[str], searches: list[str]
) -> None:
    events: list[NostrEvent] = [
        sign_event(KEY, number, 1, [], text.encode("utf-8", "ignore").decode()) for number, text in enumerate(texts)
    ]
    for database in databases:
        empty(database)
        EventStore(database).store_events(events).result()
    for search in searches:
        wanted = Filter(search=search)
        live = {event.id for event in events if wanted.matches(event)}
        for database in databases:
            store = EventStore(database)
            found = {one.id.hex() for one in store.find([wanted], 100, 100, NOW).result()}
            assert found == live, (database.kind, search)
            assert store.count([wanted], NOW).result()[0] == len(live)
