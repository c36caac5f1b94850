"""Syncs a client's events with ours (NIP-77): the open syncs of one connection.

A sync holds the times and ids of the events that matched its filter when it was opened.  All slow work runs on the
store's reading threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field

from teleglyph.errors import EventRefusedError, StoreError
from teleglyph.events.limits import EventLimits
from teleglyph.net import TokenBucket
from teleglyph.store.events import EventStore
from teleglyph.store.query_queue import SERVER, QueryOwner
from teleglyph.wire.nostr import messages as wire
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.messages import SyncRefusedError
from teleglyph.wire.nostr.negentropy import Records


@dataclass(eq=False, slots=True)
class Sync:
    """One sync.

    Attributes:
        name: chosen by the client.
        used_at: when the client last sent a message, on the monotonic clock.
        records: of the events that match the filter; None until they were found.
        is_open: its messages are still answered.
    """

    name: str
    used_at: float
    records: Records | None = None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class SyncStep:
    """A message to be answered.

    Attributes:
        filter: of the events to sync, if the message opens the sync.
    """

    sync: Sync
    message: bytes
    filter: Filter | None = None


@dataclass(slots=True)
class SyncLedger:
    """The records that all syncs of all clients hold."""

    records: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while records are collected, so that one reading thread stays free for other queries."""


class Syncs:
    """The syncs of one connection.

    Args:
        store: holds the events.
        limits: of syncs.
        ledger: shared by all connections.
        send: queues a message for the client.
        owner: the client whose turn its queries take.
    """

    def __init__(
        self,
        store: EventStore,
        limits: EventLimits,
        ledger: SyncLedger,
        send: Callable[[bytes], None],
        owner: QueryOwner = SERVER,
    ) -> None:
        self._owner = owner
        self._store = store
        self._limits = limits
        self._ledger = ledger
        self._send = send
        self._syncs: dict[str, Sync] = {}
        self._rate = TokenBucket(limits.sync_messages_per_second, limits.sync_message_burst)

    def open(self, name: str) -> Sync:
        """Open a sync; an open one of the same name is closed first.

        Raises:
            SyncRefusedError: too many are open.
        """
        self.close(name)
        if len(self._syncs) >= self._limits.max_syncs:
            raise SyncRefusedError(f"blocked: at most {self._limits.max_syncs} syncs may be open at once", name)
        sync = self._syncs[name] = Sync(name, time.monotonic())
        return sync

    def get(self, name: str) -> Sync:
        """An open sync, to be continued.

        Raises:
            SyncRefusedError: no sync of that name is open.
        """
        sync = self._syncs.get(name)
        if sync is None:
            raise SyncRefusedError("closed: no sync of this name is open, begin with NEG-OPEN", name)
        sync.used_at = time.monotonic()
        return sync

    async def answer(self, step: SyncStep, readers: Set[str]) -> None:
        """Answer a message, unless its sync is closed by now.

        Args:
            step: the message and its exchange.
            readers: public keys that the client has proved.
        """
        sync = step.sync
        if not sync.is_open:
            return
        if pause := self._rate.consume(1.0, time.monotonic()):
            await asyncio.sleep(pause)
        try:
            answer = await self._respond(step, readers)
        except EventRefusedError as error:
            self.refuse(sync, str(error))
        except StoreError:
            self.refuse(sync, "error: the database cannot answer now")
        else:
            if sync.is_open:
                self._send(wire.sync_message(sync.name, answer))

    async def _respond(self, step: SyncStep, readers: Set[str]) -> bytes:
        sync, limits = step.sync, self._limits
        if step.filter is not None:
            async with self._ledger.turn:
                if not sync.is_open:
                    return b""
                found = self._store.records(step.filter, limits.sync_records, time.time(), readers, self._owner)
                records = await asyncio.wrap_future(found)
            if self._ledger.records + len(records) > limits.total_sync_records:
                raise EventRefusedError("blocked: too many syncs are open, try again later")
            if not sync.is_open:
                return b""
            sync.records = records
            self._ledger.records += len(records)
        if sync.records is None:
            return b""
        answer = self._store.reconcile(sync.records, step.message, limits.sync_bytes, self._owner)
        return await asyncio.wrap_future(answer)

    def refuse(self, sync: Sync, text: str) -> None:
        """Close a sync with a reason, unless it is closed by now."""
        if sync.is_open:
            self.close(sync.name)
            self._send(wire.sync_error(sync.name, text))

    def close(self, name: str) -> None:
        """Close a sync, if one of that name is open."""
        sync = self._syncs.pop(name, None)
        if sync is not None:
            sync.is_open = False
            if sync.records is not None:
                self._ledger.records -= len(sync.records)
                sync.records = None

    def close_all(self) -> None:
        """Close all syncs without sending anything."""
        for name in list(self._syncs):
            self.close(name)

    def close_idle(self, now: float) -> None:
        """Close syncs whose client has sent nothing for too long.

        Args:
            now: on the monotonic clock.
        """
        for sync in list(self._syncs.values()):
            if now - sync.used_at > self._limits.sync_timeout:
                self.refuse(sync, f"closed: no message for {self._limits.sync_timeout:g} s")
