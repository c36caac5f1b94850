"""The relay on an event loop: its clients, what is common to them, and looking after those that fall silent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from teleglyph.errors import PeerError, PeerTimeoutError, RateLimitError, SeatEndedError, StoreError
from teleglyph.events.erasures import Erasures
from teleglyph.events.groups import OWN_KINDS, Groups, Plan, describe, may_read
from teleglyph.events.ingest import Ingest
from teleglyph.events.limits import EventLimits
from teleglyph.events.management import Management
from teleglyph.events.matcher import Matcher
from teleglyph.events.own_events import OwnEvents
from teleglyph.events.policy import Policy
from teleglyph.events.presence import PRESENCE, Presence
from teleglyph.events.session import (
    GOING_AWAY,
    NOT_TEXT,
    POLICY,
    AddressRates,
    EventSession,
    Subscription,
)
from teleglyph.events.sync import SyncLedger
from teleglyph.net import Absences, Connection, OutboxBudget, OwnNames, SlidingWindow, TokenBucket, needs_ping, overdue
from teleglyph.net.websocket import BinaryMessage, TextMessage, WebSocketSession
from teleglyph.store.events import EventStore
from teleglyph.store.groups import GroupStore
from teleglyph.store.moderation import Erasure, ModerationStore, RuleChange
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent, decode_kept
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import DESCRIPTIONS, GroupKind, group_of
from teleglyph.wire.nostr.keys import public_key
from teleglyph.wire.nostr.messages import EVENT_TAIL

_log = logging.getLogger(__name__)
_SWEEP_SECONDS = 60.0
_ALL_EVENTS, _PAGE = 1 << 20, 500
_LOOK_SECONDS = 1.0


@dataclass(slots=True)
class EventCounters:
    """What the relay did."""

    published: int = 0
    """Events that were new."""
    delivered: int = 0
    """Live events that were queued."""
    subscriptions_ended: int = 0
    """Because their client was too slow."""
    events_purged: int = 0
    """Queued events that were taken back with their subscription."""
    closed_as_slow: int = 0
    expired: int = 0


def _report(written: Future[None]) -> None:
    if (error := written.exception()) is not None:
        _log.error("A group's state could not be stored: %s", error)


class EventsService:
    """The relay.

    Args:
        store: where events are kept.
        limits: what is allowed.
        key: the relay's secret Nostr key, 32 bytes, with which it keeps groups; None: it keeps none.
        admin: public key of who may manage the relay over HTTP (NIP-86); empty: nobody may.
    """

    def __init__(
        self, store: EventStore, limits: EventLimits | None = None, key: bytes | None = None, admin: str = ""
    ) -> None:
        self.store = store
        self.limits = limits or EventLimits()
        self.counters = EventCounters()
        self.matcher: Matcher[Subscription] = Matcher()
        self.groups = None if key is None else Groups(public_key(key))
        own_key = "" if self.groups is None else self.groups.own_key
        self.policy = Policy(own_key)
        self.ingest = Ingest(store, self.pass_on, self.groups, self.policy)
        self.vanish_rate = SlidingWindow(self.limits.vanish_per_hour, 3600.0)
        self._moderation = ModerationStore(store.database)
        self.erasures = Erasures(self._moderation)
        self.management = (
            Management(self._moderation, self.policy, frozenset([admin]), frozenset([own_key]), self._decided)
            if admin
            else None
        )
        """Carries out the administrator's requests; None without an administrator."""
        self.budget = OutboxBudget(self.limits.total_queued_bytes)
        self.sync_ledger = SyncLedger()
        self.request_bytes = 0
        """Of all questions that wait for their answers."""
        self.sessions: dict[EventSession, WebSocketSession] = {}
        rate, burst = self.limits.events_per_second or 1.0, self.limits.event_burst
        self._own = None if key is None else OwnEvents(key, self.ingest)
        self._sweeping: asyncio.Task[None] | None = None
        self._question_seconds = 0.0
        self._presence = Presence()
        self._tasks: set[asyncio.Task[None]] = set()
        self._group_store = GroupStore(store.database)
        self._rates = AddressRates(lambda: TokenBucket(rate, burst))

    def pass_on(self, event: NostrEvent, plan: Plan | None = None) -> list[asyncio.Future[Any]]:
        """Give a new event to everybody who asks for it.

        Args:
            event: stored, or ephemeral.
            plan: what has changed about groups with it.

        Returns:
            for each of the group's descriptions that have changed, done when it is stored or refused.
        """
        self.counters.published += 1
        described = [] if plan is None else self._install(plan)
        self._deliver(event)
        return described

    def _deliver(self, event: NostrEvent) -> None:
        # Only of groups that there are: names cost nothing to make up.
        if event.kind == PRESENCE and self.groups is not None and self.groups.get(group_of(event)) is not None:
            self._presence.note(event, time.time())
        if event.kind in (DELETION, GroupKind.DELETE_EVENT):
            self._sweep_soon()
        if event.kind == VANISH:
            self.policy.vanish(event)
            self.erasures.begin([Erasure(event.pubkey, is_ban=False)])
        subscriptions = self.matcher.matching(event)
        if not subscriptions or (event.expires_at is not None and event.expires_at <= time.time()):
            return
        body = event.text + EVENT_TAIL
        is_for_all = self.may_read(event, frozenset())
        for subscription in subscriptions:
            session = subscription.session
            if subscription.is_open and (is_for_all or self.may_read(event, session.authenticated)):
                session.deliver(subscription, event, body)

    def charge_question(self, connection: Connection, seconds: float) -> None:
        """Count a database reader's time, and charge it to the connection that asked."""
        self._question_seconds += seconds
        connection.charge(seconds, elsewhere=True)

    def may_read(self, event: NostrEvent, readers: Set[str]) -> bool:
        """Whether an event may be shown to somebody who proved these public keys."""
        if self.groups is not None:
            return self.groups.may_read(event, readers)
        return may_read(event, None, readers)

    async def open_policy(self) -> None:
        """Find again what the administrator decided, and go on with erasing that is not finished."""
        record = await asyncio.wrap_future(self._moderation.load())
        self.policy.load(record)
        self.erasures.begin(record.erasures)

    def _decided(self, change: RuleChange) -> None:
        """The administrator has decided, and it is durable."""
        if change.banned is not None:
            self.erasures.begin([Erasure(change.banned, is_ban=True)])
        for session in list(self.sessions):
            if self.policy.blocks(session.network):
                session.end(POLICY, "blocked: your address is blocked here")

    async def open_groups(self, own: Mapping[str, str], admins: Sequence[str]) -> None:
        """Find the groups again that were kept, and make those of the relay itself that are not there.

        Args:
            own: their names by their ids.
            admins: public keys of who may change these.
        """
        if self.groups is None or self._own is None:
            return
        records = await asyncio.wrap_future(self._group_store.load())
        self.groups.load(records)
        described = await self._stored(
            Filter(authors=frozenset([self.groups.own_key]), kinds=frozenset(DESCRIPTIONS)),
            Filter(kinds=frozenset([GroupKind.CREATE_INVITE])),
        )
        for event in described:
            if event.pubkey == self.groups.own_key:
                self._own.known(event)
        if not len(self.groups):
            adopted = self.groups.adopt(described)
            for change in adopted.changes:
                await asyncio.wrap_future(self._group_store.write(change))
            self.groups.install(adopted)
        for name in self.groups.of_rooms():
            self.close_group(name)  # the rooms of an earlier process
        for name in self.groups.ended():
            self._end_soon(name)
        # An earlier process may have died between a change and its description.
        stored = {(event.kind, event.address): event.tags for event in described}
        for kind, record in self.groups.descriptions():
            is_right = stored.get((kind, record.id)) == describe(record, kind)
            if not is_right or self._own.is_from_the_future(kind, record.id):
                self._own.replace(kind, record.id, partial(describe, record, kind))
        # Only what is new holds the start up: there may be thousands of groups to describe again.
        await asyncio.gather(*(one for name, title in own.items() for one in self.open_group(name, title, admins)))

    async def _stored(self, *filters: Filter) -> list[NostrEvent]:
        """All stored events that filters ask for, whoever may read them."""
        found = await asyncio.wrap_future(self.store.find(filters, _ALL_EVENTS, _ALL_EVENTS, time.time()))
        events: list[NostrEvent] = []
        for start in range(0, len(found), _PAGE):
            bodies = await asyncio.wrap_future(self.store.bodies(found[start : start + _PAGE]))
            events += [decode_kept(body) for _, body in bodies]
        return events

    def open_group(self, name: str, title: str, admins: Sequence[str] = ()) -> list[asyncio.Future[Any]]:
        """Make a group of the relay's own, if it is not there: open to everybody, run by the admins, if any.

        Returns:
            for each of its descriptions, done when it is stored or refused.
        """
        if self.groups is None or self.groups.get(name) is not None:
            return []
        return self._decide(self.groups.make(name, title, admins))

    def close_group(self, name: str) -> None:
        """End a group of the relay's own; what was written in it stays."""
        if self.groups is not None and self.groups.get(name) is not None:
            self._decide(self.groups.remove(name))

    def _decide(self, plan: Plan) -> list[asyncio.Future[Any]]:
        """Carry out what the relay itself has decided about groups."""
        for change in plan.changes:
            self._group_store.write(change).add_done_callback(_report)
        return self._install(plan)

    def _install(self, plan: Plan) -> list[asyncio.Future[Any]]:
        if self.groups is None or self._own is None:
            return []
        self.groups.install(plan)
        written: list[asyncio.Future[Any]] = [self._own.say(kind, tags) for kind, tags in plan.templates]
        for kind, record in plan.described:
            written.append(self._own.replace(kind, record.id, partial(describe, record, kind)))
        for name in plan.removed:
            written.append(self._own.remove(name, OWN_KINDS))
        if plan.ended is not None:
            self._end_soon(plan.ended)
        return written

    def _tell_presence(self) -> None:
        """Say who is live in groups; not of private ones, whose presence only members see."""
        for name, people in self._presence.changes(time.time()):
            group = None if self.groups is None else self.groups.get(name)
            if group is not None and "private" not in group.flags:
                self.replace(GroupKind.PARTICIPANTS, name, [["d", name], *(["participant", key] for key in people)])

    def _end_soon(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._end_group(name), name="end of a group")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def replace(self, kind: int, address: str, tags: Sequence[Sequence[str]]) -> asyncio.Future[None] | None:
        """Publish a replaceable event of the relay itself.

        Returns:
            done when this version or a later one is stored or refused; None if the relay has no key.
        """
        return None if self._own is None else self._own.replace(kind, address, lambda: tags)

    async def _end_group(self, name: str) -> None:
        try:
            while await asyncio.wrap_future(self.store.erase_group(name)):
                pass
        except StoreError as error:
            _log.error("Group %s is closed, but its events are still stored: %s", name, error)
            return
        if self.groups is not None:
            self._decide(self.groups.remove(name))

    async def serve(self, connection: Connection, websocket: WebSocketSession, network: str, own: OwnNames) -> None:
        """One client's connection to its end.

        Args:
            connection: open, on a WebSocket, with this service's budget; closed when this returns.
            websocket: the connection's.
            network: its address, as limits count it.
            own: what the server is called on this connection.
        """
        rate = self._rates.of(network)
        session = EventSession(self, connection, network, own, rate, window_bits=websocket.window_bits)
        self.sessions[session] = websocket
        try:
            async for message in connection:
                if isinstance(message, TextMessage):
                    await session.receive(message.data)
                elif isinstance(message, BinaryMessage):
                    session.end(NOT_TEXT, "messages are texts here")
        except RateLimitError as error:
            session.end(POLICY, str(error))
        except SeatEndedError as error:
            _log.debug("%s: %s", connection.peer, error)
        except PeerTimeoutError:
            self.counters.closed_as_slow += 1
            session.end_as_slow()
        except PeerError as error:
            _log.debug("%s: %s", connection.peer, error)
        finally:
            del self.sessions[session]
            session.close()
            await connection.close(half_close=True)

    async def run(self) -> None:
        """Look after clients, and remove what has expired, until cancelled."""
        swept, absences = 0.0, Absences(_LOOK_SECONDS)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            self._tell_presence()
            if (absent := absences.look(now)) > 0:
                for session in self.sessions:
                    session.postpone(absent)
            for session, websocket in list(self.sessions.items()):
                self._look_after(session, websocket, now)
            if now - swept > _SWEEP_SECONDS:
                self._sweep_soon()
                swept = now

    def _sweep_soon(self) -> None:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name="sweeping")

    async def _sweep(self) -> None:
        """Remove what has expired or was deleted, a slice at a time: what others write comes in between."""
        try:
            while removed := await asyncio.wrap_future(self.store.sweep(time.time())):
                self.counters.expired += removed
        except StoreError as error:
            _log.error("expired events could not be removed: %s", error)
        finally:
            self._sweeping = None

    def statistics(self) -> dict[str, int]:
        """What the relay did, and what waits now."""
        outboxes = [session.connection.outbox for session in self.sessions]
        return {
            **asdict(self.counters),
            "clients": len(self.sessions),
            "subscriptions": len(self.matcher),
            "sync_records": self.sync_ledger.records,
            "question_milliseconds": round(1000 * self._question_seconds),
            "waiting_question_bytes": self.request_bytes,
            "authors_being_erased": len(self.erasures),
            "queued_bytes": self.budget.used,
            "queued_messages": sum(outbox.queued_messages for outbox in outboxes),
        }

    def stop(self) -> None:
        """Take leave of everybody."""
        self.erasures.stop()
        for task in self._tasks:
            task.cancel()
        if self._own is not None:
            self._own.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for session in list(self.sessions):
            session.end(GOING_AWAY, "the server is shutting down")

    def _look_after(self, session: EventSession, websocket: WebSocketSession, now: float) -> None:
        connection = session.connection
        session.syncs.close_idle(now)
        if not connection.outbox.is_congested:
            session.congested_since = None
        elif session.congested_since is None:
            session.congested_since = now
        error = overdue(connection, self.limits, now)
        if session.congested_since is not None and now - session.congested_since > self.limits.congestion_timeout:
            error = PeerTimeoutError(f"{connection.peer} does not keep up")
        if error is not None:
            connection.fail(error)
        elif needs_ping(connection, self.limits, now):
            connection.last_asked = now
            websocket.ping()
            connection.flush_handshake()
