"""One database: a thread that writes, threads that read beside it, and futures for the answers.

The functions that read and write get a :class:`~teleglyph.store.backend.DatabaseConnection`.  They use SQL that SQLite
and PostgreSQL both understand, with ``?`` for values.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from teleglyph.store.backend import Backend, DatabaseConnection
from teleglyph.store.counters import DatabaseCounters
from teleglyph.store.query_queue import SERVER, QueryLimits, QueryOwner
from teleglyph.store.reader_pool import ReaderPool
from teleglyph.store.writer import WriteLimits, Writer

_log = logging.getLogger(__name__)
T = TypeVar("T")

_CLOSE_SECONDS = 10.0
_CHECK_SECONDS = 0.25
"""Between two checks for work that is overdue."""


class Database:
    """Reads and writes for others.

    Args:
        backend: the database.
        instance: a random number that tells this process from others that use the same database.
        limits: how much may wait to be written.
        query_limits: how many queries may wait.

    Raises:
        StoreError: the database cannot be used.
    """

    def __init__(
        self,
        backend: Backend,
        instance: int,
        limits: WriteLimits | None = None,
        query_limits: QueryLimits | None = None,
    ) -> None:
        self.instance = instance
        self.counters = DatabaseCounters()
        self._backend = backend
        self._probe: Future[None] | None = None
        self._probing = threading.Lock()
        self._writer = Writer(backend, instance, limits or WriteLimits(), self.counters)
        self._readers = ReaderPool(backend, query_limits or QueryLimits(), self.counters)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="store watcher", daemon=True)
        self._watcher.start()

    @property
    def kind(self) -> str:
        """``SQLite`` or ``PostgreSQL``."""
        return self._backend.name

    def write(self, work: Callable[[DatabaseConnection], T], *, size: int = 0) -> Future[T]:
        """Write something.

        Args:
            work: runs on the writing thread, in a transaction with other work.  It may run again if some of that fails,
                so it touches nothing but the database.
            size: bytes that it holds while it waits.

        Returns:
            the result of ``work``, once it is durable; StoreError if it was not written.
        """
        return self._writer.write(work, size=size)

    def write_and_forget(self, work: Callable[[DatabaseConnection], object], *, size: int = 0) -> None:
        """Write something without waiting for it; unlike :meth:`write`, it also waits for a lost database."""
        self._writer.write(work, size=size, is_kept=True).add_done_callback(_log_failure)

    def read(self, work: Callable[[DatabaseConnection], T], owner: QueryOwner = SERVER) -> Future[T]:
        """Run a query beside the writer; it sees what was committed before it starts.

        Args:
            work: called with a reader's connection, in another thread.
            owner: the client whose turn it takes.
        """
        return self._readers.read(work, owner)

    def size(self) -> Future[int]:
        """The bytes that the database takes up (:meth:`~teleglyph.store.backend.DatabaseConnection.size`)."""
        return self.read(lambda connection: connection.size())

    def close(self) -> None:
        """Write what waits, then close all connections."""
        self._readers.refuse_new()
        self._writer.finish(_CLOSE_SECONDS)
        self._ended.set()
        self._watcher.join(_CLOSE_SECONDS)
        self._writer.fail_remaining()
        self._readers.close(_CLOSE_SECONDS)
        self._backend.close()

    def health(self) -> str | None:
        """What is wrong with the database at this moment, as a sentence for people; None if no problem is known."""
        if (reason := self._writer.trouble() or self._backend.trouble()) is not None:
            return reason
        now = time.monotonic()
        if (stuck := self._readers.stuck_seconds(now)) is not None:
            return f"the database has not answered a query for {stuck:.0f} s"
        if (stalled := self._writer.stalled_seconds(now)) is not None:
            return f"the database has not finished a write for {stalled:.0f} s"
        return None

    def probe(self) -> Future[None]:
        """Run an empty transaction on the writing connection, to prove that it answers; StoreError if it does not.

        Callers share a probe that is under way, so probing often costs nothing.
        """
        with self._probing:
            if self._probe is None or self._probe.done():
                self._probe = self.write(_select_one)
            return self._probe

    def _watch(self) -> None:
        while not self._ended.wait(_CHECK_SECONDS):
            for check in (self._readers.check, self._writer.check):
                try:
                    check(time.monotonic())
                except BaseException:  # the next check may succeed
                    _log.exception("Checking the database failed")


def _select_one(connection: DatabaseConnection) -> None:
    connection.run("SELECT 1")


def _log_failure(future: Future[object]) -> None:
    error = future.exception()
    if error is not None:
        _log.error("Data lost, because it could not be stored: %s", error)
