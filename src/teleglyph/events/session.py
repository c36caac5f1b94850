"""One client of the relay: its subscriptions, what it proved, and the order in which it gets its answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from teleglyph.errors import EventRefusedError, InvalidMessageError, NotTextError, SeatEndedError, StoreError
from teleglyph.events.admission import check_admission, check_authentication, check_vanish
from teleglyph.events.sync import Syncs, SyncStep
from teleglyph.net import Connection, OwnNames, Stopwatch, TokenBucket, charged
from teleglyph.net.websocket import frame_close, frame_compressed_text, frame_text, text_head
from teleglyph.store.events import MAX_VALUES
from teleglyph.store.hyperloglog import hyperloglog_offset
from teleglyph.store.query_queue import QueryOwner
from teleglyph.wire.nostr import messages as wire
from teleglyph.wire.nostr.event import VANISH, NostrEvent, read_event, readable_id
from teleglyph.wire.nostr.filter import Filter, read_filter
from teleglyph.wire.nostr.groups import DIRECT_MESSAGES
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

if TYPE_CHECKING:
    from teleglyph.events.service import EventsService

_log = logging.getLogger(__name__)
_WORTH_IT = 200
"""Bytes of a message from which on it is compressed."""
_TOO_SLOW = "error: too slow, subscription ended"
_CALM_BYTES, _CALM_MESSAGES = 128 << 10, 100
"""What may still wait when the next page of stored events is fetched."""
_SYNC_COST = 10.0
"""Opening a sync may find 200 times as much as a REQ; it counts as so many of them."""
POLICY, TRY_LATER, NOT_TEXT, GOING_AWAY, BAD_TEXT = 1008, 1013, 1003, 1001, 1007


@dataclass(eq=False, slots=True)
class Subscription:
    """A running REQ.

    Attributes:
        session: whose it is.
        name: chosen by the client.
        filters: what it asks for.
        head: what stands in front of each of its events.
        held: live events that wait for the end of the stored ones; None afterwards.
        held_bytes: their size.
        stored: ids that were sent as stored, until no live event can be one of them any more.
        settled_at: the batch after which that is so.
        is_open: events may still be sent.
    """

    session: EventSession
    name: str
    filters: Sequence[Filter]
    head: bytes
    held: list[NostrEvent] | None = field(default_factory=list)
    held_bytes: int = 0
    stored: set[bytes] | None = None
    settled_at: int = 0
    is_open: bool = True


class EventSession:
    """A client.

    Args:
        service: the relay.
        connection: the client's.
        network: its address, as limits count it.
        own: what the server is called on this connection.
        address_rate: of events of its address, shared with other connections; None for no limit.
        window_bits: messages that are worth it go out compressed with a window of so many bits; 0: none do.
    """

    def __init__(
        self,
        service: EventsService,
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
        self._service = service
        self._limits = limits = service.limits
        self._own = own
        self._challenge = secrets.token_hex(16)
        self._address_rate = address_rate
        self._event_rate = TokenBucket(limits.events_per_second or 1.0, limits.event_burst)
        self._request_rate = TokenBucket(limits.requests_per_second or 1.0, limits.request_burst)
        self._bad_messages = self._bad_signatures = 0
        self._unanswered: deque[int] = deque()
        """Sizes of the events that are on their way to the disk."""
        self._unanswered_bytes = 0
        self._answered = asyncio.Event()
        self._requests: deque[tuple[Subscription | SyncStep | tuple[str, list[Filter]], int]] = deque()
        """Questions, and their bytes."""
        self._request_bytes = 0
        self._loop = asyncio.get_running_loop()
        # Its network's: with many connections nobody gets more turns than with one.
        self._owner = QueryOwner(network, on_cost=self._charge)
        self.syncs = Syncs(service.store, limits, service.sync_ledger, self.send, self._owner)
        self._answering: asyncio.Task[None] | None = None
        self._failure_level = logging.ERROR
        self._is_ended = False
        self._window_bits = window_bits
        self.send(wire.challenge(self._challenge))

    # --- to the client --------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Queue a message that is never dropped."""
        if not self._is_ended:
            self.connection.outbox.queue_raw(frame_text(message))

    def send_event(self, subscription: Subscription, body: bytes) -> None:
        """Queue an event, whose text is shared with others."""
        size = len(subscription.head) + len(body)
        if self._window_bits and size >= _WORTH_IT:
            framed = frame_compressed_text(subscription.head + body, self._window_bits)
            self.connection.outbox.queue_shared(framed, b"", subscription)
            return
        self.connection.outbox.queue_shared(text_head(size) + subscription.head, body, subscription)

    def deliver(self, subscription: Subscription, event: NostrEvent, body: bytes) -> None:
        """A live event; its text has the end of the message behind it."""
        if subscription.held is not None:
            subscription.held.append(event)
            subscription.held_bytes += len(body)
            limits = self._limits
            if len(subscription.held) > limits.held_events or subscription.held_bytes > limits.held_bytes:
                self._service.counters.subscriptions_ended += 1
                self.end_subscription(subscription, _TOO_SLOW)
            return
        if subscription.stored is not None:
            if self._service.ingest.passed_on >= subscription.settled_at:
                subscription.stored = None
            elif bytes.fromhex(event.id) in subscription.stored:
                return
        if self.connection.outbox.is_congested:
            self._service.counters.subscriptions_ended += 1
            self.end_subscription(subscription, _TOO_SLOW)
        else:
            self._service.counters.delivered += 1
            self.send_event(subscription, body)

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        """What became of an event that the client published."""
        self._unanswered_bytes -= self._unanswered.popleft()
        self._answered.set()
        # Not within a step of the client's task, which would pay for it.
        began = time.thread_time()
        self.send(wire.ok(event.id, accepted, text))
        self.charge(time.thread_time() - began)

    def postpone(self, seconds: float) -> None:
        """Count out a time in which the relay was not there."""
        self.connection.postpone(seconds)
        if self.congested_since is not None:
            self.congested_since += seconds

    def charge(self, seconds: float) -> None:
        """Pay for processor time."""
        self.connection.charge(seconds)

    def end_subscription(self, subscription: Subscription, text: str) -> None:
        """Close a subscription from our side; what waits of it is taken back."""
        self._drop(subscription)
        self.send(wire.closed(subscription.name, text))

    def end(self, code: int, text: str) -> None:
        """Close the connection, with a reason."""
        if not self._is_ended:
            self.connection.outbox.queue_last(frame_close(code, text))
            self._is_ended = True
            self.connection.fail(SeatEndedError(text))

    def end_as_slow(self) -> None:
        """Close the connection of a client that does not keep up; its events make way for the reason."""
        self._drop_all()
        self.end(TRY_LATER, "too slow")

    def close(self) -> None:
        """Forget everything; the connection is over."""
        self._is_ended = True
        self._drop_all()
        if self._answering is not None:
            self._answering.cancel()
        self._service.request_bytes -= self._request_bytes
        self._request_bytes = 0
        self._requests.clear()

    def _drop_all(self) -> None:
        for subscription in list(self.subscriptions.values()):
            self._drop(subscription)
        self.syncs.close_all()

    def _drop(self, subscription: Subscription) -> None:
        if subscription.is_open:
            subscription.is_open = False
            subscription.held = subscription.stored = None
            del self.subscriptions[subscription.name]
            self._service.matcher.remove(subscription)
            self._service.counters.events_purged += self.connection.outbox.purge(subscription)

    # --- from the client ------------------------------------------------------------------------------

    async def receive(self, data: bytes) -> None:
        """A text message; waits while this client has too many questions open or does not take its answers."""
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
                    self.syncs.close(name)
        except SubscriptionRefusedError as error:
            self.send(wire.closed(error.subscription, str(error)))
        except SyncRefusedError as error:
            self.send(wire.sync_error(error.subscription, str(error)))
        except NotTextError:
            self.end(BAD_TEXT, "a text is no UTF-8")
        except InvalidMessageError as error:
            self.send(wire.notice(str(error)))
            self._bad_messages += 1
            if self._bad_messages >= self._limits.bad_messages:
                self.end(POLICY, "too many messages that are none")
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
                # Of the wrong form: it cannot be here already, and cannot be asked after.
                number = readable_id(members) or ""
                event = NostrEvent(number, "", 0, 0, [], "", "")
                asks = False
            else:
                asks = not refusal.startswith("rate-limited")
        else:
            asks = True
        self._unanswered.append(size)
        self._unanswered_bytes += size
        self._service.ingest.put(self, event, refusal, asks=asks)

    def _check_rate(self) -> None:
        if not self._limits.events_per_second:
            return
        now = time.monotonic()
        if not self._event_rate.allow(now) or (self._address_rate and not self._address_rate.allow(now)):
            raise EventRefusedError(f"rate-limited: at most {self._limits.events_per_second:g} events a second")

    def _check_vanish(self, event: NostrEvent) -> None:
        check_vanish(event, self._own.is_own_url)
        if not self._service.vanish_rate.allow(self.network, time.monotonic()):
            raise EventRefusedError(f"rate-limited: at most {self._limits.vanish_per_hour} requests to vanish an hour")

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

    # --- questions ------------------------------------------------------------------------------------

    def _request(self, message: Request | Count, size: int) -> None:
        limits, name = self._limits, message.subscription
        old = self.subscriptions.get(name) if isinstance(message, Request) else None
        if old is not None:
            self._drop(old)
        try:
            filters = self._check_question(message.filters, size)
        except EventRefusedError as error:
            raise SubscriptionRefusedError(str(error), name) from None
        if isinstance(message, Count):
            self._ask((name, filters), size)
        else:
            if len(self.subscriptions) >= limits.max_subscriptions:
                raise SubscriptionRefusedError(f"rate-limited: at most {limits.max_subscriptions} subscriptions", name)
            subscription = Subscription(self, name, filters, wire.event_head(name))
            self.subscriptions[name] = subscription
            # Live events are looked for from now on, so that none is missed between the stored ones and the live ones.
            self._service.matcher.add(subscription)
            self._ask(subscription, size)
        self._begin_answering()

    def _sync(self, message: OpenSync | ContinueSync, size: int) -> None:
        name = message.subscription
        if not self._limits.sync:
            raise SyncRefusedError("blocked: there is no NIP-77 here, ask with REQ", name)
        try:
            if isinstance(message, OpenSync):
                self.syncs.close(name)
                (wanted,) = self._check_question([message.filter], size, cost=_SYNC_COST)
                self._ask(SyncStep(self.syncs.open(name), message.message, wanted), size)
            else:
                self._check_waiting_requests(size)
                self._ask(SyncStep(self.syncs.get(name), message.message), size)
        except EventRefusedError as error:
            self.syncs.close(name)
            raise SyncRefusedError(str(error), name) from None
        self._begin_answering()

    def _begin_answering(self) -> None:
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(
                charged(self._answer_requests(), Stopwatch(self.connection.charge)), name="event requests"
            )

    def _check_question(self, members: list[object], size: int, cost: float = 1.0) -> list[Filter]:
        """The filters of a question, if it may be asked by this client now."""
        filters = self._read_filters(members)
        if self._service.groups is not None:
            for wanted in filters:
                self._service.groups.check_question(wanted, self.authenticated)
        if self._limits.auth_required and not self.authenticated:
            raise EventRefusedError("auth-required: authenticate to ask here")
        if not self.authenticated and any(wanted.kinds and wanted.kinds <= DIRECT_MESSAGES for wanted in filters):
            raise EventRefusedError("auth-required: direct messages are for those they name")
        self._check_request_rate(size, cost)
        return filters

    def _check_request_rate(self, size: int, cost: float) -> None:
        limits = self._limits
        if limits.requests_per_second and not self._request_rate.allow(time.monotonic(), cost):
            raise EventRefusedError(f"rate-limited: at most {limits.requests_per_second:g} requests a second")
        self._check_waiting_requests(size)

    def _check_waiting_requests(self, size: int) -> None:
        limits = self._limits
        if (
            len(self._requests) >= limits.unanswered_requests
            or self._request_bytes + size > limits.unanswered_request_bytes
        ):
            raise EventRefusedError("rate-limited: too many requests wait for their answers")
        if self._service.request_bytes + size > limits.total_request_bytes:
            raise EventRefusedError("rate-limited: too many requests of others wait for their answers, try again later")

    def _ask(self, question: Subscription | SyncStep | tuple[str, list[Filter]], size: int) -> None:
        """Let a question wait for its turn."""
        self._requests.append((question, size))
        self._request_bytes += size
        self._service.request_bytes += size

    def _charge(self, seconds: float) -> None:
        """On a reader's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
            self._loop.call_soon_threadsafe(self._service.charge_question, self.connection, seconds)

    def _read_filters(self, members: list[object]) -> list[Filter]:
        limits = self._limits
        if len(members) > limits.max_filters:
            raise EventRefusedError(f"invalid: at most {limits.max_filters} filters")
        filters = [read_filter(one, limits.max_values) for one in members]
        for wanted in filters:
            lists = [wanted.ids, wanted.authors, wanted.kinds, *wanted.tags.values()]
            if sum(len(values) for values in lists if values is not None) > MAX_VALUES:
                raise EventRefusedError(f"invalid: at most {MAX_VALUES} values in a filter")
            if wanted.search is not None and not self._service.store.has_search:
                raise EventRefusedError("unsupported: there is no search here")
        return filters

    async def _answer_requests(self) -> None:
        """One after the other, so that answers come in the order of the questions."""
        while self._requests:
            question, size = self._requests.popleft()
            try:
                if isinstance(question, Subscription):
                    await self._answer_subscription(question)
                elif isinstance(question, SyncStep):
                    await self.syncs.answer(question, frozenset(self.authenticated))
                else:
                    await self._answer_count(*question)
            except StoreError:
                self._fail_question(question, "error: the database cannot answer now")
            except Exception:
                # An error of ours: the other questions are answered all the same.  It is logged once, or a client that
                # knows how to cause it could fill the log.
                level, self._failure_level = self._failure_level, logging.DEBUG
                _log.log(level, "%s: a question could not be answered", self.connection.peer, exc_info=True)
                self._fail_question(question, "error: this question cannot be answered")
            self._request_bytes -= size
            self._service.request_bytes -= size
        self._answering = None

    def _fail_question(self, question: Subscription | SyncStep | tuple[str, list[Filter]], text: str) -> None:
        if isinstance(question, Subscription):
            if question.is_open:
                self.end_subscription(question, text)
        elif isinstance(question, SyncStep):
            self.syncs.refuse(question.sync, text)
        else:
            self.send(wire.closed(question[0], text))

    async def _answer_count(self, name: str, filters: list[Filter]) -> None:
        offset = hyperloglog_offset(filters[0].first_tag_value) if len(filters) == 1 else None
        readers = frozenset(self.authenticated)
        number, hll = await asyncio.wrap_future(
            self._service.store.count(filters, time.time(), offset, readers, self._owner)
        )
        self.send(wire.count(name, number, hll))

    async def _answer_subscription(self, subscription: Subscription) -> None:
        if not subscription.is_open:
            return
        service, limits, outbox = self._service, self._limits, self.connection.outbox
        found = []
        if any(wanted.limit != 0 for wanted in subscription.filters):
            found = await asyncio.wrap_future(
                service.store.find(
                    *(subscription.filters, limits.default_limit, limits.max_limit, time.time()),
                    readers=frozenset(self.authenticated),
                    owner=self._owner,
                )
            )
        stored = {one.id for one in found}
        settled_at = service.ingest.begun
        for start in range(0, len(found), limits.page_events):
            await outbox.wait_until_below(_CALM_BYTES, _CALM_MESSAGES)
            if not subscription.is_open:
                return
            page = found[start : start + limits.page_events]
            bodies = service.store.bodies(page, frozenset(self.authenticated), self._owner)
            for _, body in await asyncio.wrap_future(bodies):
                if not subscription.is_open:
                    return
                self.send_event(subscription, body + wire.EVENT_TAIL)
        if not subscription.is_open:
            return
        self.send(wire.eose(subscription.name))
        held, subscription.held = subscription.held or [], None
        if service.ingest.passed_on < settled_at:
            subscription.stored, subscription.settled_at = stored, settled_at
        for event in held:
            if bytes.fromhex(event.id) not in stored and subscription.is_open:
                self.deliver(subscription, event, event.text + wire.EVENT_TAIL)


class AddressRates:
    """Event rates of addresses.  They outlive connections, so that connecting again gains nothing.

    Args:
        make: a new rate.
        max_addresses: that are remembered; the ones longest unseen go first.
    """

    def __init__(self, make: Callable[[], TokenBucket], max_addresses: int = 10_000) -> None:
        self._make = make
        self._max_addresses = max_addresses
        self._rates: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rates)

    def of(self, network: str) -> TokenBucket:
        """The rate of an address, for a new connection of it."""
        rate = self._rates.pop(network, None) or self._make()
        self._rates[network] = rate
        while len(self._rates) > self._max_addresses:
            self._rates.popitem(last=False)
        return rate
