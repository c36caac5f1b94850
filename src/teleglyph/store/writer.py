"""The thread that writes: many jobs share one transaction, because the commit is what takes time.

A job's future is resolved only when its work is durable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from teleglyph.errors import StoreError
from teleglyph.store.backend import Backend, DatabaseConnection, DatabaseUnavailableError
from teleglyph.store.counters import DatabaseCounters
from teleglyph.store.futures import claim, resolve

_log = logging.getLogger(__name__)
T = TypeVar("T")

_GROUP = 500
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to reach a lost database; the last one is repeated."""


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """Limits on waiting writes; times in seconds."""

    jobs: int = 20_000
    bytes: int = 64 << 20
    stall_seconds: float = 5.0
    """A job that waits longer makes the database count as unhealthy."""
    write_seconds: float = 20.0
    """A job that waits longer fails, and the writing connection is aborted."""


@dataclass(slots=True)
class _Job:
    work: Callable[[DatabaseConnection], Any]
    future: Future[Any]
    size: int
    is_kept: bool
    """It waits while the database is unavailable; other jobs fail at once."""
    since: float = field(default_factory=time.monotonic)


class Writer:
    """Writes in groups.

    Args:
        backend: opens the connection.
        instance: the number of this process.
        limits: how much may wait.
        counters: shared with the readers.

    Raises:
        StoreError: the database cannot be used.
    """

    def __init__(self, backend: Backend, instance: int, limits: WriteLimits, counters: DatabaseCounters) -> None:
        self.limits = limits
        self._backend = backend
        self._instance = instance
        self._counters = counters
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._current_group: list[_Job] = []
        self._busy_since: float | None = None
        """When the writer took its current jobs, or began to reconnect."""
        self._connection: DatabaseConnection | None = None
        self._unavailable: str | None = None
        opened: Future[None] = Future()
        self._thread = self._start(opened)
        opened.result()

    def write(self, work: Callable[[DatabaseConnection], T], *, size: int = 0, is_kept: bool = False) -> Future[T]:
        """Queue a job.

        Args:
            work: runs on the writing thread, in a transaction with other jobs.  It may run again if one of them fails,
                so it touches nothing but the database.
            size: bytes that it holds while it waits.
            is_kept: wait while the database is unavailable instead of failing.

        Returns:
            the result of ``work``, once it is durable; StoreError if it was not written.
        """
        future: Future[T] = Future()
        job = _Job(work, future, size, is_kept)
        with self._changed:
            is_full = len(self._jobs) >= self.limits.jobs or self._bytes + job.size > self.limits.bytes
            if not is_full and not self._is_closing:
                self._jobs.append(job)
                self._bytes += job.size
                self._changed.notify()
                return future
        self._counters.refused += 1
        future.set_exception(StoreError("The database's write queue is full" if is_full else "The database is closed"))
        return future

    def finish(self, timeout: float) -> None:
        """Write what waits, then end the thread; abort the connection if that takes too long.

        Args:
            timeout: seconds.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._abort()
            self._thread.join(timeout)

    def fail_remaining(self) -> None:
        """Fail every job that was not written; call it after :meth:`finish`."""
        with self._changed:
            jobs = self._current_group + list(self._jobs)
            self._current_group = []
            self._jobs.clear()
            self._bytes = 0
        self._fail(jobs, "The database is closed")

    # --- the thread -----------------------------------------------------------------------------------

    def _start(self, opened: Future[None] | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(opened,), name="store writer", daemon=True)
        thread.start()
        return thread

    def _run(self, opened: Future[None] | None) -> None:
        """Write until the database is closed; no error ends the thread, or waiting jobs would never be answered.

        Args:
            opened: gets the result of the first attempt to connect, after which the thread ends if it failed; None:
                retry until it succeeds.
        """
        connection: DatabaseConnection | None = None
        if opened is not None:
            try:
                connection = self._connect()
            except BaseException as error:
                opened.set_exception(error)
                return
            opened.set_result(None)
        reason = "the writer is reconnecting"
        while True:
            try:
                if connection is None:
                    connection = self._reconnect(reason)
                    if connection is None:
                        return
                group = self._next_group()
                if not group:
                    connection.close()
                    return
                self._write(connection, group)
                self._finish_group()
            except DatabaseUnavailableError as error:
                self._counters.lost_connections += 1
                reason = str(error)
                _log.error("Database connection lost: %s", error)
                self._discard(connection)
                connection = None
            except BaseException as error:
                self._counters.restarts += 1
                reason = f"{type(error).__name__}: {error}"
                _log.exception("Database writer failed; reconnecting")
                self._discard(connection)
                connection = None
                # Kept jobs too: one of them may be the cause.
                self._fail(self._current_group, f"The database writer failed: {reason}")

    def _connect(self) -> DatabaseConnection:
        def remember(connection: DatabaseConnection) -> None:
            self._connection = connection

        return self._backend.writer(self._instance, remember)

    def _discard(self, connection: DatabaseConnection | None) -> None:
        self._connection = None
        if connection is not None:
            try:
                connection.close()
            except BaseException:  # the connection is not used again
                _log.exception("Closing a database connection failed")

    def _next_group(self) -> list[_Job]:
        """Wait for jobs and take them; empty at the end, when all are written."""
        while True:
            with self._changed:
                while not self._jobs and not self._is_closing:
                    self._changed.wait()
                taken = [self._jobs.popleft() for _ in range(min(_GROUP, len(self._jobs)))]
                self._bytes -= sum(job.size for job in taken)
                group = self._current_group = [job for job in taken if claim(job.future)]
                self._busy_since = time.monotonic() if group else None
            if group or not taken:
                return group

    def _finish_group(self) -> None:
        with self._changed:
            self._current_group = []
            self._busy_since = None

    def _write(self, connection: DatabaseConnection, group: list[_Job]) -> None:
        """Write a group in one transaction; if that fails, each job in its own, so that a job harms only itself."""
        try:
            connection.begin()
            answers = [job.work(connection) for job in group]
            if any(job.future.done() for job in group):
                raise StoreError("it took too long")  # the job was reported as failed, so it must not be stored
            connection.commit()
        except DatabaseUnavailableError:
            raise
        except BaseException as error:  # also of a job that raises SystemExit: the thread is not its own
            connection.rollback()
            if len(group) > 1:
                for job in group:
                    if not job.future.done():
                        self._write(connection, [job])
                return
            self._counters.failed += 1
            failure = error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}")
            resolve(group[0].future, failure)
            return
        self._counters.commits += 1
        self._counters.written += len(group)
        for job, answer in zip(group, answers, strict=True):
            resolve(job.future, answer)

    def _reconnect(self, reason: str) -> DatabaseConnection | None:
        """Retry until the database is available; None if the database is closed meanwhile.

        Kept jobs go back to the front of the queue.  The others fail at once, because nobody knows whether a commit
        came through.
        """
        attempt = 0
        while True:
            with self._changed:
                group = self._current_group + list(self._jobs)
                self._current_group = []
                self._jobs.clear()
                kept = [job for job in group if job.is_kept and not job.future.done()]
                self._jobs.extend(kept)
                self._bytes = sum(job.size for job in kept)
                is_closing = self._is_closing
                self._unavailable = reason
                self._busy_since = time.monotonic()
            failed = [job for job in group if not job.is_kept or is_closing]
            self._fail(failed, f"The database is unavailable: {reason}")
            if is_closing:
                return None
            try:
                connection = self._connect()
            except (StoreError, DatabaseUnavailableError) as error:
                reason = str(error)
            except BaseException as error:  # the next attempt may succeed
                reason = f"{type(error).__name__}: {error}"
                _log.exception("Connecting to the database failed")
            else:
                _log.warning("Reconnected to the database: waiting jobs=%d", len(kept))
                with self._changed:
                    self._unavailable = self._busy_since = None
                return connection
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    def _fail(self, jobs: Iterable[_Job], reason: str) -> None:
        for job in jobs:
            if claim(job.future):
                self._counters.failed += 1
                resolve(job.future, StoreError(reason))

    def _abort(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.abort()

    # --- from outside ---------------------------------------------------------------------------------

    def trouble(self) -> str | None:
        """Why writing does not work at this moment, as a sentence for people; None if no problem is known."""
        with self._changed:
            if self._unavailable is not None:
                return f"the database is unavailable: {self._unavailable}"
            if not self._thread.is_alive():
                return "the database writer has ended"
        return None

    def stalled_seconds(self, now: float) -> float | None:
        """How long the oldest job has been waiting, if that is too long; None otherwise."""
        with self._changed:
            since = min((job.since for job in (*self._current_group, *self._jobs)), default=now)
        return now - since if now - since > self.limits.stall_seconds else None

    def check(self, now: float) -> None:
        """Fail jobs that are overdue, abort a stuck connection, and restart a writer that ended."""
        limit = self.limits.write_seconds
        with self._changed:
            late = [job for job in self._jobs if not job.is_kept and now - job.since > limit]
            if late:
                gone = set(map(id, late))
                self._jobs = deque(job for job in self._jobs if id(job) not in gone)
                self._bytes -= sum(job.size for job in late)
            is_stuck = self._busy_since is not None and now - self._busy_since > limit
            if is_stuck:
                late += [job for job in self._current_group if not job.is_kept and not job.future.done()]
                self._busy_since = now  # the next abort comes as much later
            is_dead = not self._thread.is_alive() and not self._is_closing
        if late or is_stuck:
            self._counters.overdue += len(late)
            self._fail(late, f"The database did not finish the write within {limit:g} s")
        if is_stuck:
            _log.error("Database did not answer within %g s; aborting its connection", limit)
            self._abort()
        if is_dead:
            self._counters.restarts += 1
            _log.error("Database writer ended; starting a new one")
            self._discard(self._connection)
            self._thread = self._start()
