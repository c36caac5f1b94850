"""Records of what was played in rooms (spec rooms 11): one for each round, closed however a room ends.

One thread owns the database.  Whoever reports something hands it over and does not wait; many reports become one
transaction.  A process that is killed loses at most what it was about to write (WAL, ``synchronous=NORMAL``): records
that it left open are closed at the next start.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from teleglyph.errors import ConfigurationError

_log = logging.getLogger(__name__)
T = TypeVar("T")

_MIGRATIONS = (
    """
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        room_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        game TEXT NOT NULL,
        room TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        end_reason TEXT,
        result TEXT,
        UNIQUE (room_id, round)
    ) STRICT;
    CREATE INDEX open_records ON records (room_id) WHERE ended_at IS NULL;
    CREATE TABLE participants (
        record_id INTEGER NOT NULL REFERENCES records (id) ON DELETE CASCADE,
        player INTEGER NOT NULL,
        outcome TEXT,
        PRIMARY KEY (record_id, player)
    ) STRICT, WITHOUT ROWID;
    """,
)
_WAITING = 10_000
"""Reports that may wait for the thread."""
_GROUP = 500
LEFT_OPEN = "the server stopped"


@dataclass(frozen=True, slots=True)
class Record:
    """One round.

    Attributes:
        id: of the record.
        game, room: what was played where.
        started_at, ended_at: Unix seconds; None while it goes on.
        end_reason: why it is over.
        result: as the host gave it, JSON; None if it gave none.
        outcomes: by player; None where the host said nothing.
    """

    id: int
    game: str
    room: str
    started_at: float
    ended_at: float | None
    end_reason: str | None
    result: str | None
    outcomes: dict[int, str | None] = field(default_factory=dict)


class RecordStore:
    """Records in a file.

    Args:
        path: of the database; made if it is not there.
        clock: gives Unix seconds.

    Raises:
        ConfigurationError: the file cannot be used.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.dropped = 0
        """Reports that were lost because too many waited."""
        self._clock = clock
        self._queue: queue.Queue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = queue.Queue(_WAITING)
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(path, opened), name="records", daemon=True)
        self._thread.start()
        try:
            opened.result()
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"The records '{path}' cannot be used: {error}") from error

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._queue.put(None)
        self._thread.join(10)

    def opened(self, room_id: str, game: str, room: str) -> None:
        """A room was made."""
        now = self._clock()
        self._tell(lambda base: _open(base, room_id, 1, game, room, now))

    def closed(self, room_id: str, reason: str) -> None:
        """A room is over."""
        now = self._clock()
        self._tell(lambda base: _close(base, room_id, now, reason))

    def result(self, room_id: str, result: str, outcomes: Mapping[int, str | None]) -> Future[int | None]:
        """A round is over: closes its record and opens the next round's.

        Args:
            result: JSON.
            outcomes: of everybody who took part.

        Returns:
            the record's id, in time; None if the room has no open record.
        """
        now = self._clock()
        return self._ask(lambda base: _finish(base, room_id, now, result, dict(outcomes)))

    def record(self, number: int) -> Future[Record | None]:
        """A record by its id, in time; None if there is none."""
        return self._ask(lambda base: _read(base, number))

    # --- internals ------------------------------------------------------------------------------------

    def _tell(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        try:
            self._queue.put_nowait((work, Future()))
        except queue.Full:
            self.dropped += 1

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        try:
            self._queue.put_nowait((work, future))
        except queue.Full:
            self.dropped += 1
            future.set_exception(ConfigurationError("Too many records wait to be written"))
        return future

    def _run(self, path: Path, opened: Future[None]) -> None:
        try:
            base = sqlite3.connect(path, isolation_level=None)
            _prepare(base, self._clock())
        except (sqlite3.Error, OSError) as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while (group := self._group()) is not None:
            self._work(base, group)
        base.close()

    def _group(self) -> list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]] | None:
        """What waits; waits itself if nothing does.  None at the end, when all is written."""
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _GROUP and not self._queue.empty():
            item = self._queue.get()
            if item is None:
                self._queue.put(None)
                break
            group.append(item)
        return group

    @staticmethod
    def _work(base: sqlite3.Connection, group: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
        try:
            base.execute("BEGIN IMMEDIATE")
            answers = [work(base) for work, _ in group]
            base.execute("COMMIT")
        except sqlite3.Error as error:
            if base.in_transaction:
                base.execute("ROLLBACK")
            _log.error("%d records could not be written: %s", len(group), error)
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            future.set_result(answer)


def _prepare(base: sqlite3.Connection, now: float) -> None:
    """Bring the schema up to date, and close what an earlier process left open."""
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")
    base.execute("PRAGMA foreign_keys = ON")
    (version,) = base.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise sqlite3.DatabaseError(f"it was made by a newer version of this program (schema {version})")
    for number, script in enumerate(_MIGRATIONS[version:], version + 1):
        base.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    base.execute("UPDATE records SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL", (now, LEFT_OPEN))


def _open(base: sqlite3.Connection, room_id: str, number: int, game: str, room: str, now: float) -> None:
    base.execute(
        "INSERT INTO records (room_id, round, game, room, started_at) VALUES (?, ?, ?, ?, ?)",
        (room_id, number, game, room, now),
    )


def _close(base: sqlite3.Connection, room_id: str, now: float, reason: str) -> None:
    base.execute(
        "UPDATE records SET ended_at = ?, end_reason = ? WHERE room_id = ? AND ended_at IS NULL", (now, reason, room_id)
    )


def _finish(
    base: sqlite3.Connection, room_id: str, now: float, result: str, outcomes: Mapping[int, str | None]
) -> int | None:
    row = base.execute(
        "SELECT id, round, game, room FROM records WHERE room_id = ? AND ended_at IS NULL", (room_id,)
    ).fetchone()
    if row is None:
        return None
    record, number, game, room = row
    base.execute(
        "UPDATE records SET ended_at = ?, end_reason = 'the host gave a result', result = ? WHERE id = ?",
        (now, result, record),
    )
    base.executemany(
        "INSERT INTO participants (record_id, player, outcome) VALUES (?, ?, ?)",
        [(record, player, outcome) for player, outcome in outcomes.items()],
    )
    _open(base, room_id, number + 1, game, room, now)
    return int(record)


def _read(base: sqlite3.Connection, number: int) -> Record | None:
    row = base.execute(
        "SELECT id, game, room, started_at, ended_at, end_reason, result FROM records WHERE id = ?", (number,)
    ).fetchone()
    if row is None:
        return None
    people = base.execute("SELECT player, outcome FROM participants WHERE record_id = ? ORDER BY player", (number,))
    number, game, room, started, ended, reason, result = row
    return Record(number, game, room, started, ended, reason, result, dict(people.fetchall()))
