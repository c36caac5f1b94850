"""Takes published events from all connections, checks and stores them, and passes them on to subscriptions.

Refused and ephemeral events come through here too, so that each connection gets its answers in order.  Connections take
turns.

The relay's policy and the rules of groups are checked here, just before an event is stored.  An event that may change a
group, or a request to vanish, is exclusive: it is checked when everything before it has taken effect, and nothing after
it is checked before it has.
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
from teleglyph.events.group_plan import Plan
from teleglyph.events.groups import Groups
from teleglyph.events.policy import Policy
from teleglyph.store.events import EventStore, Outcome
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent
from teleglyph.wire.nostr.groups import GroupKind

_BATCH = 500
_TURN = 50
"""Events that one publisher may add to a batch at a time, while others wait."""
_BATCHES = 2
"""Batches in the store at once: one is written while the next one is gathered."""
_DESCRIPTION_SECONDS = 1.0
"""The longest time that an answer waits for the group's new description; large groups are described less often."""
_REMOVALS = frozenset(
    {DELETION, VANISH, GroupKind.DELETE_EVENT, GroupKind.DELETE_GROUP, GroupKind.REMOVE_USER, GroupKind.LEAVE_REQUEST}
)
"""Kinds that are stored by a full relay, too, because they make room."""
_DUPLICATE = "duplicate: this event is stored already"
_ANSWERS = {
    Outcome.STORED: (True, ""),
    Outcome.DUPLICATE: (True, _DUPLICATE),
    Outcome.OLDER: (False, "replaced: a newer version is stored"),
    Outcome.DELETED: (False, "blocked: this event was deleted"),
    Outcome.OUT_OF_CONTEXT: (False, "invalid: previous refers to events that are not stored here"),
}


class Publisher(Protocol):
    """Gets the result of each event it publishes."""

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        """Handle the result; never waits."""

    def charge(self, seconds: float) -> None:
        """Charge processor time for checking events."""


@dataclass(slots=True)
class _Item:
    publisher: Publisher
    event: NostrEvent
    refusal: str | None
    """Why it is refused; None if it is not."""
    looks_up: bool
    """Answer a refused event as a duplicate if it is stored already."""
    plan: Plan | None = None
    """The changes to groups that it makes if it is new."""


class Ingest:
    """Stores events in batches.

    Args:
        store: holds the events.
        distribute: called with each new event once it is durable, in commit order, and with its changes to groups.
            Its publisher gets the answer before that; if there are changes, once all returned futures are done.
        groups: check the events that belong to them; None if there are no groups.
        policy: checks all events; None: all are accepted.
    """

    def __init__(
        self,
        store: EventStore,
        distribute: Callable[[NostrEvent, Plan | None], list[asyncio.Future[Any]]],
        groups: Groups | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.passed_on = 0
        """Batches whose events were sent to subscriptions."""
        self.begun = 0
        """Batches that were given to the store."""
        self.is_full = False
        """No more events may be stored, except those that remove others and the relay's own."""
        self._store = store
        self._distribute = distribute
        self._groups = groups
        self._policy = policy
        self._is_exclusive = False
        """The event in the store may change the rules for the next ones."""
        self._waiting: OrderedDict[Publisher, deque[_Item]] = OrderedDict()
        """Events by publisher; the publisher whose turn is next comes first."""
        self._is_turn_of_exclusive = False
        """An exclusive event waits, and others were taken last."""
        self._describing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False

    def submit(
        self, publisher: Publisher, event: NostrEvent, refusal: str | None = None, *, looks_up: bool = True
    ) -> None:
        """Queue an event.

        Args:
            publisher: gets the answer.
            event: its id and signature were checked, or there is a refusal.
            refusal: why it is refused.
            looks_up: answer a refused event as a duplicate if it is stored already.
        """
        self._waiting.setdefault(publisher, deque()).append(_Item(publisher, event, refusal, looks_up))
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        while self._waiting and not self._is_exclusive and self.begun - self.passed_on < _BATCHES:
            batch = self._next_batch()
            if not batch:
                return  # the next event is exclusive, and others are still in the store
            began = time.thread_time()
            for item in batch:
                self._check(item)
            part = (time.thread_time() - began) / len(batch)
            for publisher, count in Counter(item.publisher for item in batch).items():
                publisher.charge(count * part)
            self.begun += 1
            if self._is_exclusive and batch[0].event.kind == VANISH and batch[0].refusal is None:
                changes = [] if batch[0].plan is None else batch[0].plan.changes
                self._send(batch, self._store.store_vanish_request(batch[0].event, changes, time.time()))
                continue
            kept = [item for item in batch if _concerns_store(item)]
            lookups = frozenset(index for index, item in enumerate(kept) if item.refusal is not None)
            changes_of = {index: item.plan.changes for index, item in enumerate(kept) if item.plan is not None}
            self._send(batch, self._store.store_events([item.event for item in kept], lookups, changes_of, time.time()))

    def _send(self, batch: list[_Item], future: Future[list[Outcome]]) -> None:
        future.add_done_callback(lambda done: self._written(batch, done))

    def _next_batch(self) -> list[_Item]:
        """Events that may be checked together: some of each publisher, or one exclusive event.

        An exclusive event holds up all others, so the two kinds take turns.
        """
        exclusive = next((one for one, items in self._waiting.items() if self._is_exclusive_item(items[0])), None)
        if exclusive is None or not self._is_turn_of_exclusive:
            batch: list[_Item] = []
            while sum(self._take_some(publisher, batch) for publisher in list(self._waiting)):
                pass
            self._is_turn_of_exclusive = exclusive is not None
            if batch or exclusive is None:
                return batch
        if self.begun != self.passed_on:
            return []
        self._is_turn_of_exclusive = False
        self._is_exclusive = True
        item = self._waiting[exclusive].popleft()
        self._end_turn(exclusive)
        return [item]

    def _take_some(self, publisher: Publisher, batch: list[_Item]) -> bool:
        """Add a publisher's next events to the batch, in order, up to an exclusive one; False if there were none."""
        items, maximum = self._waiting[publisher], min(_BATCH, len(batch) + _TURN)
        count = len(batch)
        while items and len(batch) < maximum and not self._is_exclusive_item(items[0]):
            batch.append(items.popleft())
        if len(batch) == count:
            return False
        self._end_turn(publisher)
        return True

    def _end_turn(self, publisher: Publisher) -> None:
        """Move a publisher behind the others."""
        if self._waiting[publisher]:
            self._waiting.move_to_end(publisher)
        else:
            del self._waiting[publisher]

    def _is_exclusive_item(self, item: _Item) -> bool:
        if item.refusal is not None:
            return False
        return item.event.kind == VANISH or (self._groups is not None and self._groups.changes_groups(item.event))

    def _check(self, item: _Item) -> None:
        if item.refusal is not None:
            return
        try:
            if self.is_full:
                self._check_space(item.event)
            if self._policy is not None:
                self._policy.check(item.event)
            if self._groups is None:
                return
            self._groups.check(item.event, time.time())
        except EventRefusedError as error:
            item.refusal = str(error)
        else:
            item.plan = self._groups.plan(item.event) if self._is_exclusive else None

    def _check_space(self, event: NostrEvent) -> None:
        is_own = self._groups is not None and event.pubkey == self._groups.own_key
        if not (event.is_ephemeral or event.kind in _REMOVALS or is_own):
            raise EventRefusedError("error: the relay is full; ask its host to remove events or to allow more")

    def _written(self, batch: list[_Item], future: Future[list[Outcome]]) -> None:
        """Called on the store's thread."""
        try:
            self._loop.call_soon_threadsafe(self._finish, batch, future)
        except RuntimeError:
            return  # the loop is closed, so no client is left

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
                self._distribute(event, None)
            return
        outcome = next(outcomes)
        if item.refusal is not None:
            is_here = outcome is Outcome.DUPLICATE
            item.publisher.answer(event, is_here, _DUPLICATE if is_here else item.refusal)
            return
        if outcome is Outcome.STORED and item.plan is not None:
            if not (written := self._distribute(event, item.plan)):
                item.publisher.answer(event, *_ANSWERS[outcome])
                return
            # A client may request the group's description as soon as it gets the answer.
            described = self._loop.create_task(_wait_for(written), name="descriptions")
            self._describing.add(described)
            described.add_done_callback(self._describing.discard)
            described.add_done_callback(lambda _: item.publisher.answer(event, *_ANSWERS[outcome]))
            return
        item.publisher.answer(event, *_ANSWERS[outcome])
        if outcome is Outcome.STORED:
            self._distribute(event, None)


async def _wait_for(futures: Iterable[asyncio.Future[Any]]) -> None:
    await asyncio.wait(list(futures), timeout=_DESCRIPTION_SECONDS)


def _concerns_store(item: _Item) -> bool:
    return item.looks_up if item.refusal is not None else not item.event.is_ephemeral
