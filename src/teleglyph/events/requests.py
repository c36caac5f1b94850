"""A client's REQ, COUNT and NEG messages: checked, queued, and answered one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque

from teleglyph.errors import EventRefusedError, StoreError
from teleglyph.events.relay_state import RelayState
from teleglyph.events.subscription import Client, Subscription
from teleglyph.events.sync import Syncs, SyncStep
from teleglyph.net import Stopwatch, TokenBucket, charged
from teleglyph.store.events import MAX_VALUES
from teleglyph.store.hyperloglog import hyperloglog_offset
from teleglyph.store.query_queue import QueryOwner
from teleglyph.wire.nostr import messages as wire
from teleglyph.wire.nostr.filter import Filter, read_filter
from teleglyph.wire.nostr.groups import DIRECT_MESSAGES

_log = logging.getLogger(__name__)
_PAGE_BYTES, _PAGE_MESSAGES = 128 << 10, 100
"""How much may be queued when the next page of stored events is fetched."""

CountRequest = tuple[str, list[Filter]]
"""A COUNT: the client's name for it, and its filters."""


class RequestQueue:
    """The requests of one client that wait for their answers.

    Args:
        client: gets the answers.
        state: of the relay.
        network: the client's address, as limits count it.
    """

    def __init__(self, client: Client, state: RelayState, network: str) -> None:
        self._client = client
        self._state = state
        self._limits = limits = state.limits
        self._rate = TokenBucket(limits.requests_per_second or 1.0, limits.request_burst)
        self._waiting: deque[tuple[Subscription | SyncStep | CountRequest, int]] = deque()
        """Requests with their sizes in bytes."""
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        # By network, so that many connections do not get more turns than one.
        self._owner = QueryOwner(network, on_cost=self._charge_query)
        self.syncs = Syncs(state.store, limits, state.sync_ledger, client.send, self._owner)
        self._answering: asyncio.Task[None] | None = None
        self._failure_level = logging.ERROR

    def close(self) -> None:
        """Forget all requests; the connection is closed."""
        if self._answering is not None:
            self._answering.cancel()
        self._state.request_bytes -= self._bytes
        self._bytes = 0
        self._waiting.clear()

    def check_filters(self, members: list[object], size: int, cost: float = 1.0) -> list[Filter]:
        """Read the filters of a request and check that the client may send it now.

        Args:
            members: the filters as JSON values.
            size: bytes of the request.
            cost: the number of plain requests that it counts as.

        Raises:
            EventRefusedError: it may not.
        """
        filters = self._read_filters(members)
        authenticated = self._client.authenticated
        if self._state.groups is not None:
            for wanted in filters:
                self._state.groups.check_filter(wanted, authenticated)
        if self._limits.auth_required and not authenticated:
            raise EventRefusedError("auth-required: authenticate to read events here")
        if not authenticated and any(wanted.kinds and wanted.kinds <= DIRECT_MESSAGES for wanted in filters):
            raise EventRefusedError("auth-required: only their recipients may read direct messages")
        if self._limits.requests_per_second and not self._rate.allow(time.monotonic(), cost):
            raise EventRefusedError(f"rate-limited: at most {self._limits.requests_per_second:g} requests per second")
        self.check_space(size)
        return filters

    def check_space(self, size: int) -> None:
        """Check that a request of so many bytes may be queued.

        Raises:
            EventRefusedError: it may not.
        """
        limits = self._limits
        if len(self._waiting) >= limits.unanswered_requests or self._bytes + size > limits.unanswered_request_bytes:
            raise EventRefusedError("rate-limited: too many of your requests are waiting for their answers")
        if self._state.request_bytes + size > limits.total_request_bytes:
            raise EventRefusedError("rate-limited: too many requests of other clients are waiting, try again later")

    def add(self, request: Subscription | SyncStep | CountRequest, size: int) -> None:
        """Queue a request that was checked."""
        self._waiting.append((request, size))
        self._bytes += size
        self._state.request_bytes += size
        if self._answering is None:
            stopwatch = Stopwatch(self._client.connection.charge)
            self._answering = self._loop.create_task(charged(self._answer_all(), stopwatch), name="event requests")

    def _charge_query(self, seconds: float) -> None:
        """Called on a reader's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, so costs no longer matter
            self._loop.call_soon_threadsafe(self._state.charge_query, self._client.connection, seconds)

    def _read_filters(self, members: list[object]) -> list[Filter]:
        limits = self._limits
        if len(members) > limits.max_filters:
            raise EventRefusedError(f"invalid: at most {limits.max_filters} filters")
        filters = [read_filter(one, limits.max_values) for one in members]
        for wanted in filters:
            lists = [wanted.ids, wanted.authors, wanted.kinds, *wanted.tags.values()]
            if sum(len(values) for values in lists if values is not None) > MAX_VALUES:
                raise EventRefusedError(f"invalid: at most {MAX_VALUES} values in a filter")
            if wanted.search is not None and not self._state.store.has_search:
                raise EventRefusedError("unsupported: this relay has no search")
        return filters

    async def _answer_all(self) -> None:
        """Answer requests in their order."""
        while self._waiting:
            request, size = self._waiting.popleft()
            try:
                if isinstance(request, Subscription):
                    await self._answer_subscription(request)
                elif isinstance(request, SyncStep):
                    await self.syncs.answer(request, frozenset(self._client.authenticated))
                else:
                    await self._answer_count(*request)
            except StoreError:
                self._fail(request, "error: the database cannot answer now")
            except Exception:
                # A bug of ours: the other requests are answered all the same.  It is logged once, because a client that
                # can provoke it must not fill the log.
                level, self._failure_level = self._failure_level, logging.DEBUG
                peer = self._client.connection.peer
                _log.log(level, "Answering a request failed: client=%s", peer, exc_info=True)
                self._fail(request, "error: this request cannot be answered")
            self._bytes -= size
            self._state.request_bytes -= size
        self._answering = None

    def _fail(self, request: Subscription | SyncStep | CountRequest, text: str) -> None:
        if isinstance(request, Subscription):
            if request.is_open:
                self._client.end_subscription(request, text)
        elif isinstance(request, SyncStep):
            self.syncs.refuse(request.sync, text)
        else:
            self._client.send(wire.closed(request[0], text))

    async def _answer_count(self, name: str, filters: list[Filter]) -> None:
        offset = hyperloglog_offset(filters[0].first_tag_value) if len(filters) == 1 else None
        readers = frozenset(self._client.authenticated)
        total, hll = await asyncio.wrap_future(
            self._state.store.count(filters, time.time(), offset, readers, self._owner)
        )
        self._client.send(wire.count(name, total, hll))

    async def _answer_subscription(self, subscription: Subscription) -> None:
        if not subscription.is_open:
            return
        client, state, limits = self._client, self._state, self._limits
        found = []
        if any(wanted.limit != 0 for wanted in subscription.filters):
            found = await asyncio.wrap_future(
                state.store.find(
                    *(subscription.filters, limits.default_limit, limits.max_limit, time.time()),
                    readers=frozenset(client.authenticated),
                    owner=self._owner,
                )
            )
        stored = {one.id for one in found}
        settled_at = state.ingest.begun
        for start in range(0, len(found), limits.page_events):
            await client.connection.outbox.wait_until_below(_PAGE_BYTES, _PAGE_MESSAGES)
            if not subscription.is_open:
                return
            page = found[start : start + limits.page_events]
            bodies = state.store.bodies(page, frozenset(client.authenticated), self._owner)
            for _, body in await asyncio.wrap_future(bodies):
                if not subscription.is_open:
                    return
                client.send_event(subscription, body + wire.EVENT_TAIL)
        if not subscription.is_open:
            return
        client.send(wire.eose(subscription.name))
        held, subscription.held = subscription.held or [], None
        if state.ingest.passed_on < settled_at:
            subscription.stored, subscription.settled_at = stored, settled_at
        for event in held:
            if bytes.fromhex(event.id) not in stored and subscription.is_open:
                client.deliver(subscription, event, event.text + wire.EVENT_TAIL)
