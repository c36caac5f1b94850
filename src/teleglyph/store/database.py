"""One database: a thread that writes and commits in groups, threads that read beside it, futures for who waits.

Whoever has something to write hands over a function and does not wait for others; many functions become one
transaction, because the commit is what takes time.  A future is resolved only when its work is durable.  Which database
lies below does not matter to the functions: they get a :class:`Base` and write SQL that both understand, with ``?`` for
values.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from teleglyph.errors import StoreError
from teleglyph.store.questions import SERVER, Asker, Question, QuestionLimits, Questions

_log = logging.getLogger(__name__)
T = TypeVar("T")

READ_SECONDS = 5.0
"""For one question; nobody keeps the readers from the others for longer."""
_READERS = 2
_WAITING_SECONDS = 30.0
"""A question that waits longer fails, whatever the reason is."""
_STUCK_SECONDS = 3 * READ_SECONDS
"""A question that takes longer, although the database should have broken it off, is taken from its reader."""
_GROUP = 500
_CLOSE_SECONDS = 10.0
_LOOK_SECONDS = 0.25
"""Between two looks at what waits."""
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to reach a database that went away; the last one is repeated."""


class DatabaseUnavailableError(Exception):
    """The connection to the database is lost: whatever was not committed is undone."""


class Base(ABC):
    """A connection to a database, for one thread."""

    @abstractmethod
    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement; its rows, if it has any.

        Raises:
            StoreError: it cannot be done.
            DatabaseUnavailableError: the connection is lost.
        """

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """One statement for many rows of values; raises as :meth:`run`."""

    @abstractmethod
    def take_numbers(self, table: str, column: str, count: int) -> list[int]:
        """So many unused keys of a table, ascending; inside a transaction that writes."""

    @abstractmethod
    def search_words(self, text: str) -> tuple[str, object]:
        """How to find texts with all words of an encoded text (:mod:`teleglyph.wire.nostr.search_words`): SQL
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
    def abort(self) -> None:
        """Break off whatever another thread does with this connection; does not raise.  It fails there, now or soon."""

    @abstractmethod
    def close(self) -> None:
        """End the connection; does not raise."""


class Backend(ABC):
    """How to reach a database."""

    name: ClassVar[str]

    @abstractmethod
    def writer(self, instance: int, on_connect: Callable[[Base], None] = lambda _base: None) -> Base:
        """The connection that writes, on behalf of a process that calls itself ``instance``.

        Args:
            instance: a random number that other processes know this one by.
            on_connect: gets the connection before it is ready, so that others can abort what it still waits for.

        Raises:
            StoreError: the database cannot be used.
        """

    @abstractmethod
    def reader(self) -> Base:
        """A connection that only reads; raises as :meth:`writer`."""

    def trouble(self) -> str | None:
        """Why what was written may not be found again, in words for people; None if nothing is known against it."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what is held besides connections."""


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """What may wait to be written, and for how long; times in seconds."""

    jobs: int = 20_000
    bytes: int = 64 << 20
    stall_seconds: float = 5.0
    """A job that waits longer means that the database is not well."""
    write_seconds: float = 20.0
    """A job that waits longer fails, and what the writing connection does is broken off."""


@dataclass(slots=True)
class DatabaseCounters:
    """What happened."""

    commits: int = 0
    written: int = 0
    refused: int = 0
    """Work that was not taken because too much waited."""
    failed: int = 0
    lost_connections: int = 0
    overdue: int = 0
    """Jobs that failed because they had waited too long."""
    restarts: int = 0
    """How often the writer had to begin anew after an unexpected error."""


@dataclass(slots=True)
class _Job:
    work: Callable[[Base], Any]
    future: Future[Any]
    size: int
    is_kept: bool
    """It waits for a database that is away; the others are told that it is."""
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class _Reader:
    """A thread that answers questions.

    Attributes:
        question: what it works on.
        started: when it took that, on the monotonic clock.
        busy_since: the same, or when it was last told to give it up.
    """

    thread: threading.Thread | None = None
    base: Base | None = None
    question: Question | None = None
    started: float = 0.0
    busy_since: float = 0.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """A question's error, as it is to be raised where somebody waits for the answer."""

    error: BaseException


class Database:
    """Writes and reads on behalf of others.

    Args:
        backend: the database.
        instance: a random number under which this process is known to others that use the same database.
        limits: what may wait to be written.
        questions: what may wait to be read.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(
        self,
        backend: Backend,
        instance: int,
        limits: DatabaseLimits | None = None,
        questions: QuestionLimits | None = None,
    ) -> None:
        self.instance = instance
        self.counters = DatabaseCounters()
        self._backend = backend
        self._limits = limits or DatabaseLimits()
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._is_closing = False
        self._group_now: list[_Job] = []
        self._busy_since: float | None = None
        """When the writer took the jobs it is working on, or began to look for the database."""
        self._writing: Base | None = None
        self._away: str | None = None
        self._probe: Future[None] | None = None
        self._questions = Questions(questions or QuestionLimits())
        self._asked = threading.Condition()
        opened: Future[None] = Future()
        self._thread = self._start_writer(opened)
        opened.result()
        self._readers = [_Reader() for _ in range(_READERS)]
        for reader in self._readers:
            self._start_reader(reader)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="store watcher", daemon=True)
        self._watcher.start()

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

    def read(self, work: Callable[[Base], T], asker: Asker = SERVER) -> Future[T]:
        """Have something read, beside what is written; sees what was committed before.

        Args:
            work: gets a connection, in a reader's thread.
            asker: whose turn it takes.
        """
        future: Future[T] = Future()
        with self._asked:
            refusal = "The database is closed" if self._is_closing else self._questions.refusal(asker)
            if refusal is None:
                self._questions.add(Question(work, asker, future))
                self._asked.notify()
                return future
        self.counters.refused += 1
        future.set_exception(StoreError(refusal))
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            self._abort()
            self._thread.join(_CLOSE_SECONDS)
        self._ended.set()
        self._watcher.join(_CLOSE_SECONDS)
        self._fail(self._take_all(), "The database is closed")
        with self._asked:
            self._asked.notify_all()
            waiting = self._questions.take_late(float("inf"))
        for question in waiting:
            question.future.cancel()
        for reader in self._readers:
            if reader.thread is None:
                continue
            reader.thread.join(_CLOSE_SECONDS)
            if reader.thread.is_alive() and reader.base is not None:
                reader.base.abort()
                reader.thread.join(_CLOSE_SECONDS)
        self._backend.close()

    # --- reading --------------------------------------------------------------------------------------

    def _start_reader(self, reader: _Reader) -> None:
        reader.thread = threading.Thread(target=self._answer, args=(reader,), name="store reader", daemon=True)
        reader.thread.start()

    def _answer(self, reader: _Reader) -> None:
        """A reader's life; as with the writer, no error ends it."""
        while (question := self._next_question(reader)) is not None:
            answer: object
            try:
                answer = self._read(reader, question.work)
            except BaseException as error:
                answer = _Failure(error)
            self._finish_question(reader, question)
            _settle(question.future, answer)
        if reader.base is not None:
            reader.base.close()

    def _next_question(self, reader: _Reader) -> Question | None:
        """The question that is to be answered now; waits if there is none.  None at the end."""
        with self._asked:
            while True:
                question = self._questions.take(time.monotonic())
                if question is None:
                    if self._is_closing:
                        return None
                    self._asked.wait()
                elif _claim(question.future):
                    reader.question = question
                    reader.started = reader.busy_since = time.monotonic()
                    return question
                else:
                    self._questions.finish(question, 0.0, time.monotonic())

    def _finish_question(self, reader: _Reader, question: Question) -> None:
        with self._asked:
            now = time.monotonic()
            seconds = now - reader.started
            reader.question = None
            self._questions.finish(question, seconds, now)
            self._asked.notify()  # the next one of this client may be taken by another reader
        if question.asker.on_cost is not None:
            try:
                question.asker.on_cost(seconds)
            except BaseException:
                _log.exception("what a question cost could not be charged")

    def _read(self, reader: _Reader, work: Callable[[Base], T]) -> T:
        for is_last in (False, True):
            if reader.base is None:
                reader.base = self._backend.reader()
            base = reader.base
            try:
                base.begin_reading()
                try:
                    return work(base)
                finally:
                    base.rollback()
            except DatabaseUnavailableError as error:
                reader.base = None
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

    def _start_writer(self, opened: Future[None] | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._run, args=(opened,), name="store writer", daemon=True)
        thread.start()
        return thread

    def _run(self, opened: Future[None] | None) -> None:
        """The writer's life.  No error ends it: whoever waits would never be answered again.

        Args:
            opened: gets the result of the first attempt to connect, after which the thread ends if it failed; None:
                try until it succeeds.
        """
        base: Base | None = None
        if opened is not None:
            try:
                base = self._connect()
            except BaseException as error:
                opened.set_exception(error)
                return
            opened.set_result(None)
        reason = "the connection has to be made anew"
        while True:
            try:
                if base is None:
                    base = self._reconnect(reason)
                    if base is None:
                        return
                group = self._group()
                if not group:
                    base.close()
                    return
                self._write(base, group)
                self._finish_group()
            except DatabaseUnavailableError as error:
                self.counters.lost_connections += 1
                reason = str(error)
                _log.error("the database is away: %s", error)
                self._discard(base)
                base = None
            except BaseException as error:
                self.counters.restarts += 1
                reason = f"{type(error).__name__}: {error}"
                _log.exception("the database's writer failed and begins anew")
                self._discard(base)
                base = None
                # Also what would be kept: it may be the reason.
                self._fail(self._group_now, f"The database's writer failed: {reason}")

    def _connect(self) -> Base:
        def note(base: Base) -> None:
            self._writing = base

        return self._backend.writer(self.instance, note)

    def _discard(self, base: Base | None) -> None:
        self._writing = None
        if base is not None:
            try:
                base.close()
            except BaseException:  # it is given up anyway
                _log.exception("a connection to the database could not be closed")

    def _group(self) -> list[_Job]:
        """What waits; waits itself if nothing does.  Empty at the end, when all is written."""
        while True:
            with self._wake:
                while not self._jobs and not self._is_closing:
                    self._wake.wait()
                taken = [self._jobs.popleft() for _ in range(min(_GROUP, len(self._jobs)))]
                self._bytes -= sum(job.size for job in taken)
                group = self._group_now = [job for job in taken if _claim(job.future)]
                self._busy_since = time.monotonic() if group else None
            if group or not taken:
                return group

    def _finish_group(self) -> None:
        with self._wake:
            self._group_now = []
            self._busy_since = None

    def _write(self, base: Base, group: list[_Job]) -> None:
        """One transaction; if it fails, one for each, so that a job harms only itself."""
        try:
            base.begin()
            answers = [job.work(base) for job in group]
            if any(job.future.done() for job in group):
                raise StoreError("it took too long")  # whoever waited was told that it failed: it is not to be there
            base.commit()
        except DatabaseUnavailableError:
            raise
        except BaseException as error:  # also of a job that wants to end its thread: it is not its own
            base.rollback()
            if len(group) > 1:
                for job in group:
                    if not job.future.done():
                        self._write(base, [job])
                return
            self.counters.failed += 1
            failure = error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}")
            _settle(group[0].future, failure)
            return
        self.counters.commits += 1
        self.counters.written += len(group)
        for job, answer in zip(group, answers, strict=True):
            _settle(job.future, answer)

    def _reconnect(self, reason: str) -> Base | None:
        """Try until the database is there again; None if we are told to end meanwhile.

        What nobody waits for goes back to the front of the queue; who waits is told at once, because it is not known
        whether a commit came through.
        """
        attempt = 0
        while True:
            with self._wake:
                group = self._group_now + list(self._jobs)
                self._group_now = []
                self._jobs.clear()
                kept = [job for job in group if job.is_kept and not job.future.done()]
                self._jobs.extend(kept)
                self._bytes = sum(job.size for job in kept)
                is_closing = self._is_closing
                self._away = reason
                self._busy_since = time.monotonic()
            self._fail([job for job in group if not job.is_kept or is_closing], f"The database is away: {reason}")
            if is_closing:
                return None
            try:
                base = self._connect()
            except (StoreError, DatabaseUnavailableError) as error:
                reason = str(error)
            except BaseException as error:  # the next attempt may succeed
                reason = f"{type(error).__name__}: {error}"
                _log.exception("the database cannot be reached")
            else:
                _log.warning("the database is there again, %d reports waited", len(kept))
                with self._wake:
                    self._away = self._busy_since = None
                return base
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    def _fail(self, jobs: Iterable[_Job], reason: str) -> None:
        for job in jobs:
            if _claim(job.future):
                self.counters.failed += 1
                _settle(job.future, StoreError(reason))

    def _take_all(self) -> list[_Job]:
        with self._wake:
            jobs = self._group_now + list(self._jobs)
            self._group_now = []
            self._jobs.clear()
            self._bytes = 0
        return jobs

    # --- watching -------------------------------------------------------------------------------------

    def health(self) -> str | None:
        """What is wrong with the database at this moment, in words for people; None if nothing is known to be."""
        now, limit = time.monotonic(), self._limits.stall_seconds
        with self._wake:
            if self._away is not None:
                return f"the database is away: {self._away}"
            if not self._thread.is_alive():
                return "the database's writer has ended"
            since = min((job.since for job in (*self._group_now, *self._jobs)), default=now)
        if (reason := self._backend.trouble()) is not None:
            return reason
        with self._asked:
            stuck = [reader for reader in self._readers if reader.question and now - reader.started > _STUCK_SECONDS]
        if stuck:
            return f"the database has not answered a question for {now - min(one.started for one in stuck):.0f} s"
        if now - since > limit:
            return f"the database has not finished a write for {now - since:.0f} s"
        return None

    def probe(self) -> Future[None]:
        """Have the database do a little work; done when it was done, StoreError if it was not.

        Whoever asks while it is under way gets the same answer: asking often costs nothing.
        """
        with self._wake:
            probe = self._probe
        if probe is None or probe.done():
            probe = self.write(_prove)
            with self._wake:
                self._probe = probe
        return probe

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                self._look(time.monotonic())
            except BaseException:  # the next look may succeed
                _log.exception("the database could not be looked after")

    def _look(self, now: float) -> None:
        """Give up on what takes too long: nobody waits for ever."""
        limit = self._limits.write_seconds
        with self._wake:
            late = [job for job in self._jobs if not job.is_kept and now - job.since > limit]
            if late:
                gone = set(map(id, late))
                self._jobs = deque(job for job in self._jobs if id(job) not in gone)
                self._bytes -= sum(job.size for job in late)
            is_stuck = self._busy_since is not None and now - self._busy_since > limit
            if is_stuck:
                late += [job for job in self._group_now if not job.is_kept and not job.future.done()]
                self._busy_since = now  # the next attempt to break it off comes as much later
            is_dead = not self._thread.is_alive() and not self._is_closing
        self._look_at_readers(now)
        if late or is_stuck:
            self.counters.overdue += len(late)
            self._fail(late, f"The database did not finish the write within {limit:g} s")
        if is_stuck:
            _log.error("the database did not answer within %g s, its connection is given up", limit)
            self._abort()
        if is_dead:
            self.counters.restarts += 1
            _log.error("the database's writer had ended, a new one begins")
            self._discard(self._writing)
            self._thread = self._start_writer()

    def _look_at_readers(self, now: float) -> None:
        with self._asked:
            late = self._questions.take_late(now - _WAITING_SECONDS)
            stuck = [reader for reader in self._readers if reader.question and now - reader.busy_since > _STUCK_SECONDS]
            failed = [reader.question for reader in stuck if reader.question]
            for reader in stuck:
                reader.busy_since = now
                if reader.base is not None:
                    reader.base.abort()
        for question in (*late, *failed):
            if _claim(question.future):
                self.counters.overdue += 1
                _settle(question.future, StoreError("The database did not answer the question in time"))
        for reader in self._readers:
            if reader.thread is not None and not reader.thread.is_alive() and not self._is_closing:
                self.counters.restarts += 1
                _log.error("a reader of the database had ended, a new one begins")
                if (lost := reader.question) is not None:
                    self._finish_question(reader, lost)
                    _settle(lost.future, StoreError("The database's reader failed"))
                self._start_reader(reader)

    def _abort(self) -> None:
        base = self._writing
        if base is not None:
            base.abort()


def _prove(base: Base) -> None:
    base.run("SELECT 1")


def _settle(future: Future[Any], answer: object) -> None:
    """Give a future its result, or a StoreError.

    Whatever goes wrong with it harms nobody else: it may have failed before, and its callbacks may fail.
    """
    try:
        with contextlib.suppress(InvalidStateError):
            if isinstance(answer, _Failure):
                # An error that ends threads is not to end the one that waits.
                is_own = isinstance(answer.error, Exception)
                name = type(answer.error).__name__
                future.set_exception(answer.error if is_own else StoreError(f"{name}: {answer.error}"))
            elif isinstance(answer, StoreError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
    except BaseException:
        _log.exception("whoever waited for the database could not be answered")


def _claim(future: Future[Any]) -> bool:
    """Keep a future from being cancelled until its work is done; False if whoever waited has given up already."""
    try:
        return not future.done() and (future.running() or future.set_running_or_notify_cancel())
    except (InvalidStateError, RuntimeError):  # it was cancelled or failed between the questions
        return False


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
        NotSupportedError: the package for it is not installed.
    """
    instance = secrets.randbelow(2**31 - 1) + 1 if instance is None else instance
    if isinstance(place, str) and place.startswith(("postgresql://", "postgres://")):
        from teleglyph.store.postgresql import PostgresqlBackend

        return Database(PostgresqlBackend(place), instance)
    from teleglyph.store.sqlite import SqliteBackend

    return Database(SqliteBackend(Path(place)), instance)
