"""Which query a reader runs next: clients take turns, and those that used the least reader time go first."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from teleglyph.store.backend import DatabaseConnection

_FORGIVEN = 0.25
"""Seconds of reader time that a client may use each second without losing its place."""
_MAX_DEBT = 10.0
"""Seconds.  This caps how long a heavy client waits behind others: its debt is gone after 40 s."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """Limits on waiting queries."""

    queries: int = 2000
    per_client: int = 200


@dataclass(frozen=True, slots=True)
class QueryOwner:
    """The client that a query is run for.

    Attributes:
        client: turns are taken by this, such as a network; None: the server itself, whose queries do not wait for each
            other.
        on_cost: gets the seconds of reader time that the query took, on the reader's thread.
    """

    client: Hashable = None
    on_cost: Callable[[float], None] | None = None


SERVER = QueryOwner()


@dataclass(eq=False, slots=True)
class Query:
    """One query and the future for its answer."""

    work: Callable[[DatabaseConnection], Any]
    owner: QueryOwner
    future: Future[Any]
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Client:
    waiting: deque[Query] = field(default_factory=deque)
    running: int = 0
    used_until: float = 0.0
    """When its debt is gone, on the monotonic clock."""
    last_turn: int = 0


class QueryQueue:
    """Waiting queries.  Not thread-safe; times are on the monotonic clock."""

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits
        self._clients: dict[Hashable, _Client] = {}
        self._turns = 0
        self.waiting = 0

    def refusal_reason(self, owner: QueryOwner) -> str | None:
        """Why one more query cannot be queued; None if it can."""
        limits = self._limits
        client = self._clients.get(owner.client)
        if client is not None and owner.client is not None and len(client.waiting) >= limits.per_client:
            return f"{limits.per_client} queries of this client are already waiting for the database"
        if self.waiting >= limits.queries:
            return f"{limits.queries} queries are already waiting for the database"
        return None

    def add(self, query: Query) -> None:
        """Queue a query."""
        client = self._clients.get(query.owner.client)
        if client is None:
            self._forget_idle(query.since)
            client = self._clients[query.owner.client] = _Client()
        client.waiting.append(query)
        self.waiting += 1

    def pop_next(self, now: float) -> Query | None:
        """The next query to run; None if no client may go next.

        The client with the smallest debt goes first, then the one whose last turn was longest ago.  Each client has at
        most one query running, so that none occupies all readers.
        """
        ready = [
            (max(0.0, client.used_until - now), client.last_turn, key)
            for key, client in self._clients.items()
            if client.waiting and (not client.running or key is None)
        ]
        if not ready:
            return None
        client = self._clients[min(ready, key=lambda one: one[:2])[2]]
        self._turns += 1
        client.last_turn = self._turns
        client.running += 1
        self.waiting -= 1
        return client.waiting.popleft()

    def finish(self, query: Query, seconds: float, now: float) -> None:
        """Record that a running query has finished.

        Args:
            query: from :meth:`pop_next`.
            seconds: how long it ran.
            now: as from ``time.monotonic``.
        """
        client = self._clients[query.owner.client]
        client.running -= 1
        used = max(client.used_until, now) + seconds / _FORGIVEN
        client.used_until = min(used, now + _MAX_DEBT / _FORGIVEN)

    def pop_older_than(self, since: float) -> list[Query]:
        """Remove and return the queries that were queued before ``since``."""
        late = []
        for client in self._clients.values():
            while client.waiting and client.waiting[0].since < since:
                late.append(client.waiting.popleft())
                self.waiting -= 1
        return late

    def _forget_idle(self, now: float) -> None:
        """Forget clients without queries and without debt, which is every client that was idle for 40 s."""
        for key in [key for key, c in self._clients.items() if not c.waiting and not c.running and c.used_until <= now]:
            del self._clients[key]
