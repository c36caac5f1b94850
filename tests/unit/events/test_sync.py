"""The limits of reconciliations, and that nothing remains of one that has ended."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleglyph.events.limits import EventLimits
from teleglyph.events.sync import SyncLedger, Syncs, SyncStep
from teleglyph.store import open_database
from teleglyph.store.events import EventStore
from teleglyph.wire.nostr.event import sign_event
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.messages import SyncRefusedError

KEY = bytes([1]) * 32
EMPTY = bytes.fromhex("6100000200")
LIMITS = dataclasses.replace(EventLimits(), sync_records=10, total_sync_records=25, sync_timeout=60.0)
Test = Callable[[Syncs, SyncLedger], Awaitable[None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    database = open_database(tmp_path / "base.sqlite3", 1)
    made = EventStore(database)
    made.store_events([sign_event(KEY, at, 1, (), f"{at}") for at in range(11)]).result()
    yield made
    database.close()


def run(store: EventStore, test: Test) -> list[Any]:
    said: list[bytes] = []

    async def main() -> None:
        ledger = SyncLedger()
        await test(Syncs(store, LIMITS, ledger, said.append), ledger)

    asyncio.run(main())
    return [json.loads(message) for message in said]


async def opened(syncs: Syncs, name: str, wanted: Filter) -> SyncStep:
    step = SyncStep(syncs.open(name), EMPTY, wanted)
    await syncs.answer(step, frozenset())
    return step


def test_a_filter_that_finds_too_much_is_refused(store: EventStore) -> None:
    async def test(syncs: Syncs, ledger: SyncLedger) -> None:
        await opened(syncs, "all", Filter())
        assert ledger.records == 0
        await opened(syncs, "ten", Filter(since=1))
        await opened(syncs, "limited", Filter(limit=10))
        assert ledger.records == 20
        await opened(syncs, "too many for all", Filter(limit=6))
        assert ledger.records == 20
        syncs.close("ten")
        await opened(syncs, "fits now", Filter(limit=6))
        assert ledger.records == 16
        syncs.close_all()
        assert ledger.records == 0

    said = run(store, test)
    assert [message[:2] for message in said] == [
        ["NEG-ERR", "all"],
        ["NEG-MSG", "ten"],
        ["NEG-MSG", "limited"],
        ["NEG-ERR", "too many for all"],
        ["NEG-MSG", "fits now"],
    ]
    assert said[0][2].startswith("blocked: more than 10 events match")
    assert said[3][2].startswith("blocked: ")


def test_an_idle_sync_is_closed(store: EventStore) -> None:
    async def test(syncs: Syncs, ledger: SyncLedger) -> None:
        step = await opened(syncs, "n", Filter(since=1))
        syncs.close_idle(step.sync.used_at + 60.0)
        assert ledger.records == 10
        syncs.close_idle(step.sync.used_at + 60.1)
        assert ledger.records == 0
        with pytest.raises(SyncRefusedError, match=r"^closed: "):
            syncs.get("n")

    said = run(store, test)
    assert [message[:2] for message in said] == [["NEG-MSG", "n"], ["NEG-ERR", "n"]]
    assert said[1][2].startswith("closed: ")


def test_a_sync_closed_meanwhile_is_not_answered(store: EventStore) -> None:
    async def test(syncs: Syncs, ledger: SyncLedger) -> None:
        step = SyncStep(syncs.open("n"), EMPTY, Filter(since=1))
        answering = asyncio.ensure_future(syncs.answer(step, frozenset()))
        await asyncio.sleep(0)
        syncs.close("n")
        await answering
        assert ledger.records == 0
        await syncs.answer(step, frozenset())

    assert run(store, test) == []


def test_reusing_a_name_ends_the_earlier_sync(store: EventStore) -> None:
    async def test(syncs: Syncs, ledger: SyncLedger) -> None:
        first = await opened(syncs, "n", Filter(since=1))
        await opened(syncs, "n", Filter(since=8))
        assert ledger.records == 3
        await syncs.answer(SyncStep(first.sync, EMPTY), frozenset())

    assert [message[:2] for message in run(store, test)] == [["NEG-MSG", "n"]] * 2
