"""One database: a thread that writes and commits in groups, threads that read beside it, futures for who waits.

Whoever has something to write hands over a function and does not wait for others; many functions become one
transaction, because the commit is what takes time.  A future is resolved only when its work is durable.  Which database
lies below does not matter to the functions: they get a :class:`Base` and write SQL that both understand, with ``?`` for
values.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from teleglyph.errors import StoreError

_log = logging.getLogger(__name__)
T = TypeVar("T")

READ_SECONDS = 5.0
"""For one question; nobody keeps the readers from the others for longer."""
_READERS = 2
_READS = 2000
"""Questions that may wait for the readers."""
_GROUP = 500
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to reach a database that went away; the last one is repeated."""


class DatabaseAway(Exception):
    """The connection to the database is lost: whatever was not committed is undone."""


class Base(ABC):
    """A connection to a database, for one thread."""

    @abstractmethod
    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement; its rows, if it has any.

        Raises:
            StoreError: it cannot be done.
            DatabaseAway: the connection is lost.
        """

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """One statement for many rows of values; raises as :meth:`run`."""

    @abstractmethod
    def take_numbers(self, table: str, column: str, count: int) -> list[int]:
        """So many unused keys of a table, ascending; inside a transaction that writes."""

    @abstractmethod
    def search_words(self, text: str) -> tuple[str, object]:
        """How to find texts with all words of an encoded text (:func:`teleglyph.wire.search_words.encode_words`): SQL
        that gives ``rowid`` and ``score`` (the lower the better) of ``event_words``, and its value.
        """

    @abstractmethod
    def add_texts(self, rows: Iterable[tuple[int, str]]) -> None:
        """Add encoded texts to ``event_words``, by their keys."""

    @abstractmethod
    def begin(self) -> None:
        """Start a transaction."""

    @abstractmethod
    def begin_reading(self) -> None:
        """Start a transaction that sees the same from its first statement to its end."""

    @abstractmethod
    def commit(self) -> None:
        """Make it durable."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo it; does not raise."""

    @abstractmethod
    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at once."""

    @abstractmethod
    def is_running(self, instance: int) -> bool:
        """Whether another process that called itself by this number still uses the database."""

    @abstractmethod
    def close(self) -> None:
        """End the connection; does not raise."""


class Backend(ABC):
    """How to reach a database."""

    name: ClassVar[str]

    @abstractmethod
    def writer(self, instance: int) -> Base:
        """The connection that writes, on behalf of a process that calls itself ``instance``.

        Raises:
            StoreError: the database cannot be used.
        """

    @abstractmethod
    def reader(self) -> Base:
        """A connection that only reads; raises as :meth:`writer`."""

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what is held besides connections."""


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """What may wait to be written."""

    jobs: int = 20_000
    bytes: int = 64 << 20


@dataclass(slots=True)
class DatabaseCounters:
    """What happened."""

    commits: int = 0
    written: int = 0
    refused: int = 0
    """Work that was not taken because too much waited."""
    failed: int = 0
    lost_connections: int = 0


@dataclass(slots=True)
class _Job:
    work: Callable[[Base], Any]
    future: Future[Any]
    size: int
    is_kept: bool
    """It waits for a database that is away; the others are told that it is."""


class Database:
    """Writes and reads on behalf of others.

    Args:
        backend: the database.
        instance: a random number under which this process is known to others that use the same database.
        limits: what may wait.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(self, backend: Backend, instance: int, limits: DatabaseLimits | None = None) -> None:
        self.instance = instance
        self.counters = DatabaseCounters()
        self._backend = backend
        self._limits = limits or DatabaseLimits()
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._is_closing = False
        self._reads_waiting = 0
        self._local = threading.local()
        self._bases: list[Base] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store reader")
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="store writer", daemon=True)
        self._thread.start()
        opened.result()

    @property
    def kind(self) -> str:
        """``SQLite`` or ``PostgreSQL``."""
        return self._backend.name

    def write(self, work: Callable[[Base], T], *, size: int = 0) -> Future[T]:
        """Have something written.

        Args:
            work: runs on the writing thread inside a transaction with others'; it may run again if one of those fails,
                so it touches nothing but the database.
            size: bytes that it holds while it waits.

        Returns:
            what ``work`` returned, when it is durable; StoreError if it is not.
        """
        future: Future[T] = Future()
        self._add(_Job(work, future, size, is_kept=False))
        return future

    def tell(self, work: Callable[[Base], object], *, size: int = 0) -> None:
        """As :meth:`write` for what nobody waits for: it is also kept while the database is away."""
        future: Future[object] = Future()
        future.add_done_callback(_report)
        self._add(_Job(work, future, size, is_kept=True))

    def read(self, work: Callable[[Base], T]) -> Future[T]:
        """Have something read, beside what is written; sees what was committed before."""
        if self._reads_waiting >= _READS:
            self.counters.refused += 1
            failed: Future[T] = Future()
            failed.set_exception(StoreError(f"{_READS} questions wait for the database already"))
            return failed
        self._reads_waiting += 1
        future = self._readers.submit(self._read, work)
        future.add_done_callback(self._was_read)
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join(10)
        self._readers.shutdown(wait=True, cancel_futures=True)
        for base in self._bases:
            base.close()
        self._backend.close()

    # --- reading --------------------------------------------------------------------------------------

    def _was_read(self, _future: Future[Any]) -> None:
        self._reads_waiting -= 1

    def _read(self, work: Callable[[Base], T]) -> T:
        for is_last in (False, True):
            base: Base | None = getattr(self._local, "base", None)
            if base is None:
                base = self._local.base = self._backend.reader()
                self._bases.append(base)
            try:
                base.begin_reading()
                try:
                    return work(base)
                finally:
                    base.rollback()
            except DatabaseAway as error:
                self._local.base = None
                self._bases.remove(base)
                base.close()
                if is_last:
                    raise StoreError(f"The database is away: {error}") from error
        raise AssertionError("unreachable")

    # --- writing --------------------------------------------------------------------------------------

    def _add(self, job: _Job) -> None:
        with self._wake:
            is_full = len(self._jobs) >= self._limits.jobs or self._bytes + job.size > self._limits.bytes
            if not is_full and not self._is_closing:
                self._jobs.append(job)
                self._bytes += job.size
                self._wake.notify()
                return
        self.counters.refused += 1
        job.future.set_exception(StoreError("Too much waits to be written" if is_full else "The database is closed"))

    def _run(self, opened: Future[None]) -> None:
        try:
            base = self._backend.writer(self.instance)
        except StoreError as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while group := self._group():
            try:
                self._write(base, group)
            except DatabaseAway as error:
                self.counters.lost_connections += 1
                _log.error("the database is away: %s", error)
                base.close()
                again = self._reconnect(group, str(error))
                if again is None:
                    return
                base = again
        base.close()

    def _group(self) -> list[_Job]:
        """What waits; waits itself if nothing does.  Empty at the end, when all is written."""
        while True:
            with self._wake:
                while not self._jobs and not self._is_closing:
                    self._wake.wait()
                taken = [self._jobs.popleft() for _ in range(min(_GROUP, len(self._jobs)))]
                self._bytes -= sum(job.size for job in taken)
            group = [job for job in taken if _claim(job.future)]
            if group or not taken:
                return group

    def _write(self, base: Base, group: list[_Job]) -> None:
        """One transaction; if it fails, one for each, so that a job harms only itself."""
        try:
            base.begin()
            answers = [job.work(base) for job in group]
            base.commit()
        except DatabaseAway:
            raise
        except Exception as error:
            base.rollback()
            if len(group) > 1:
                for job in group:
                    if not job.future.done():
                        self._write(base, [job])
                return
            self.counters.failed += 1
            failure = error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}")
            group[0].future.set_exception(failure)
            return
        self.counters.commits += 1
        self.counters.written += len(group)
        for job, answer in zip(group, answers, strict=True):
            job.future.set_result(answer)

    def _reconnect(self, group: list[_Job], reason: str) -> Base | None:
        """Try until the database is there again; None if we are told to end meanwhile.

        What nobody waits for goes back to the front of the queue; who waits is told at once, because it is not known
        whether a commit came through.
        """
        attempt = 0
        while True:
            with self._wake:
                group += self._jobs
                self._jobs.clear()
                kept = [job for job in group if job.is_kept and not job.future.done()]
                self._jobs.extend(kept)
                self._bytes = sum(job.size for job in kept)
                is_closing = self._is_closing
            failed = [job for job in group if not job.is_kept or is_closing]
            for job in failed:
                if _claim(job.future):
                    self.counters.failed += 1
                    job.future.set_exception(StoreError(f"The database is away: {reason}"))
            if is_closing:
                return None
            group = []
            try:
                base = self._backend.writer(self.instance)
            except StoreError as error:
                reason = str(error)
            else:
                _log.warning("the database is there again, %d reports waited", len(kept))
                return base
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1


def _claim(future: Future[Any]) -> bool:
    """Keep a future from being cancelled until its work is done; False if whoever waited has given up already."""
    return not future.done() and (future.running() or future.set_running_or_notify_cancel())


def _report(future: Future[object]) -> None:
    error = future.exception()
    if error is not None:
        _log.error("something could not be kept: %s", error)


def open_database(place: str | Path, instance: int | None = None) -> Database:
    """Open a database by its place.

    Args:
        place: a file for SQLite, made if it is not there; or ``postgresql://user@host/name``.
        instance: a number for this process, 1 to 2**31 - 1; None: a random one.

    Raises:
        StoreError: it cannot be used.
        NotSupported: the package for it is not installed.
    """
    instance = secrets.randbelow(2**31 - 1) + 1 if instance is None else instance
    if isinstance(place, str) and place.startswith(("postgresql://", "postgres://")):
        from teleglyph.store.postgresql import PostgresqlBackend

        return Database(PostgresqlBackend(place), instance)
    from teleglyph.store.sqlite import SqliteBackend

    return Database(SqliteBackend(Path(place)), instance)
