"""Opens a database by its path or URL."""

from __future__ import annotations

import secrets
from pathlib import Path

from teleglyph.store.database import Database


def open_database(place: str | Path, instance: int | None = None) -> Database:
    """Open a database by its path or URL.

    Args:
        place: a file for SQLite, created if it does not exist; or ``postgresql://user@host/name``.
        instance: a number for this process, 1 to 2**31 - 1; None: a random one.

    Raises:
        StoreError: the database cannot be used.
        NotSupportedError: the package for it is not installed.
    """
    instance = secrets.randbelow(2**31 - 1) + 1 if instance is None else instance
    if isinstance(place, str) and place.startswith(("postgresql://", "postgres://")):
        from teleglyph.store.postgresql import PostgresqlBackend

        return Database(PostgresqlBackend(place), instance)
    from teleglyph.store.sqlite import SqliteBackend

    return Database(SqliteBackend(Path(place)), instance)
