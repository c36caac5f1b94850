"""PostgreSQL, for several servers that share a database.

Each server holds an advisory lock with its instance number while its connection lives, so that the others notice when
it is dead.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

from teleglyph.errors import NotSupportedError, StoreError
from teleglyph.store.backend import READ_SECONDS, Backend, DatabaseConnection, DatabaseUnavailableError
from teleglyph.store.schema import MIGRATIONS, POSTGRESQL_WORDS, statements

try:
    import psycopg
    import psycopg.conninfo
except ImportError as error:
    raise NotSupportedError("PostgreSQL needs the package psycopg: pip install 'teleglyph[postgresql]'") from error

_LOCKS = 0x7E1E
"""First key of our advisory locks; the second is 0 for migrations, otherwise an instance number."""
_CONNECT_SECONDS = 5
WRITE_SECONDS = 15.0
"""The longest time for one writing statement, and for one lock that it waits for."""
_TCP = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""How soon a dead server is noticed, in seconds (the last one in milliseconds), unless the URL says otherwise."""
_PASSWORD = re.compile(r"(://[^:/@?]*):[^?]*@")
"""A password may itself contain "@", so it ends at the last one before the query."""
_SECRET_PARAMETERS = re.compile(r"([?&](?:ssl)?password=)[^&]*")


class PostgresqlBackend(Backend):
    """A database by its URL; libpq's usual sources fill in what the URL omits (PGPASSWORD, ~/.pgpass).

    Args:
        url: ``postgresql://user:password@host:port/name?option=value``.
    """

    name = "PostgreSQL"

    def __init__(self, url: str) -> None:
        self._url = url

    def writer(
        self, instance: int, on_connect: Callable[[DatabaseConnection], None] = lambda _connection: None
    ) -> DatabaseConnection:
        connection = self._connect()
        on_connect(connection)
        try:
            connection.migrate()
            # Shared: PostgreSQL may still hold it for an aborted connection of ours.
            connection.run("SELECT pg_advisory_lock_shared(?, ?)", _LOCKS, instance)
            for timeout in ("lock_timeout", "statement_timeout"):
                connection.run(f"SET {timeout} = {int(1000 * WRITE_SECONDS)}")
        except (StoreError, DatabaseUnavailableError) as error:
            connection.close()
            raise StoreError(f"The database {self._url_without_password} cannot be used: {error}") from error
        return connection

    def reader(self) -> DatabaseConnection:
        connection = self._connect()
        connection.run(f"SET statement_timeout = {int(1000 * READ_SECONDS)}")
        return connection

    @property
    def _url_without_password(self) -> str:
        return _SECRET_PARAMETERS.sub(r"\1***", _PASSWORD.sub(r"\1@", self._url))

    def _connect(self) -> PostgresqlConnection:
        try:
            given = psycopg.conninfo.conninfo_to_dict(self._url)
            connection = psycopg.connect(
                psycopg.conninfo.make_conninfo(self._url, **{k: v for k, v in _TCP.items() if k not in given}),
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="teleglyph",
            )
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            raise StoreError(f"The database {self._url_without_password} cannot be reached: {reason}") from error
        return PostgresqlConnection(connection)


class PostgresqlConnection(DatabaseConnection):
    """A connection to a server."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._translated_errors():
            cursor = self._connection.execute(_query(sql), values)
            return cursor.fetchall() if cursor.description else []

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        with self._translated_errors(), self._connection.cursor() as cursor:
            cursor.executemany(_query(sql), rows)

    def allocate_keys(self, table: str, column: str, count: int) -> list[int]:
        rows = self.run("SELECT nextval(pg_get_serial_sequence(?, ?)) FROM generate_series(1, ?)", table, column, count)
        return sorted(key for (key,) in rows)

    def search_words(self, text: str) -> tuple[str, object]:
        return (
            "SELECT rowid, -ts_rank(content, query) AS score FROM event_words, "
            "plainto_tsquery('simple', ?) AS query WHERE content @@ query",
            text,
        )

    def add_texts(self, rows: Iterable[tuple[int, str]]) -> None:
        self.run_many("INSERT INTO event_words (rowid, content) VALUES (?, to_tsvector('simple', ?))", rows)

    def begin_reading(self) -> None:
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._connection.execute("ROLLBACK")

    def migrate(self) -> None:
        self.begin()
        try:
            self.run("SELECT pg_advisory_xact_lock(?, 0)", _LOCKS)
            self.run("CREATE TABLE IF NOT EXISTS teleglyph_schema (version BIGINT NOT NULL)")
            rows = self.run("SELECT version FROM teleglyph_schema")
            version = rows[0][0] if rows else 0
            if version > len(MIGRATIONS):
                raise StoreError(f"a newer version of this program created it (schema {version})")
            for migration in MIGRATIONS[version:]:
                for statement in statements(migration, POSTGRESQL_WORDS):
                    self.run(statement)
            if not rows:
                self.run("INSERT INTO teleglyph_schema VALUES (?)", len(MIGRATIONS))
            elif version < len(MIGRATIONS):
                self.run("UPDATE teleglyph_schema SET version = ?", len(MIGRATIONS))
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def size(self) -> int:
        ((size,),) = self.run("SELECT pg_database_size(current_database())")
        return int(size)

    def is_running(self, instance: int) -> bool:
        ((is_free,),) = self.run("SELECT pg_try_advisory_lock(?, ?)", _LOCKS, instance)
        if is_free:
            self.run("SELECT pg_advisory_unlock(?, ?)", _LOCKS, instance)
        return not is_free

    def abort(self) -> None:
        # A cancel request would need the server.  The descriptor is duplicated, because the other thread may close the
        # connection and open something else under its number.
        with (
            contextlib.suppress(psycopg.Error, OSError),
            socket.socket(fileno=os.dup(self._connection.fileno())) as end,
        ):
            end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            reason = " ".join(str(error).split())
            is_cancelled = isinstance(error, psycopg.errors.QueryCanceled)
            if self._connection.closed or (isinstance(error, psycopg.OperationalError) and not is_cancelled):
                raise DatabaseUnavailableError(reason) from error
            raise StoreError(reason) from error


def _query(sql: str) -> Any:
    return cast(Any, sql.replace("?", "%s"))
