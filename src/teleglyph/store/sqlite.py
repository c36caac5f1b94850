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
from teleglyph.store.backend import READ_SECONDS, Backend, DatabaseConnection, DatabaseUnavailableError
from teleglyph.store.schema import MIGRATIONS, SQLITE_WORDS, statements

_CACHE_KIB = 4 << 10
"""Of the writer.  With more, storing events costs as much, but a server's memory grows for half an hour."""
_STATEMENTS = 512
_BESIDE = ("-wal", "-shm")
_MODE = 0o600
"""Only the server's user may read them: events may be private, and records name players."""
_STEPS = 20_000
"""Instructions of SQLite's virtual machine between two time checks, about a millisecond."""


class SqliteBackend(Backend):
    """A file, locked while it is used, so that only one process has records open in it.

    Args:
        path: of the file.
    """

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._file: tuple[int, int] | None = None
        """Device and inode of the file, from the first connection on."""
        self._beside: list[tuple[int, int] | None] | None = None
        """The same of the files beside it, while a writing connection is open; the last connection removes them."""
        self._trouble: str | None = None

    def writer(
        self, instance: int, on_connect: Callable[[DatabaseConnection], None] = lambda _connection: None
    ) -> DatabaseConnection:
        try:
            self._take_lock()
            if self._file is None:
                self._prepare_file()
            elif (reason := self.trouble()) is not None:
                raise StoreError(reason)
            connection = SqliteConnection(
                sqlite3.connect(self._path, isolation_level=None, cached_statements=_STATEMENTS),
                self.check,
                self._forget_beside,
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The database '{self._path}' cannot be used: {error}") from error
        on_connect(connection)
        try:
            # With FULL a commit is on the disk when it returns; group commits make up for the cost.
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.run(f"PRAGMA {pragma}")
            connection.run(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.migrate()
            self._file, self._beside = _identity(self._path), self._identities_beside()
        except (StoreError, DatabaseUnavailableError) as error:
            connection.close()
            raise StoreError(f"The database '{self._path}' cannot be used: {error}") from error
        return connection

    def reader(self) -> DatabaseConnection:
        try:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS,
            )
        except sqlite3.Error as error:
            raise StoreError(f"The database '{self._path}' cannot be read: {error}") from error
        return SqliteConnection(connection, self.check)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prepare_file(self) -> None:
        """Create the file if it does not exist, and set its mode, which SQLite copies to the files beside it.

        Call this before the process opens the file otherwise: closing it here would release those locks.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)
        for suffix in (*_BESIDE, ".lock"):
            with contextlib.suppress(FileNotFoundError):
                os.chmod(f"{self._path}{suffix}", _MODE)

    def check(self) -> None:
        """Check that the open files are still the ones at the path.

        Raises:
            DatabaseUnavailableError: they were removed or replaced, so that written data would be lost.
        """
        if (reason := self.trouble()) is not None:
            raise DatabaseUnavailableError(reason)

    def trouble(self) -> str | None:
        beside = self._beside
        is_right = self._file is None or _identity(self._path) == self._file
        if is_right and beside is not None and self._identities_beside() != beside:
            is_right = self._beside is not beside  # the connection was closed meanwhile
        if not is_right:
            # Permanent: connections to the old files would not see what is written to new ones.
            self._trouble = f"'{self._path}' was removed or replaced while in use; restart the server"
        return self._trouble

    def _identities_beside(self) -> list[tuple[int, int] | None]:
        return [_identity(f"{self._path}{suffix}") for suffix in _BESIDE]

    def _forget_beside(self) -> None:
        self._beside = None

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise StoreError(
                f"Another process uses the database '{self._path}'. Choose another --data-dir, or share a PostgreSQL "
                "database with --database."
            ) from error
        self._lock = lock


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class SqliteConnection(DatabaseConnection):
    """A connection to a file.

    Args:
        check: raises DatabaseUnavailableError if the open file is no longer the one at its path.
        on_close: called before the connection is closed.
    """

    def __init__(
        self, connection: sqlite3.Connection, check: Callable[[], None], on_close: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._on_close = on_close
        self._check = check

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

    def allocate_keys(self, table: str, column: str, count: int) -> list[int]:
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
        """Commit; data written to a file that was removed or replaced counts as not written."""
        self.run("COMMIT")
        self._check()

    def rollback(self) -> None:
        self._connection.set_progress_handler(None, 0)
        if self._connection.in_transaction:
            self._connection.rollback()

    def migrate(self) -> None:
        ((version,),) = self.run("PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise StoreError(f"a newer version of this program created it (schema {version})")
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            self.begin()
            for statement in statements(migration, SQLITE_WORDS):
                self.run(statement)
            self.run(f"PRAGMA user_version = {number}")
            self.commit()

    def size(self) -> int:
        ((pages,),), ((unused,),), ((size,),) = (
            self.run(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - unused) * size)

    def is_running(self, instance: int) -> bool:
        return False  # we hold the file's lock, so every other writer has ended

    def abort(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.interrupt()

    def close(self) -> None:
        self._on_close()
        self._connection.close()
