"""Ingest of events, with a store that answers on command."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from teleglyph.errors import StoreError
from teleglyph.events.group_plan import Plan
from teleglyph.events.groups import Groups
from teleglyph.events.ingest import Ingest
from teleglyph.store.events import Outcome
from teleglyph.store.groups import GroupChange
from teleglyph.wire.nostr.event import NostrEvent, sign_event

KEY = bytes([1]) * 32


class SlowStore:
    """Takes batches and waits."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[NostrEvent], frozenset[int], Future[list[Outcome]]]] = []
        self.changes: list[Mapping[int, Sequence[GroupChange]]] = []

    def store_events(
        self,
        events: Sequence[NostrEvent],
        asked: frozenset[int],
        changes: Mapping[int, Sequence[GroupChange]],
        _now: float,
    ) -> Future[list[Outcome]]:
        self.batches.append((list(events), asked, Future()))
        self.changes.append(changes)
        return self.batches[-1][2]


class Writer:
    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.charged = 0.0

    def charge(self, seconds: float) -> None:
        self.charged += seconds

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        self.log.append((event.content, accepted, text))


def make(content: str, kind: int = 1) -> NostrEvent:
    return sign_event(KEY, 1, kind, (), content)


def run(test: Callable[[Ingest, SlowStore, Writer], Awaitable[None]]) -> list[Any]:
    log: list[Any] = []

    async def main() -> None:
        store = SlowStore()
        ingest = Ingest(store, lambda event, _plan: log.append(event.content))  # type: ignore[arg-type, return-value]
        await test(ingest, store, Writer(log))

    asyncio.run(main())
    return log


async def run_ready_tasks() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def test_answers_come_in_order_and_before_the_event() -> None:
    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        ingest.submit(writer, make("one"))
        ingest.submit(writer, make("forged"), "invalid: forged")
        ingest.submit(writer, make("typing", 20000))
        ingest.submit(writer, make("too fast"), "rate-limited: x", looks_up=False)
        ingest.submit(writer, make("known"))
        ingest.submit(writer, make("sent again"), "pow: x")
        await run_ready_tasks()
        events, asked, future = store.batches[0]
        assert [event.content for event in events] == ["one", "forged", "known", "sent again"]
        assert asked == {1, 3}
        assert writer.log == [], "nothing is answered before it is durable, and the order is kept"
        future.set_result([Outcome.STORED, Outcome.ABSENT, Outcome.OLDER, Outcome.DUPLICATE])
        await run_ready_tasks()

    assert run(test) == [
        ("one", True, ""),
        "one",
        ("forged", False, "invalid: forged"),
        ("typing", True, ""),
        "typing",
        ("too fast", False, "rate-limited: x"),
        ("known", False, "replaced: a newer version is stored"),
        ("sent again", True, "duplicate: this event is stored already"),
    ]


def test_a_failed_batch_is_an_error_for_all_its_events_only() -> None:
    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        ingest.submit(writer, make("lost"))
        await run_ready_tasks()
        ingest.submit(writer, make("kept"))
        await run_ready_tasks()
        store.batches[0][2].set_exception(StoreError("disk full"))
        store.batches[1][2].set_result([Outcome.STORED])
        await run_ready_tasks()

    assert run(test) == [("lost", False, "error: the event could not be stored"), ("kept", True, ""), "kept"]


def test_events_that_arrive_meanwhile_become_one_batch() -> None:
    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        for number in range(2):
            ingest.submit(writer, make(f"first {number}"))
            await run_ready_tasks()
        for number in range(600):
            ingest.submit(writer, make(str(number)))
        await run_ready_tasks()
        assert [len(batch[0]) for batch in store.batches] == [1, 1], "two at a time"
        store.batches[0][2].set_result([Outcome.STORED])
        await run_ready_tasks()
        assert [len(batch[0]) for batch in store.batches] == [1, 1, 500]
        store.batches[1][2].set_result([Outcome.STORED])
        store.batches[2][2].set_result([Outcome.STORED] * 500)
        await run_ready_tasks()
        assert [len(batch[0]) for batch in store.batches] == [1, 1, 500, 100]
        assert (ingest.begun, ingest.passed_on) == (4, 3)

    run(test)


# --- groups -----------------------------------------------------------------------------------------------------------


def in_group(kind: int, key: bytes = KEY, *tags: list[str]) -> NostrEvent:
    return sign_event(key, int(time.time()), kind, [["h", "g"], *tags], f"{kind}")


def with_groups(
    test: Callable[[Ingest, SlowStore, Writer], Awaitable[None]], described: Sequence[asyncio.Future[None]] = ()
) -> list[Any]:
    log: list[Any] = []

    async def main() -> None:
        store, groups = SlowStore(), Groups("ab" * 32)

        def pass_on(event: NostrEvent, plan: Plan | None) -> list[asyncio.Future[None]]:
            log.append(event.content)
            if plan is None:
                return []
            groups.install(plan)
            return list(described)

        await test(Ingest(store, pass_on, groups), store, Writer(log))  # type: ignore[arg-type]

    asyncio.run(main())
    return log


def test_an_event_that_changes_a_group_is_decided_alone() -> None:
    bob = bytes([2]) * 32
    bobs_key = sign_event(bob, 1, 1).pubkey

    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        ingest.submit(writer, make("before"))
        ingest.submit(writer, in_group(9007))
        ingest.submit(writer, in_group(9000, KEY, ["p", bobs_key, "admin"]))
        ingest.submit(writer, in_group(9001, bob, ["p", sign_event(KEY, 1, 1).pubkey]))
        ingest.submit(writer, in_group(9002, KEY, ["private"]))
        ingest.submit(writer, make("after"))
        for number, content in enumerate(["before", "9007", "9000", "9001", "9002", "after"]):
            await run_ready_tasks()
            assert [event.content for event in store.batches[-1][0]] == [content]
            assert len(store.batches) == number + 1, "nothing else is being stored"
            refused = store.batches[-1][1] == {0}
            store.batches[-1][2].set_result([Outcome.ABSENT if refused else Outcome.STORED])
            await run_ready_tasks()
        assert [len(changes) for changes in store.changes] == [0, 1, 1, 1, 0, 0]

    log = with_groups(test)
    assert ("9001", True, "") in log
    assert ("9002", False, "restricted: your role in this group does not allow that") in log


def test_a_change_of_a_group_is_answered_after_its_description_is_stored() -> None:
    described: list[asyncio.Future[None]] = []

    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        described.extend(asyncio.get_running_loop().create_future() for _ in range(2))
        ingest.submit(writer, in_group(9007))
        ingest.submit(writer, make("after"))
        for _ in range(2):
            await run_ready_tasks()
            store.batches[-1][2].set_result([Outcome.STORED])
            await run_ready_tasks()
        described[0].set_result(None)
        await run_ready_tasks()
        writer.log.append("one is stored")
        described[1].set_exception(StoreError("disk full"))
        await run_ready_tasks()

    assert with_groups(test, described) == [
        "9007",
        ("after", True, ""),
        "after",
        "one is stored",
        ("9007", True, ""),
    ]


def test_a_change_that_was_not_stored_has_no_effect() -> None:
    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        ingest.submit(writer, in_group(9007))
        await run_ready_tasks()
        store.batches[0][2].set_exception(StoreError("disk full"))
        await run_ready_tasks()
        ingest.submit(writer, in_group(9002, KEY, ["private"]))
        await run_ready_tasks()
        store.batches[1][2].set_result([Outcome.ABSENT])
        await run_ready_tasks()

    assert with_groups(test) == [
        ("9007", False, "error: the event could not be stored"),
        ("9002", False, 'invalid: there is no group "g" here'),
    ]


def test_an_author_with_many_events_that_cannot_be_batched_does_not_delay_others() -> None:
    order: list[str] = []

    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        ingest._is_exclusive_item = lambda item: item.event.content.startswith("alone")  # type: ignore[method-assign]
        greedy, modest = Writer(order), Writer(order)
        for number in range(5):
            ingest.submit(greedy, make(f"alone {number}"))
        ingest.submit(modest, make("a"))
        await run_ready_tasks()
        for _ in range(7):
            while store.batches and not store.batches[-1][2].done():
                events, _, future = store.batches[-1]
                if events[0].content == "alone 1":
                    ingest.submit(modest, make("b"))
                future.set_result([Outcome.STORED] * len(events))
                await run_ready_tasks()

    run(test)
    stored = [entry[0] for entry in order]
    assert stored[0] == "a", "before the first of five"
    assert stored.index("b") <= stored.index("alone 2")
    assert [content for content in stored if content.startswith("alone")] == [f"alone {number}" for number in range(5)]


def test_publishers_take_turns_and_each_keeps_its_order() -> None:
    order: list[str] = []

    async def test(ingest: Ingest, store: SlowStore, writer: Writer) -> None:
        many, few = Writer(order), Writer(order)
        for number in range(600):
            ingest.submit(many, make(f"many {number}"))
        for number in range(3):
            ingest.submit(few, make(f"few {number}"))
        await run_ready_tasks()
        for batch in store.batches:
            batch[2].set_result([Outcome.STORED] * len(batch[0]))
        await run_ready_tasks()

    run(test)
    stored = [entry[0] for entry in order]
    assert stored.index("few 2") < 60
    of_many = [one for one in stored if one.startswith("many")]
    assert of_many == [f"many {number}" for number in range(len(of_many))]
    assert len(of_many) >= 497
