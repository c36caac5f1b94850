"""Records of the games played in rooms (docs/rooms.md#records): one for each round, closed however a room ends.

Reports do not wait for the database.  A process that is killed loses at most the reports it was about to write; the
records that it left open are closed at the next start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database

LEFT_OPEN = "the server stopped"
FINISHED = "the host gave a result"
_COLUMNS = "id, game, room, started_at, ended_at, end_reason, result"


@dataclass(frozen=True, slots=True)
class Record:
    """One round.

    Attributes:
        id: of the record.
        game, room: the names of the game and its room.
        started_at, ended_at: Unix seconds; None while the round lasts.
        end_reason: why the round ended.
        result: JSON from the host; None if the host reported none.
        outcomes: by player; None where the host reported none.
        identities: keys of the players who proved one, 64 hexadecimal digits.
    """

    id: int
    game: str
    room: str
    started_at: float
    ended_at: float | None
    end_reason: str | None
    result: str | None
    outcomes: dict[int, str | None] = field(default_factory=dict)
    identities: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Player:
    """The rounds of a player who proved a key.

    Attributes:
        records: one page of them, the newest first.
        total: the number of rounds.
        outcomes: the number of each ``win``, ``loss`` and ``draw``.
    """

    records: list[Record]
    total: int
    outcomes: dict[str, int]


class RecordStore:
    """Stores and finds records.

    Args:
        database: holds the records.
        clock: gives Unix seconds.

    Raises:
        StoreError: the open records of earlier processes cannot be closed.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        now = clock()
        database.write(lambda connection: _close_orphans(connection, now)).result()

    def close_orphans(self) -> Future[None]:
        """Close records that dead processes left open; a database may need a moment to notice that one is dead."""
        now = self._clock()
        return self._database.write(lambda connection: _close_orphans(connection, now, self._database.instance))

    def record_opening(self, room_id: str, game: str, room: str) -> None:
        """Open the record of a new room's first round."""
        now, instance = self._clock(), self._database.instance
        self._database.write_and_forget(lambda connection: _open(connection, room_id, 1, game, room, now, instance))

    def record_closing(self, room_id: str, reason: str) -> None:
        """Close the record of a room that ended."""
        now = self._clock()
        self._database.write_and_forget(lambda connection: _close(connection, room_id, now, reason))

    def record_result(
        self,
        room_id: str,
        result: str | None,
        outcomes: Mapping[int, str | None],
        identities: Mapping[int, str] | None = None,
        *,
        reason: str = FINISHED,
        round_number: int | None = None,
    ) -> Future[int | None]:
        """Close the record of a round and open the next one's.

        Args:
            room_id: the room's, as given to :meth:`record_opening`.
            result: JSON; None for a round that was abandoned.
            outcomes: of everyone who took part.
            identities: keys of those who proved one, 64 hexadecimal digits.
            reason: why the round ended.
            round_number: counted from 1, so that a report that is sent twice counts once; None: the open round.

        Returns:
            the record's id, once it is durable; None if the room has no open record, or never had that round.
        """
        now, instance = self._clock(), self._database.instance
        people = [(player, outcome, (identities or {}).get(player)) for player, outcome in outcomes.items()]
        return self._database.write(
            lambda connection: _finish(connection, room_id, now, result, reason, people, instance, round_number),
            size=len(result or "") + len(reason) + 100 * len(people),
        )

    def find_record(self, record_id: int) -> Future[Record | None]:
        """Find a record by its id; None if there is no such record."""
        return self._database.read(lambda connection: _read(connection, record_id))

    def find_player(self, identity: str, page: int, per_page: int) -> Future[Player]:
        """Find the rounds of a player.

        Args:
            identity: 64 hexadecimal digits.
            page: counted from 1.
            per_page: records on one page.
        """
        return self._database.read(lambda connection: _read_player(connection, identity, page, per_page))


def _close_orphans(connection: DatabaseConnection, now: float, own: int | None = None) -> None:
    """Close open records of processes that have ended.

    ``own`` is the number of our process, once it has records.
    """
    instances = connection.run("SELECT DISTINCT instance FROM records WHERE ended_at IS NULL")
    for (instance,) in instances:
        if instance != own and not connection.is_running(instance):
            connection.run(
                "UPDATE records SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL AND instance = ?",
                *(now, LEFT_OPEN, instance),
            )


def _open(
    connection: DatabaseConnection, room_id: str, number: int, game: str, room: str, now: float, instance: int
) -> None:
    connection.run(
        "INSERT INTO records (room_id, round, game, room, started_at, instance) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (room_id, round) DO NOTHING",
        *(room_id, number, game, room, now, instance),
    )


def _close(connection: DatabaseConnection, room_id: str, now: float, reason: str) -> None:
    connection.run(
        "UPDATE records SET ended_at = ?, end_reason = ? WHERE room_id = ? AND ended_at IS NULL", now, reason, room_id
    )


def _finish(
    connection: DatabaseConnection,
    room_id: str,
    now: float,
    result: str | None,
    reason: str,
    people: list[tuple[int, str | None, str | None]],
    instance: int,
    wanted: int | None,
) -> int | None:
    rows = connection.run("SELECT id, round, game, room FROM records WHERE room_id = ? AND ended_at IS NULL", room_id)
    if wanted is not None and (not rows or rows[0][1] != wanted):
        # The host repeats a report because our answer was lost; the first report counts.
        earlier = connection.run(
            "SELECT id FROM records WHERE room_id = ? AND round = ? AND ended_at IS NOT NULL", room_id, wanted
        )
        return int(earlier[0][0]) if earlier else None
    if not rows:
        return None
    record, number, game, room = rows[0]
    connection.run(
        "UPDATE records SET ended_at = ?, end_reason = ?, result = ? WHERE id = ?", now, reason, result, record
    )
    connection.run_many(
        "INSERT INTO participants (record_id, player, outcome, identity) VALUES (?, ?, ?, ?)",
        [(record, *person) for person in people],
    )
    _open(connection, room_id, number + 1, game, room, now, instance)
    return int(record)


def _read(connection: DatabaseConnection, record_id: int) -> Record | None:
    rows = connection.run(f"SELECT {_COLUMNS} FROM records WHERE id = ?", record_id)
    return _with_people(connection, Record(*rows[0])) if rows else None


def _with_people(connection: DatabaseConnection, record: Record) -> Record:
    people = connection.run(
        "SELECT player, outcome, identity FROM participants WHERE record_id = ? ORDER BY player", record.id
    )
    for player, outcome, identity in people:
        record.outcomes[player] = outcome
        if identity is not None:
            record.identities[player] = identity
    return record


def _read_player(connection: DatabaseConnection, identity: str, page: int, per_page: int) -> Player:
    counts = connection.run("SELECT outcome, count(*) FROM participants WHERE identity = ? GROUP BY outcome", identity)
    rows = connection.run(
        f"SELECT {_COLUMNS} FROM records WHERE id IN (SELECT record_id FROM participants WHERE identity = ?) "
        "ORDER BY id DESC LIMIT ? OFFSET ?",
        *(identity, per_page, (page - 1) * per_page),
    )
    return Player(
        [_with_people(connection, Record(*row)) for row in rows],
        sum(count for _, count in counts),
        {outcome: count for outcome, count in counts if outcome is not None},
    )
