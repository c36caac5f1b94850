"""Threads that run queries beside the writer, each on a connection of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from teleglyph.errors import StoreError
from teleglyph.store.backend import READ_SECONDS, Backend, DatabaseConnection, DatabaseUnavailableError
from teleglyph.store.counters import DatabaseCounters
from teleglyph.store.futures import Failure, claim, resolve
from teleglyph.store.query_queue import SERVER, Query, QueryLimits, QueryOwner, QueryQueue

_log = logging.getLogger(__name__)
T = TypeVar("T")

_READERS = 2
_WAITING_SECONDS = 30.0
"""A query that waits longer fails, whatever the reason."""
_STUCK_SECONDS = 3 * READ_SECONDS
"""The database should have cancelled a query that runs longer; its connection is aborted."""


@dataclass(eq=False, slots=True)
class _Reader:
    """A thread that runs queries.

    Attributes:
        query: the one it is running.
        started: when that began, on the monotonic clock.
        busy_since: the same, or when its connection was last aborted.
    """

    thread: threading.Thread | None = None
    connection: DatabaseConnection | None = None
    query: Query | None = None
    started: float = 0.0
    busy_since: float = 0.0


class ReaderPool:
    """Runs queries.

    Args:
        backend: opens the connections.
        limits: how many queries may wait.
        counters: shared with the writer.
    """

    def __init__(self, backend: Backend, limits: QueryLimits, counters: DatabaseCounters) -> None:
        self._backend = backend
        self._counters = counters
        self._queries = QueryQueue(limits)
        self._changed = threading.Condition()
        self._is_closing = False
        self._readers = [_Reader() for _ in range(_READERS)]
        for reader in self._readers:
            self._start(reader)

    def read(self, work: Callable[[DatabaseConnection], T], owner: QueryOwner = SERVER) -> Future[T]:
        """Queue a query; it sees what was committed before it starts.

        Args:
            work: called with a reader's connection, in its thread.
            owner: the client whose turn it takes.
        """
        future: Future[T] = Future()
        with self._changed:
            refusal = "The database is closed" if self._is_closing else self._queries.refusal_reason(owner)
            if refusal is None:
                self._queries.add(Query(work, owner, future))
                self._changed.notify()
                return future
        self._counters.refused += 1
        future.set_exception(StoreError(refusal))
        return future

    def refuse_new(self) -> None:
        """Refuse queries from now on; those that wait may still run."""
        self._is_closing = True

    def close(self, timeout: float) -> None:
        """Cancel waiting queries, abort running ones that do not finish in time, and end the threads.

        Args:
            timeout: seconds per reader.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            waiting = self._queries.pop_older_than(float("inf"))
        for query in waiting:
            query.future.cancel()
        for reader in self._readers:
            if reader.thread is None:
                continue
            reader.thread.join(timeout)
            if reader.thread.is_alive() and reader.connection is not None:
                reader.connection.abort()
                reader.thread.join(timeout)

    def stuck_seconds(self, now: float) -> float | None:
        """How long the slowest query has been running, if that is far too long; None otherwise."""
        with self._changed:
            stuck = [now - one.started for one in self._readers if one.query and now - one.started > _STUCK_SECONDS]
        return max(stuck, default=None)

    def check(self, now: float) -> None:
        """Fail queries that are overdue, abort stuck connections, and restart readers that ended."""
        with self._changed:
            late = self._queries.pop_older_than(now - _WAITING_SECONDS)
            stuck = [reader for reader in self._readers if reader.query and now - reader.busy_since > _STUCK_SECONDS]
            failed = [reader.query for reader in stuck if reader.query]
            for reader in stuck:
                reader.busy_since = now
                if reader.connection is not None:
                    reader.connection.abort()
        for query in (*late, *failed):
            if claim(query.future):
                self._counters.overdue += 1
                resolve(query.future, StoreError("The database did not answer the query in time"))
        for reader in self._readers:
            if reader.thread is not None and not reader.thread.is_alive() and not self._is_closing:
                self._counters.restarts += 1
                _log.error("A database reader ended; starting a new one")
                if (lost := reader.query) is not None:
                    self._finish(reader, lost)
                    resolve(lost.future, StoreError("The database reader failed"))
                self._start(reader)

    def _start(self, reader: _Reader) -> None:
        reader.thread = threading.Thread(target=self._run, args=(reader,), name="store reader", daemon=True)
        reader.thread.start()

    def _run(self, reader: _Reader) -> None:
        """Run queries until the pool is closed; no error ends the thread."""
        while (query := self._next(reader)) is not None:
            answer: object
            try:
                answer = self._run_query(reader, query.work)
            except BaseException as error:
                answer = Failure(error)
            self._finish(reader, query)
            resolve(query.future, answer)
        if reader.connection is not None:
            reader.connection.close()

    def _next(self, reader: _Reader) -> Query | None:
        """Wait for the next query; None at the end."""
        with self._changed:
            while True:
                query = self._queries.pop_next(time.monotonic())
                if query is None:
                    if self._is_closing:
                        return None
                    self._changed.wait()
                elif claim(query.future):
                    reader.query = query
                    reader.started = reader.busy_since = time.monotonic()
                    return query
                else:
                    self._queries.finish(query, 0.0, time.monotonic())

    def _finish(self, reader: _Reader, query: Query) -> None:
        with self._changed:
            now = time.monotonic()
            seconds = now - reader.started
            reader.query = None
            self._queries.finish(query, seconds, now)
            self._changed.notify()  # another reader may take this client's next query
        if query.owner.on_cost is not None:
            try:
                query.owner.on_cost(seconds)
            except BaseException:
                _log.exception("Charging the cost of a query failed")

    def _run_query(self, reader: _Reader, work: Callable[[DatabaseConnection], T]) -> T:
        for is_last in (False, True):
            if reader.connection is None:
                reader.connection = self._backend.reader()
            connection = reader.connection
            try:
                connection.begin_reading()
                try:
                    return work(connection)
                finally:
                    connection.rollback()
            except DatabaseUnavailableError as error:
                reader.connection = None
                connection.close()
                if is_last:
                    raise StoreError(f"The database is unavailable: {error}") from error
        raise AssertionError("unreachable")
