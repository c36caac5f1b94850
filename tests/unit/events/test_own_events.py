"""Events that the relay itself publishes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from teleglyph.events import own_events
from teleglyph.events.own_events import OwnEvents
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.keys import public_key

KEY = bytes(31) + b"\1"
MEMBERS = 39002


@pytest.fixture(autouse=True)
def without_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine publishing takes long, and so would the rest after it."""
    monkeypatch.setattr(own_events, "_REST", 0.0)


class Store:
    """Takes published events; answers at once, or on command."""

    def __init__(self) -> None:
        self.events: list[NostrEvent] = []
        self.unanswered: list[Callable[[], None]] = []
        self.holds = False
        self.accepts = True

    def submit(self, publisher: Any, event: NostrEvent) -> None:
        self.events.append(event)
        accepted = self.accepts
        if self.holds:
            self.unanswered.append(lambda: publisher.answer(event, accepted, ""))
        else:
            publisher.answer(event, accepted, "no")

    def answer(self) -> None:
        waiting, self.unanswered = self.unanswered, []
        for one in waiting:
            one()


class Relay:
    def __init__(self) -> None:
        self.store = Store()
        self.now = 1_000_000.0
        self.own = OwnEvents(KEY, self.store, lambda: self.now)  # type: ignore[arg-type]

    def publish_members(self, *members: str) -> asyncio.Future[None]:
        return self.own.replace(MEMBERS, "g", lambda: [["d", "g"], *(["p", one] for one in members)])

    @property
    def published(self) -> list[list[str]]:
        return [[tag[1] for tag in event.tags[1:]] for event in self.store.events if event.kind == MEMBERS]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)


def run(scene: Callable[[Relay], Coroutine[None, None, None]]) -> None:
    async def play() -> None:
        relay = Relay()
        async with asyncio.timeout(20):
            await scene(relay)
        relay.own.stop()

    asyncio.run(play())


def test_a_version_is_signed_in_another_thread_and_stored() -> None:
    async def scene(relay: Relay) -> None:
        threads = []

        def tags() -> list[list[str]]:
            threads.append(threading.current_thread())
            return [["d", "g"]]

        await relay.own.replace(MEMBERS, "g", tags)
        (event,) = relay.store.events
        assert (event.kind, event.tags, event.created_at) == (MEMBERS, [["d", "g"]], 1_000_000)
        assert event.pubkey == public_key(KEY)
        assert threads != [threading.main_thread()]

    run(scene)


def test_waiting_versions_become_one_and_all_waiters_are_notified() -> None:
    async def scene(relay: Relay) -> None:
        relay.store.holds = True
        first = relay.publish_members("a")
        await until(lambda: bool(relay.store.events))
        later = [relay.publish_members(*"abcdefgh"[: count + 2]) for count in range(6)]
        await asyncio.sleep(0.05)
        assert relay.published == [["a"]]
        assert not first.done()
        relay.store.holds = False
        relay.store.answer()
        await asyncio.gather(first, *later)
        assert relay.published == [["a"], [*"abcdefg"]]

    run(scene)


def test_each_version_is_later_than_the_one_before() -> None:
    async def scene(relay: Relay) -> None:
        for number in range(10):
            await relay.publish_members(str(number))
        assert [event.created_at - 1_000_000 for event in relay.store.events] == list(range(10))

    run(scene)


def test_versions_do_not_run_ahead_of_the_clock() -> None:
    async def scene(relay: Relay) -> None:
        for number in range(own_events._AHEAD + 1):
            await relay.publish_members(str(number))
        more = relay.publish_members("more")
        await asyncio.sleep(0.2)
        assert not more.done(), "the clock has to go on first"
        relay.now += 1
        await more
        assert relay.store.events[-1].created_at <= relay.now + own_events._AHEAD

    run(scene)


def test_large_versions_leave_time_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_events, "_REST", 1e9)

    async def scene(relay: Relay) -> None:
        await relay.publish_members("a")
        later = relay.publish_members("b")
        await asyncio.sleep(0.1)
        assert relay.published == [["a"]]
        assert not later.done()
        await relay.own.replace(MEMBERS, "another", lambda: [["d", "another"]])

    run(scene)


def test_events_of_a_wrong_clock_are_deleted_and_published_again() -> None:
    async def scene(relay: Relay) -> None:
        old = sign_event(KEY, 1_000_000 + 365 * 86_400, MEMBERS, [["d", "g"], ["p", "a"]])
        relay.own.remember(old)
        assert relay.own.is_from_the_future(MEMBERS, "g")
        await relay.publish_members("a")
        deletion, published = relay.store.events
        assert (deletion.kind, deletion.tags) == (5, [["e", old.id]])
        assert published.created_at == 1_000_000
        assert not relay.own.is_from_the_future(MEMBERS, "g")

    run(scene)


def test_a_clock_that_was_set_back_does_not_stop_the_relay() -> None:
    async def scene(relay: Relay) -> None:
        await relay.publish_members("a")
        relay.now -= 3600
        await relay.publish_members("b")
        assert [event.kind for event in relay.store.events] == [MEMBERS, 5, MEMBERS]
        assert relay.store.events[-1].created_at == 1_000_000 - 3600

    run(scene)


def test_an_event_stored_earlier_is_replaced_by_a_later_one() -> None:
    async def scene(relay: Relay) -> None:
        relay.own.remember(sign_event(KEY, 1_000_005, MEMBERS, [["d", "g"]]))
        await relay.publish_members("a")
        assert relay.store.events[0].created_at == 1_000_006

    run(scene)


def test_an_event_that_could_not_be_stored_is_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_events, "_RETRY_SECONDS", 0.05)

    async def scene(relay: Relay) -> None:
        relay.store.accepts = False
        await relay.publish_members("a")
        relay.store.accepts = True
        await until(lambda: len(relay.store.events) == 2)
        await asyncio.sleep(0.2)
        assert relay.published == [["a"], ["a"]], "published once more, and then never again"

    run(scene)


def test_nothing_more_is_published_for_a_removed_address() -> None:
    async def scene(relay: Relay) -> None:
        await relay.publish_members("a")
        relay.now -= 2
        waiting = relay.publish_members("b")
        assert await relay.own.remove("g", [MEMBERS])
        await waiting
        await asyncio.sleep(0.05)
        assert [event.kind for event in relay.store.events] == [MEMBERS, 5]
        deletion = relay.store.events[-1]
        assert deletion.tags == [["a", f"{MEMBERS}:{public_key(KEY)}:g"]]
        assert deletion.created_at >= relay.store.events[0].created_at
        assert len(relay.own) == 0
        await relay.publish_members("c")
        assert relay.store.events[-1].created_at > deletion.created_at, "or it would be deleted already"

    run(scene)
