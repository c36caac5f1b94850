"""The interface between the store and a database program: one connection, and how to open it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

READ_SECONDS = 5.0
"""The longest time one query may take, so that a slow one does not block a reader."""


class DatabaseUnavailableError(Exception):
    """The connection to the database is lost; its open transaction was rolled back."""


class DatabaseConnection(ABC):
    """A connection to a database, for one thread."""

    @abstractmethod
    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows, if it has any.

        Raises:
            StoreError: the statement failed.
            DatabaseUnavailableError: the connection is lost.
        """

    @abstractmethod
    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for many rows of values; raises as :meth:`run`."""

    @abstractmethod
    def allocate_keys(self, table: str, column: str, count: int) -> list[int]:
        """Return ``count`` unused keys of a table, ascending; call it inside a writing transaction."""

    @abstractmethod
    def search_words(self, text: str) -> tuple[str, object]:
        """SQL that finds texts with all words of an encoded text (:mod:`teleglyph.wire.nostr.search_words`).

        Returns:
            SQL that selects ``rowid`` and ``score`` (lower is better) from ``event_words``, and its one value.
        """

    @abstractmethod
    def add_texts(self, rows: Iterable[tuple[int, str]]) -> None:
        """Add encoded texts to ``event_words``, by their keys."""

    @abstractmethod
    def begin(self) -> None:
        """Start a transaction."""

    @abstractmethod
    def begin_reading(self) -> None:
        """Start a read-only transaction with one snapshot of the data."""

    @abstractmethod
    def commit(self) -> None:
        """Commit the transaction; it is durable afterwards."""

    @abstractmethod
    def rollback(self) -> None:
        """Roll the transaction back; does not raise."""

    @abstractmethod
    def migrate(self) -> None:
        """Bring the schema up to date; several processes may try at once."""

    @abstractmethod
    def size(self) -> int:
        """The bytes that the whole database takes up; what was removed may count until its place is used again."""

    @abstractmethod
    def is_running(self, instance: int) -> bool:
        """Whether another process with this instance number still uses the database."""

    @abstractmethod
    def abort(self) -> None:
        """Interrupt the thread that uses this connection: its current call fails soon.  Does not raise."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; does not raise."""


class Backend(ABC):
    """Opens connections to one database."""

    name: ClassVar[str]

    @abstractmethod
    def writer(
        self, instance: int, on_connect: Callable[[DatabaseConnection], None] = lambda _connection: None
    ) -> DatabaseConnection:
        """Open the writing connection.

        Args:
            instance: the number of this process.
            on_connect: gets the connection before it is ready, so that another thread can abort the set-up.

        Raises:
            StoreError: the database cannot be used.
        """

    @abstractmethod
    def reader(self) -> DatabaseConnection:
        """Open a connection that only reads; raises as :meth:`writer`."""

    def trouble(self) -> str | None:
        """Why stored data may be lost, as a sentence for people; None if no problem is known."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what is held besides connections."""
