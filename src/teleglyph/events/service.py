"""The relay on an event loop: serves its clients, and closes those that fall silent or behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from teleglyph.errors import PeerError, PeerTimeoutError, RateLimitError, StoreError
from teleglyph.events.address_rates import AddressRates
from teleglyph.events.erasures import Erasures
from teleglyph.events.group_keeper import GroupKeeper
from teleglyph.events.group_plan import Plan
from teleglyph.events.groups import Groups
from teleglyph.events.ingest import Ingest
from teleglyph.events.limits import EventLimits
from teleglyph.events.management import Management
from teleglyph.events.policy import Policy
from teleglyph.events.relay_state import RelayState
from teleglyph.events.session import GOING_AWAY, NOT_TEXT, POLICY, EventSession
from teleglyph.net import (
    Connection,
    OutboxBudget,
    OwnNames,
    SlidingWindow,
    StallDetector,
    TokenBucket,
    needs_ping,
    timeout_error,
)
from teleglyph.net.websocket import BinaryMessage, TextMessage, WebSocketSession
from teleglyph.store.events import EventStore
from teleglyph.store.moderation import Erasure, ModerationStore, RuleChange
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent
from teleglyph.wire.nostr.groups import GroupKind
from teleglyph.wire.nostr.keys import public_key
from teleglyph.wire.nostr.messages import EVENT_TAIL

_log = logging.getLogger(__name__)
_SWEEP_SECONDS = 60.0
_CHECK_SECONDS = 1.0
_SIZE_SECONDS = 5.0
"""Between two measurements of the database."""


class EventsService:
    """The relay.

    Args:
        store: holds the events.
        limits: of clients and events.
        key: the relay's secret Nostr key, 32 bytes, which signs the state of groups; None: there are no groups.
        admin: public key of the administrator, who may manage the relay over HTTP (NIP-86); empty: nobody may.
    """

    def __init__(
        self, store: EventStore, limits: EventLimits | None = None, key: bytes | None = None, admin: str = ""
    ) -> None:
        self.store = store
        self.limits = limits or EventLimits()
        self.groups = None if key is None else Groups(public_key(key))
        own_key = "" if self.groups is None else self.groups.own_key
        self.policy = Policy(own_key)
        ingest = self._ingest = Ingest(store, self.distribute, self.groups, self.policy)
        self.stored_bytes = 0
        """Size of the database when it was last measured."""
        self.budget = OutboxBudget(self.limits.total_queued_bytes)
        self.state = RelayState(
            store,
            self.limits,
            self.groups,
            ingest,
            SlidingWindow(self.limits.vanish_per_hour, 3600.0),
        )
        self._moderation = ModerationStore(store.database)
        self.erasures = Erasures(self._moderation)
        self.management = (
            Management(self._moderation, self.policy, frozenset([admin]), frozenset([own_key]), self._apply)
            if admin
            else None
        )
        """Handles the administrator's requests; None without an administrator."""
        self.sessions: dict[EventSession, WebSocketSession] = {}
        self._keeper = None if key is None or self.groups is None else GroupKeeper(key, self.groups, store, ingest)
        self._sweeping: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        rate, burst = self.limits.events_per_second or 1.0, self.limits.event_burst
        self._rates = AddressRates(lambda: TokenBucket(rate, burst))

    # --- events ---------------------------------------------------------------------------------------

    def distribute(self, event: NostrEvent, plan: Plan | None = None) -> list[asyncio.Future[Any]]:
        """Send a new event to all subscriptions that match it.

        Args:
            event: already stored, or ephemeral.
            plan: the changes to groups that the event caused.

        Returns:
            for each description of a group that changes with it, done when it is stored or refused.
        """
        self.state.counters.published += 1
        described = [] if plan is None or self._keeper is None else self._keeper.install(plan)
        self._deliver(event)
        return described

    def _deliver(self, event: NostrEvent) -> None:
        if self._keeper is not None:
            self._keeper.record_presence(event)
        if event.kind in (DELETION, GroupKind.DELETE_EVENT):
            self._sweep_soon()
        if event.kind == VANISH:
            self.policy.record_vanished(event)
            self.erasures.begin([Erasure(event.pubkey, is_ban=False)])
        subscriptions = self.state.matcher.matching(event)
        if not subscriptions or (event.expires_at is not None and event.expires_at <= time.time()):
            return
        body = event.text + EVENT_TAIL
        is_for_all = self.state.may_read(event, frozenset())
        for subscription in subscriptions:
            client = subscription.client
            if subscription.is_open and (is_for_all or self.state.may_read(event, client.authenticated)):
                client.deliver(subscription, event, body)

    async def open_policy(self) -> None:
        """Load the administrator's rules, and continue unfinished erasures."""
        record = await asyncio.wrap_future(self._moderation.load())
        self.policy.load(record)
        self.erasures.begin(record.erasures)

    def _apply(self, change: RuleChange) -> None:
        """Apply the administrator's change, which is durable, to events and clients."""
        if change.banned is not None:
            self.erasures.begin([Erasure(change.banned, is_ban=True)])
        for session in list(self.sessions):
            if self.policy.blocks(session.network):
                session.end(POLICY, "blocked: your address is blocked here")

    # --- groups ---------------------------------------------------------------------------------------

    async def open_groups(self, own: Mapping[str, str], admins: Sequence[str]) -> None:
        """Load all groups, and create those of the relay itself that do not exist.

        Args:
            own: names of the relay's own groups, by id.
            admins: public keys of their admins.
        """
        if self._keeper is not None:
            await self._keeper.open(own, admins)

    def open_group(self, name: str, title: str) -> None:
        """Create a group of the relay's own, open to everybody, unless it exists."""
        if self._keeper is not None:
            self._keeper.create(name, title)

    def close_group(self, name: str) -> None:
        """Remove a group of the relay's own; its messages stay."""
        if self._keeper is not None:
            self._keeper.remove(name)

    def replace(self, kind: int, address: str, tags: Sequence[Sequence[str]]) -> asyncio.Future[None] | None:
        """Publish a replaceable event of the relay itself.

        Returns:
            done when this version or a later one is stored or refused; None if the relay has no key.
        """
        return None if self._keeper is None else self._keeper.replace(kind, address, tags)

    # --- clients --------------------------------------------------------------------------------------

    async def serve(self, connection: Connection, websocket: WebSocketSession, network: str, own: OwnNames) -> None:
        """Serve one client until its connection ends.

        Args:
            connection: open, on a WebSocket, with this service's budget; closed when this returns.
            websocket: the connection's.
            network: its address, as limits count it.
            own: the server's names on this connection.
        """
        rate = self._rates.of(network)
        session = EventSession(self.state, connection, network, own, rate, window_bits=websocket.window_bits)
        self.sessions[session] = websocket
        try:
            async for message in connection:
                if isinstance(message, TextMessage):
                    await session.receive(message.data)
                elif isinstance(message, BinaryMessage):
                    session.end(NOT_TEXT, "messages must be text")
        except RateLimitError as error:
            session.end(POLICY, str(error))
        except PeerTimeoutError:
            self.state.counters.closed_as_slow += 1
            session.end_as_slow()
        except PeerError as error:
            _log.debug("%s: %s", connection.peer, error)
        finally:
            del self.sessions[session]
            session.close()
            await connection.close(half_close=True)

    async def run(self) -> None:
        """Check clients and remove expired events until cancelled."""
        swept, measured, stalls = 0.0, 0.0, StallDetector(_CHECK_SECONDS)
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            now = time.monotonic()
            if self._keeper is not None:
                self._keeper.publish_presence()
            if (stalled := stalls.sample(now)) > 0:
                for session in self.sessions:
                    session.postpone(stalled)
            for session, websocket in list(self.sessions.items()):
                self._check(session, websocket, now)
            if now - swept > _SWEEP_SECONDS:
                self._sweep_soon()
                swept = now
            if now - measured > _SIZE_SECONDS and self._measuring is None:
                self._measuring = asyncio.get_running_loop().create_task(self._measure(), name="size of the database")
                measured = now

    async def _measure(self) -> None:
        """Measure the database, and refuse events while it is too large."""
        try:
            self.stored_bytes = await asyncio.wrap_future(self.store.database.size())
        except StoreError as error:
            _log.debug("Cannot measure the database: %s", error)
            return
        finally:
            self._measuring = None
        limit = self.limits.stored_bytes
        is_full = 0 < limit <= self.stored_bytes
        if is_full != self._ingest.is_full:
            self._ingest.is_full = is_full
            size = f"{self.stored_bytes >> 20} of {limit >> 20} MiB"
            if is_full:
                _log.warning("The relay is full: %s. Remove events, or allow more with --event-storage", size)
            else:
                _log.info("The relay takes events again: %s", size)

    def statistics(self) -> dict[str, int]:
        """Counters and the amounts that wait now."""
        state = self.state
        outboxes = [session.connection.outbox for session in self.sessions]
        return {
            **asdict(state.counters),
            "clients": len(self.sessions),
            "stored_bytes": self.stored_bytes,
            "subscriptions": len(state.matcher),
            "sync_records": state.sync_ledger.records,
            "question_milliseconds": round(1000 * state.query_seconds),
            "waiting_question_bytes": state.request_bytes,
            "authors_being_erased": len(self.erasures),
            "queued_bytes": self.budget.used,
            "queued_messages": sum(outbox.queued_messages for outbox in outboxes),
        }

    def stop(self) -> None:
        """Close all connections with a reason, and leave unfinished work to the next process."""
        self.erasures.stop()
        if self._keeper is not None:
            self._keeper.stop()
        for task in (self._sweeping, self._measuring):
            if task is not None:
                task.cancel()
        for session in list(self.sessions):
            session.end(GOING_AWAY, "the server is shutting down")

    def _sweep_soon(self) -> None:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep(), name="sweeping")

    async def _sweep(self) -> None:
        """Remove expired and deleted events, a slice at a time, so that other writes come in between."""
        try:
            while removed := await asyncio.wrap_future(self.store.remove_expired(time.time())):
                self.state.counters.expired += removed
        except StoreError as error:
            _log.error("Removing expired events failed; retrying in a minute: %s", error)
        finally:
            self._sweeping = None

    def _check(self, session: EventSession, websocket: WebSocketSession, now: float) -> None:
        """Ping a silent client; close one that is gone or too slow."""
        connection = session.connection
        session.close_idle_syncs(now)
        if not connection.outbox.is_congested:
            session.congested_since = None
        elif session.congested_since is None:
            session.congested_since = now
        error = timeout_error(connection, self.limits, now)
        if session.congested_since is not None and now - session.congested_since > self.limits.congestion_timeout:
            error = PeerTimeoutError(f"{connection.peer} does not keep up")
        if error is not None:
            connection.fail(error)
        elif needs_ping(connection, self.limits, now):
            connection.last_probed = now
            websocket.ping()
            connection.flush_handshake()
