"""SQLite: one file, one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from teleglyph.errors import StoreError
from teleglyph.store.database import READ_SECONDS, Backend, Base
from teleglyph.store.schema import MIGRATIONS, SQLITE_WORDS, statements

_CACHE_KIB = 16 << 10
_STATEMENTS = 512
_STEPS = 20_000
"""Of SQLite's machine between two looks at the clock, a millisecond or so."""


class SqliteBackend(Backend):
    """A file, which is locked while it is used: what a dead process left open in it is closed at the next start.

    Args:
        path: of the file.
    """

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def writer(self, instance: int, on_connect: Callable[[Base], None] = lambda _base: None) -> Base:
        try:
            self._take_lock()
            base = SqliteBase(sqlite3.connect(self._path, isolation_level=None, cached_statements=_STATEMENTS))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The database '{self._path}' cannot be used: {error}") from error
        on_connect(base)
        try:
            # With FULL a commit is on the disk when it returns; groups make up for what that costs.
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                base.run(f"PRAGMA {pragma}")
            base.run(f"PRAGMA cache_size = -{_CACHE_KIB}")
            base.migrate()
        except StoreError as error:
            base.close()
            raise StoreError(f"The database '{self._path}' cannot be used: {error}") from error
        return base

    def reader(self) -> Base:
        try:
            base = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS,
            )
        except sqlite3.Error as error:
            raise StoreError(f"The database '{self._path}' cannot be read: {error}") from error
        return SqliteBase(base)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StoreError(
                f"The database '{self._path}' is used by another process: give this one another --data-dir, "
                "or share a PostgreSQL database with --database"
            ) from error
        self._lock = lock


class SqliteBase(Base):
    """A connection to a file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error

    def take_numbers(self, table: str, column: str, count: int) -> list[int]:
        ((last,),) = self.run(f"SELECT coalesce(max({column}), 0) FROM {table}")
        return list(range(last + 1, last + 1 + count))

    def search_words(self, text: str) -> tuple[str, object]:
        return "SELECT rowid, rank AS score FROM event_words WHERE event_words MATCH ?", text

    def add_texts(self, rows: Iterable[tuple[int, str]]) -> None:
        self.run_many("INSERT INTO event_words (rowid, content) VALUES (?, ?)", rows)

    def begin_reading(self) -> None:
        deadline = time.monotonic() + READ_SECONDS
        self._connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        self.run("BEGIN")

    def begin(self) -> None:
        self.run("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        self._connection.set_progress_handler(None, 0)
        if self._connection.in_transaction:
            self._connection.rollback()

    def migrate(self) -> None:
        ((version,),) = self.run("PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise StoreError(f"it was made by a newer version of this program (schema {version})")
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            self.begin()
            for statement in statements(migration, SQLITE_WORDS):
                self.run(statement)
            self.run(f"PRAGMA user_version = {number}")
            self.commit()

    def is_running(self, instance: int) -> bool:
        return False  # the file is locked: whoever else wrote to it is gone

    def abort(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()
