"""One client of the relay: its subscriptions, the keys it proved, and the messages it sends and gets."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque

from teleglyph.errors import ClientDismissedError, EventRefusedError, InvalidMessageError, NotTextError
from teleglyph.events.admission import check_admission, check_authentication, check_vanish
from teleglyph.events.relay_state import RelayState
from teleglyph.events.requests import RequestQueue
from teleglyph.events.subscription import Subscription
from teleglyph.events.sync import SyncStep
from teleglyph.net import Connection, OwnNames, TokenBucket
from teleglyph.net.websocket import frame_close, frame_compressed_text, frame_text, text_head
from teleglyph.wire.nostr import messages as wire
from teleglyph.wire.nostr.event import VANISH, NostrEvent, read_event, readable_id
from teleglyph.wire.nostr.messages import (
    Authenticate,
    Close,
    CloseSync,
    ContinueSync,
    Count,
    OpenSync,
    Publish,
    Request,
    SubscriptionRefusedError,
    SyncRefusedError,
)

_MIN_COMPRESSED = 200
"""Bytes.  Compressing smaller messages does not pay."""
_TOO_SLOW = "error: too slow, subscription ended"
_SYNC_COST = 10.0
"""Opening a sync counts as so many requests, because it may find 200 times as many events as a REQ."""
POLICY, TRY_LATER, NOT_TEXT, GOING_AWAY, BAD_TEXT = 1008, 1013, 1003, 1001, 1007


class EventSession:
    """A client.

    Args:
        state: of the relay.
        connection: the client's.
        network: its address, as limits count it.
        own: the server's names on this connection.
        address_rate: of events from its address, shared with other connections; None for no limit.
        window_bits: compress large messages with a window of so many bits; 0: compress none.
    """

    def __init__(
        self,
        state: RelayState,
        connection: Connection,
        network: str,
        own: OwnNames,
        address_rate: TokenBucket | None,
        *,
        window_bits: int = 0,
    ) -> None:
        self.connection = connection
        self.network = network
        self.authenticated: set[str] = set()
        self.subscriptions: dict[str, Subscription] = {}
        self.congested_since: float | None = None
        self._state = state
        self._limits = limits = state.limits
        self._own = own
        self._challenge = secrets.token_hex(16)
        self._address_rate = address_rate
        self._event_rate = TokenBucket(limits.events_per_second or 1.0, limits.event_burst)
        self._bad_messages = self._bad_signatures = 0
        self._unanswered: deque[int] = deque()
        """Sizes of the events that are being stored."""
        self._unanswered_bytes = 0
        self._answered = asyncio.Event()
        self._is_ended = False
        self._window_bits = window_bits
        self._requests = RequestQueue(self, state, network)
        self.send(wire.challenge(self._challenge))

    # --- to the client --------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Queue a message that is never dropped."""
        if not self._is_ended:
            self.connection.outbox.queue_raw(frame_text(message))

    def send_event(self, subscription: Subscription, body: bytes) -> None:
        """Queue an event, whose text is shared with other clients."""
        size = len(subscription.head) + len(body)
        if self._window_bits and size >= _MIN_COMPRESSED:
            framed = frame_compressed_text(subscription.head + body, self._window_bits)
            self.connection.outbox.queue_shared(framed, b"", subscription)
            return
        self.connection.outbox.queue_shared(text_head(size) + subscription.head, body, subscription)

    def deliver(self, subscription: Subscription, event: NostrEvent, body: bytes) -> None:
        """Send a live event, or hold it until the stored events are sent.

        Args:
            subscription: one of this session's.
            event: matches the subscription.
            body: the event's text and the end of the message.
        """
        if subscription.held is not None:
            subscription.held.append(event)
            subscription.held_bytes += len(body)
            limits = self._limits
            if len(subscription.held) > limits.held_events or subscription.held_bytes > limits.held_bytes:
                self._state.counters.subscriptions_ended += 1
                self.end_subscription(subscription, _TOO_SLOW)
            return
        if subscription.stored is not None:
            if self._state.ingest.passed_on >= subscription.settled_at:
                subscription.stored = None
            elif bytes.fromhex(event.id) in subscription.stored:
                return
        if self.connection.outbox.is_congested:
            self._state.counters.subscriptions_ended += 1
            self.end_subscription(subscription, _TOO_SLOW)
        else:
            self._state.counters.delivered += 1
            self.send_event(subscription, body)

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        """Send the result of an event that the client published."""
        self._unanswered_bytes -= self._unanswered.popleft()
        self._answered.set()
        # Charged here, because this does not run in the client's own task.
        began = time.thread_time()
        self.send(wire.ok(event.id, accepted, text))
        self.charge(time.thread_time() - began)

    def postpone(self, seconds: float) -> None:
        """Extend all deadlines by a time in which the relay did not run."""
        self.connection.postpone(seconds)
        if self.congested_since is not None:
            self.congested_since += seconds

    def charge(self, seconds: float) -> None:
        """Charge processor time to the client."""
        self.connection.charge(seconds)

    def end_subscription(self, subscription: Subscription, text: str) -> None:
        """Close a subscription from our side and drop its queued events."""
        self._drop(subscription)
        self.send(wire.closed(subscription.name, text))

    def close_idle_syncs(self, now: float) -> None:
        """Close syncs that the client has not continued for long.

        Args:
            now: on the monotonic clock.
        """
        self._requests.syncs.close_idle(now)

    def end(self, code: int, text: str) -> None:
        """Close the connection with a code and a reason."""
        if not self._is_ended:
            self.connection.outbox.queue_last(frame_close(code, text))
            self._is_ended = True
            self.connection.fail(ClientDismissedError(text))

    def end_as_slow(self) -> None:
        """Close the connection of a slow client; its queued events are dropped to make room for the reason."""
        self._drop_all()
        self.end(TRY_LATER, "too slow")

    def close(self) -> None:
        """Release everything; the connection is closed."""
        self._is_ended = True
        self._drop_all()
        self._requests.close()

    def _drop_all(self) -> None:
        for subscription in list(self.subscriptions.values()):
            self._drop(subscription)
        self._requests.syncs.close_all()

    def _drop(self, subscription: Subscription) -> None:
        if subscription.is_open:
            subscription.is_open = False
            subscription.held = subscription.stored = None
            del self.subscriptions[subscription.name]
            self._state.matcher.remove(subscription)
            self._state.counters.events_purged += self.connection.outbox.purge(subscription)

    # --- from the client ------------------------------------------------------------------------------

    async def receive(self, data: bytes) -> None:
        """Handle a text message; waits while too much of this client is unanswered or unsent."""
        try:
            message = wire.read_message(data)
            match message:
                case Publish(members):
                    self._publish(members, len(data))
                case Request() | Count():
                    self._request(message, len(data))
                case Close(name):
                    if (subscription := self.subscriptions.get(name)) is not None:
                        self._drop(subscription)
                case Authenticate(members):
                    self._authenticate(members)
                case OpenSync() | ContinueSync():
                    self._sync(message, len(data))
                case CloseSync(name):
                    self._requests.syncs.close(name)
        except SubscriptionRefusedError as error:
            self.send(wire.closed(error.subscription, str(error)))
        except SyncRefusedError as error:
            self.send(wire.sync_error(error.subscription, str(error)))
        except NotTextError:
            self.end(BAD_TEXT, "the text is not valid UTF-8")
        except InvalidMessageError as error:
            self.send(wire.notice(str(error)))
            self._bad_messages += 1
            if self._bad_messages >= self._limits.bad_messages:
                self.end(POLICY, "too many invalid messages")
        await self._wait_for_answers()
        await self.connection.outbox.wait_until_below(
            self.connection.limits.outbox.soft_bytes, self.connection.limits.outbox.soft_messages
        )

    async def _wait_for_answers(self) -> None:
        limits = self._limits
        while len(self._unanswered) >= limits.unanswered_events or self._unanswered_bytes > limits.unanswered_bytes:
            self._answered.clear()
            await self._answered.wait()

    def _publish(self, members: object, size: int) -> None:
        limits, now = self._limits, time.time()
        event: NostrEvent | None = None
        refusal: str | None = None
        try:
            event = read_event(members, limits.max_event_tags, limits.max_content_length)
            check_admission(event, limits, now, self.authenticated)
            self._check_rate()
            self._check_proof(event)
            if event.kind == VANISH:
                self._check_vanish(event)
        except EventRefusedError as error:
            refusal = str(error)
            if event is None:
                # Malformed, so it cannot be stored already.
                event_id = readable_id(members) or ""
                event = NostrEvent(event_id, "", 0, 0, [], "", "")
                looks_up = False
            else:
                looks_up = not refusal.startswith("rate-limited")
        else:
            looks_up = True
        self._unanswered.append(size)
        self._unanswered_bytes += size
        self._state.ingest.submit(self, event, refusal, looks_up=looks_up)

    def _check_rate(self) -> None:
        if not self._limits.events_per_second:
            return
        now = time.monotonic()
        if not self._event_rate.allow(now) or (self._address_rate and not self._address_rate.allow(now)):
            raise EventRefusedError(f"rate-limited: at most {self._limits.events_per_second:g} events per second")

    def _check_vanish(self, event: NostrEvent) -> None:
        check_vanish(event, self._own.is_own_url)
        if not self._state.vanish_rate.allow(self.network, time.monotonic()):
            raise EventRefusedError(f"rate-limited: at most {self._limits.vanish_per_hour} requests to vanish per hour")

    def _check_proof(self, event: NostrEvent) -> None:
        try:
            event.check_proof()
        except EventRefusedError:
            self._bad_signatures += 1
            if self._bad_signatures >= self._limits.bad_signatures:
                self.end(POLICY, "too many events with a wrong id or signature")
            raise

    def _authenticate(self, members: object) -> None:
        event = None
        try:
            event = read_event(members, self._limits.max_event_tags, self._limits.max_content_length)
            check_authentication(event, self._challenge, self._own, self._limits, time.time())
            if event.pubkey not in self.authenticated and len(self.authenticated) >= self._limits.authenticated_keys:
                raise EventRefusedError(f"restricted: at most {self._limits.authenticated_keys} keys on one connection")
        except EventRefusedError as error:
            self.send(wire.ok(readable_id(members) or "", False, str(error)))
            self._bad_signatures += 1
            if self._bad_signatures >= self._limits.bad_signatures:
                self.end(POLICY, "too many failed authentications")
        else:
            self.authenticated.add(event.pubkey)
            self.send(wire.ok(event.id, True))

    # --- requests -------------------------------------------------------------------------------------

    def _request(self, message: Request | Count, size: int) -> None:
        limits, name = self._limits, message.subscription
        old = self.subscriptions.get(name) if isinstance(message, Request) else None
        if old is not None:
            self._drop(old)
        try:
            filters = self._requests.check_filters(message.filters, size)
        except EventRefusedError as error:
            raise SubscriptionRefusedError(str(error), name) from None
        if isinstance(message, Count):
            self._requests.add((name, filters), size)
        else:
            if len(self.subscriptions) >= limits.max_subscriptions:
                raise SubscriptionRefusedError(f"rate-limited: at most {limits.max_subscriptions} subscriptions", name)
            subscription = Subscription(self, name, filters, wire.event_head(name))
            self.subscriptions[name] = subscription
            # Matched from now on, so that no event is missed between the stored and the live ones.
            self._state.matcher.add(subscription)
            self._requests.add(subscription, size)

    def _sync(self, message: OpenSync | ContinueSync, size: int) -> None:
        name = message.subscription
        if not self._limits.sync:
            raise SyncRefusedError("blocked: NIP-77 is disabled here, use REQ", name)
        requests, syncs = self._requests, self._requests.syncs
        try:
            if isinstance(message, OpenSync):
                syncs.close(name)
                (wanted,) = requests.check_filters([message.filter], size, cost=_SYNC_COST)
                requests.add(SyncStep(syncs.open(name), message.message, wanted), size)
            else:
                requests.check_space(size)
                requests.add(SyncStep(syncs.get(name), message.message), size)
        except EventRefusedError as error:
            syncs.close(name)
            raise SyncRefusedError(str(error), name) from None
