"""The way of events: from all connections to the store and on to the subscriptions.

Everything that a connection publishes comes through here, also what is refused or only passed on, so that the answers
come in the order of the questions.  Connections take turns.

Whether the relay's lists and a group take an event is decided here, just before it is written.  An event that may
change a group, or a request to vanish, is written alone: it is decided when everything before it has taken effect, and
nothing after it is decided before it has.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from teleglyph.errors import EventRefusedError, StoreError
from teleglyph.events.groups import Groups, Plan
from teleglyph.events.policy import Policy
from teleglyph.store.events import EventStore, Outcome
from teleglyph.wire.nostr.event import VANISH, NostrEvent

_BATCH = 500
_TURN = 50
"""Events of one publisher at a time, while others wait as well."""
_BATCHES = 2
"""At the database at once: one is written while the next one is gathered."""
_DESCRIPTION_SECONDS = 1.0
"""For which the answer about a change waits until the group is described; large groups are not described so often."""
_DUPLICATE = "duplicate: this event is here already"
_ANSWERS = {
    Outcome.STORED: (True, ""),
    Outcome.DUPLICATE: (True, _DUPLICATE),
    Outcome.OLDER: (False, "replaced: a newer version is here"),
    Outcome.DELETED: (False, "blocked: its author deleted this event"),
    Outcome.OUT_OF_CONTEXT: (False, "invalid: it refers in previous to events that are not here"),
}


class Publisher(Protocol):
    """Who is told what became of an event."""

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        """Take the answer; never waits."""

    def charge(self, seconds: float) -> None:
        """Pay for processor time that deciding about an event took."""


@dataclass(slots=True)
class _Item:
    publisher: Publisher
    event: NostrEvent
    refusal: str | None
    """Why it is not taken."""
    asks: bool
    """It is answered as a duplicate, refused or not, if it is here already."""
    plan: Plan | None = None
    """What follows for groups if it is new."""


class Ingest:
    """Events on their way.

    Args:
        store: where they are kept.
        pass_on: called with each new event once it is durable, in the order of the commits, after its publisher has
            got the answer; and with what it means for groups.  If it means something, the publisher gets the answer
            when everything that was returned is done.
        groups: decide about the events that belong to them; None if there are none.
        policy: decides about all events; None: everything may come in.
    """

    def __init__(
        self,
        store: EventStore,
        pass_on: Callable[[NostrEvent, Plan | None], list[asyncio.Future[Any]]],
        groups: Groups | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.passed_on = 0
        """Batches whose events have reached the subscriptions."""
        self.begun = 0
        """Batches that were handed to the store."""
        self._store = store
        self._pass_on = pass_on
        self._groups = groups
        self._policy = policy
        self._is_exclusive = False
        """What is on its way may change what the next events are judged by."""
        self._waiting: OrderedDict[Publisher, deque[_Item]] = OrderedDict()
        """What each publisher wants to have stored; whose turn is next comes first."""
        self._is_turn_of_alone = False
        """What stands alone waits, and something else was taken last."""
        self._describing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False

    def put(self, publisher: Publisher, event: NostrEvent, refusal: str | None = None, *, asks: bool = True) -> None:
        """Take an event.

        Args:
            publisher: gets the answer.
            event: its id and signature were checked, or there is a refusal.
            refusal: why it cannot be taken.
            asks: an event that is here already is answered as such, although there is a refusal.
        """
        self._waiting.setdefault(publisher, deque()).append(_Item(publisher, event, refusal, asks))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        while self._waiting and not self._is_exclusive and self.begun - self.passed_on < _BATCHES:
            batch = self._next_batch()
            if not batch:
                return  # the next one has to wait for those that are on their way
            began = time.thread_time()
            for item in batch:
                self._decide(item)
            part = (time.thread_time() - began) / len(batch)
            for publisher, count in Counter(item.publisher for item in batch).items():
                publisher.charge(count * part)
            self.begun += 1
            if self._is_exclusive and batch[0].event.kind == VANISH and batch[0].refusal is None:
                changes = [] if batch[0].plan is None else batch[0].plan.changes
                self._send(batch, self._store.vanish(batch[0].event, changes, time.time()))
                continue
            kept = [item for item in batch if _concerns_store(item)]
            asked = frozenset(place for place, item in enumerate(kept) if item.refusal is not None)
            planned = {place: item.plan.changes for place, item in enumerate(kept) if item.plan is not None}
            self._send(batch, self._store.put([item.event for item in kept], asked, planned, time.time()))

    def _send(self, batch: list[_Item], future: Future[list[Outcome]]) -> None:
        future.add_done_callback(lambda done: self._written(batch, done))

    def _next_batch(self) -> list[_Item]:
        """Items that may be decided together: some of each publisher, or one that stands alone.

        What stands alone holds everything else up, so it is taken in turns with what does not.
        """
        alone = next((one for one, items in self._waiting.items() if self._stands_alone(items[0])), None)
        if alone is None or not self._is_turn_of_alone:
            batch: list[_Item] = []
            while sum(self._take_some(publisher, batch) for publisher in list(self._waiting)):
                pass
            self._is_turn_of_alone = alone is not None
            if batch or alone is None:
                return batch
        if self.begun != self.passed_on:
            return []
        self._is_turn_of_alone = False
        self._is_exclusive = True
        item = self._waiting[alone].popleft()
        self._took(alone)
        return [item]

    def _take_some(self, publisher: Publisher, batch: list[_Item]) -> bool:
        """Take a publisher's next items, in their order, up to one that stands alone; whether there were any."""
        items, most = self._waiting[publisher], min(_BATCH, len(batch) + _TURN)
        count = len(batch)
        while items and len(batch) < most and not self._stands_alone(items[0]):
            batch.append(items.popleft())
        if len(batch) == count:
            return False
        self._took(publisher)
        return True

    def _took(self, publisher: Publisher) -> None:
        """A publisher has had its turn."""
        if self._waiting[publisher]:
            self._waiting.move_to_end(publisher)
        else:
            del self._waiting[publisher]

    def _stands_alone(self, item: _Item) -> bool:
        if item.refusal is not None:
            return False
        return item.event.kind == VANISH or (self._groups is not None and self._groups.changes_groups(item.event))

    def _decide(self, item: _Item) -> None:
        if item.refusal is not None:
            return
        try:
            if self._policy is not None:
                self._policy.check(item.event)
            if self._groups is None:
                return
            self._groups.check(item.event, time.time())
        except EventRefusedError as error:
            item.refusal = str(error)
        else:
            item.plan = self._groups.plan(item.event) if self._is_exclusive else None

    def _written(self, batch: list[_Item], future: Future[list[Outcome]]) -> None:
        """On the store's thread."""
        try:
            self._loop.call_soon_threadsafe(self._finish, batch, future)
        except RuntimeError:
            return  # the loop is closed: nobody is there to be told

    def _finish(self, batch: list[_Item], future: Future[list[Outcome]]) -> None:
        try:
            outcomes = iter(future.result())
        except StoreError:
            for item in batch:
                item.publisher.answer(item.event, False, item.refusal or "error: the event could not be stored")
        else:
            for item in batch:
                self._conclude(item, outcomes)
        self.passed_on += 1
        self._is_exclusive = False
        self._begin()

    def _conclude(self, item: _Item, outcomes: Iterator[Outcome]) -> None:
        event = item.event
        if not _concerns_store(item):
            item.publisher.answer(event, item.refusal is None, item.refusal or "")
            if item.refusal is None:
                self._pass_on(event, None)
            return
        outcome = next(outcomes)
        if item.refusal is not None:
            is_here = outcome is Outcome.DUPLICATE
            item.publisher.answer(event, is_here, _DUPLICATE if is_here else item.refusal)
            return
        if outcome is Outcome.STORED and item.plan is not None:
            if not (written := self._pass_on(event, item.plan)):
                item.publisher.answer(event, *_ANSWERS[outcome])
                return
            # Who is told that a group has changed may ask for its description at once.
            described = self._loop.create_task(_done(written), name="descriptions")
            self._describing.add(described)
            described.add_done_callback(self._describing.discard)
            described.add_done_callback(lambda _: item.publisher.answer(event, *_ANSWERS[outcome]))
            return
        item.publisher.answer(event, *_ANSWERS[outcome])
        if outcome is Outcome.STORED:
            self._pass_on(event, None)


async def _done(futures: Iterable[asyncio.Future[Any]]) -> None:
    await asyncio.wait(list(futures), timeout=_DESCRIPTION_SECONDS)


def _concerns_store(item: _Item) -> bool:
    return item.asks if item.refusal is not None else not item.event.is_ephemeral
