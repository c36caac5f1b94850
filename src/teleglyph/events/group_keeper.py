"""Carries out changes to groups: in memory, in the database, and in the events that describe them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from teleglyph.errors import StoreError
from teleglyph.events.group_metadata import describe
from teleglyph.events.group_plan import OWN_KINDS, Plan
from teleglyph.events.groups import Groups
from teleglyph.events.ingest import Ingest
from teleglyph.events.kinds import EventKind
from teleglyph.events.own_events import OwnEvents
from teleglyph.events.presence import Presence
from teleglyph.store.events import EventStore
from teleglyph.store.groups import GroupStore
from teleglyph.wire.nostr.event import NostrEvent, decode_stored
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import DESCRIPTIONS, GroupKind, group_of

_log = logging.getLogger(__name__)
_MAX_STORED, _PAGE = 1 << 20, 500


class GroupKeeper:
    """Keeps the groups of a relay.

    Args:
        key: the relay's secret key, 32 bytes.
        groups: their state in memory.
        store: holds events and groups.
        ingest: takes the relay's own events.
    """

    def __init__(self, key: bytes, groups: Groups, store: EventStore, ingest: Ingest) -> None:
        self._groups = groups
        self._store = store
        self._group_store = GroupStore(store.database)
        self._own = OwnEvents(key, ingest)
        self._presence = Presence()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, own: Mapping[str, str], admins: Sequence[str]) -> None:
        """Load all groups, and create those of the relay itself that do not exist.

        Args:
            own: names of the relay's own groups, by id.
            admins: public keys of their admins.
        """
        records = await asyncio.wrap_future(self._group_store.load())
        self._groups.load(records)
        described = await self._find_all(
            Filter(authors=frozenset([self._groups.own_key]), kinds=frozenset(DESCRIPTIONS)),
            Filter(kinds=frozenset([GroupKind.CREATE_INVITE])),
        )
        for event in described:
            if event.pubkey == self._groups.own_key:
                self._own.remember(event)
        if not len(self._groups):
            adopted = self._groups.adopt(described)
            for change in adopted.changes:
                await asyncio.wrap_future(self._group_store.write(change))
            self._groups.install(adopted)
        for name in self._groups.of_rooms():
            self.remove(name)  # the rooms of an earlier process are gone
        for name in self._groups.ended():
            self._start_erasing(name)
        # An earlier process may have died between a change and its description.
        stored = {(event.kind, event.address): event.tags for event in described}
        for kind, record in self._groups.descriptions():
            is_current = stored.get((kind, record.id)) == describe(record, kind)
            if not is_current or self._own.is_from_the_future(kind, record.id):
                self._own.replace(kind, record.id, partial(describe, record, kind))
        # The start waits for new groups only: there may be thousands of others to describe again.
        await asyncio.gather(*(one for name, title in own.items() for one in self.create(name, title, admins)))

    async def _find_all(self, *filters: Filter) -> list[NostrEvent]:
        """All stored events that match filters, regardless of who may read them."""
        found = await asyncio.wrap_future(self._store.find(filters, _MAX_STORED, _MAX_STORED, time.time()))
        events: list[NostrEvent] = []
        for start in range(0, len(found), _PAGE):
            bodies = await asyncio.wrap_future(self._store.bodies(found[start : start + _PAGE]))
            events += [decode_stored(body) for _, body in bodies]
        return events

    def create(self, name: str, title: str, admins: Sequence[str] = ()) -> list[asyncio.Future[Any]]:
        """Create a group of the relay's own, open to everybody, unless it exists.

        Returns:
            for each of its descriptions, done when it is stored or refused.
        """
        if self._groups.get(name) is not None:
            return []
        return self._carry_out(self._groups.plan_own_group(name, title, admins))

    def remove(self, name: str) -> None:
        """Remove a group of the relay's own; its messages stay."""
        if self._groups.get(name) is not None:
            self._carry_out(self._groups.plan_removal(name))

    def install(self, plan: Plan) -> list[asyncio.Future[Any]]:
        """Apply a plan that is durable, and publish the descriptions that change.

        Returns:
            for each of them, done when it is stored or refused.
        """
        self._groups.install(plan)
        written: list[asyncio.Future[Any]] = [self._own.publish(kind, tags) for kind, tags in plan.templates]
        for kind, record in plan.described:
            written.append(self._own.replace(kind, record.id, partial(describe, record, kind)))
        for name in plan.removed:
            written.append(self._own.remove(name, OWN_KINDS))
        if plan.ended is not None:
            self._start_erasing(plan.ended)
        return written

    def record_presence(self, event: NostrEvent) -> None:
        """Record the presence of its author in a group, if the event announces that."""
        # Only in existing groups, because names cost nothing to invent.
        if event.kind == EventKind.PRESENCE and self._groups.get(group_of(event)) is not None:
            self._presence.record(event, time.time())

    def publish_presence(self) -> None:
        """Publish who is live in each group, except in private ones, whose presence only members may read."""
        for name, people in self._presence.changes(time.time()):
            group = self._groups.get(name)
            if group is not None and "private" not in group.flags:
                tags = [["d", name], *(["participant", key] for key in people)]
                self.replace(GroupKind.PARTICIPANTS, name, tags)

    def replace(self, kind: int, address: str, tags: Sequence[Sequence[str]]) -> asyncio.Future[None]:
        """Publish a replaceable event of the relay itself.

        Returns:
            done when this version or a later one is stored or refused.
        """
        return self._own.replace(kind, address, lambda: tags)

    def stop(self) -> None:
        """Publish nothing more, and leave unfinished work to the next process."""
        for task in self._tasks:
            task.cancel()
        self._own.stop()

    def _carry_out(self, plan: Plan) -> list[asyncio.Future[Any]]:
        """Carry out a plan of the relay itself, which no event caused."""
        for change in plan.changes:
            self._group_store.write(change).add_done_callback(_log_failure)
        return self.install(plan)

    def _start_erasing(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._erase(name), name="end of a group")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _erase(self, name: str) -> None:
        """Erase the events of a deleted group, then the group."""
        try:
            while await asyncio.wrap_future(self._store.erase_group_slice(name)):
                pass
        except StoreError as error:
            _log.error(
                "Group %s is deleted, but its events are still stored; retrying at the next start: %s", name, error
            )
            return
        self._carry_out(self._groups.plan_removal(name))


def _log_failure(written: Future[None]) -> None:
    if (error := written.exception()) is not None:
        _log.error("Storing the state of a group failed: %s", error)
