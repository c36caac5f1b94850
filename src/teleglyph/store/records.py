"""Records of what was played in rooms (spec rooms 11): one for each round, closed however a room ends.

Whoever reports something does not wait.  A process that is killed loses at most what it was about to write: records
that it left open are closed at the next start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.store.database import Base, Database

LEFT_OPEN = "the server stopped"
FINISHED = "the host gave a result"
_COLUMNS = "id, game, room, started_at, ended_at, end_reason, result"


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
        identities: keys of the players that proved one, 64 hexadecimal digits.
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
    """What is known of somebody who proved a key.

    Attributes:
        records: one page of the rounds it took part in, the newest first.
        total: rounds altogether.
        outcomes: how many ended how: ``win``, ``loss``, ``draw``.
    """

    records: list[Record]
    total: int
    outcomes: dict[str, int]


class RecordStore:
    """Records in a database.

    Args:
        database: where they are.
        clock: gives Unix seconds.

    Raises:
        StoreError: what earlier processes left open cannot be closed.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        now = clock()
        database.write(lambda base: _close_left_overs(base, now)).result()

    def close_left_overs(self) -> Future[None]:
        """Close again what dead processes left open: a database may need a moment to notice that one is dead."""
        now = self._clock()
        return self._database.write(lambda base: _close_left_overs(base, now, self._database.instance))

    def opened(self, room_id: str, game: str, room: str) -> None:
        """A room was made."""
        now, instance = self._clock(), self._database.instance
        self._database.tell(lambda base: _open(base, room_id, 1, game, room, now, instance))

    def closed(self, room_id: str, reason: str) -> None:
        """A room is over."""
        now = self._clock()
        self._database.tell(lambda base: _close(base, room_id, now, reason))

    def result(
        self,
        room_id: str,
        result: str | None,
        outcomes: Mapping[int, str | None],
        identities: Mapping[int, str] | None = None,
        *,
        reason: str = FINISHED,
        round_number: int | None = None,
    ) -> Future[int | None]:
        """A round is over: closes its record and opens the next round's.

        Args:
            room_id: of the record.
            result: JSON; None for a round that was not played to its end.
            outcomes: of everybody who took part.
            identities: keys of those who proved one, 64 hexadecimal digits.
            reason: why the round is over.
            round_number: which round of the room, counted from 1, so that a report that is sent twice counts once;
                None means the open one.

        Returns:
            the record's id, when it is durable; None if the room has no open record, or never had such a round.
        """
        now, instance = self._clock(), self._database.instance
        people = [(player, outcome, (identities or {}).get(player)) for player, outcome in outcomes.items()]
        return self._database.write(
            lambda base: _finish(base, room_id, now, result, reason, people, instance, round_number),
            size=len(result or "") + len(reason) + 100 * len(people),
        )

    def record(self, number: int) -> Future[Record | None]:
        """A record by its id, in time; None if there is none."""
        return self._database.read(lambda base: _read(base, number))

    def player(self, identity: str, page: int, per_page: int) -> Future[Player]:
        """What somebody played, in time.

        Args:
            identity: 64 hexadecimal digits.
            page: counted from 1.
            per_page: records on one page.
        """
        return self._database.read(lambda base: _read_player(base, identity, page, per_page))


def _close_left_overs(base: Base, now: float, own: int | None = None) -> None:
    """``own`` is the number of our process, once it has records of its own."""
    instances = base.run("SELECT DISTINCT instance FROM records WHERE ended_at IS NULL")
    for (instance,) in instances:
        if instance != own and not base.is_running(instance):
            base.run(
                "UPDATE records SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL AND instance = ?",
                *(now, LEFT_OPEN, instance),
            )


def _open(base: Base, room_id: str, number: int, game: str, room: str, now: float, instance: int) -> None:
    base.run(
        "INSERT INTO records (room_id, round, game, room, started_at, instance) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (room_id, round) DO NOTHING",
        *(room_id, number, game, room, now, instance),
    )


def _close(base: Base, room_id: str, now: float, reason: str) -> None:
    base.run(
        "UPDATE records SET ended_at = ?, end_reason = ? WHERE room_id = ? AND ended_at IS NULL", now, reason, room_id
    )


def _finish(
    base: Base,
    room_id: str,
    now: float,
    result: str | None,
    reason: str,
    people: list[tuple[int, str | None, str | None]],
    instance: int,
    wanted: int | None,
) -> int | None:
    rows = base.run("SELECT id, round, game, room FROM records WHERE room_id = ? AND ended_at IS NULL", room_id)
    if wanted is not None and (not rows or rows[0][1] != wanted):
        # The answer to the first report was lost: what it said stays.
        earlier = base.run(
            "SELECT id FROM records WHERE room_id = ? AND round = ? AND ended_at IS NOT NULL", room_id, wanted
        )
        return int(earlier[0][0]) if earlier else None
    if not rows:
        return None
    record, number, game, room = rows[0]
    base.run("UPDATE records SET ended_at = ?, end_reason = ?, result = ? WHERE id = ?", now, reason, result, record)
    base.run_many(
        "INSERT INTO participants (record_id, player, outcome, identity) VALUES (?, ?, ?, ?)",
        [(record, *person) for person in people],
    )
    _open(base, room_id, number + 1, game, room, now, instance)
    return int(record)


def _read(base: Base, number: int) -> Record | None:
    rows = base.run(f"SELECT {_COLUMNS} FROM records WHERE id = ?", number)
    return _with_people(base, Record(*rows[0])) if rows else None


def _with_people(base: Base, record: Record) -> Record:
    people = base.run(
        "SELECT player, outcome, identity FROM participants WHERE record_id = ? ORDER BY player", record.id
    )
    for player, outcome, identity in people:
        record.outcomes[player] = outcome
        if identity is not None:
            record.identities[player] = identity
    return record


def _read_player(base: Base, identity: str, page: int, per_page: int) -> Player:
    counts = base.run("SELECT outcome, count(*) FROM participants WHERE identity = ? GROUP BY outcome", identity)
    rows = base.run(
        f"SELECT {_COLUMNS} FROM records WHERE id IN (SELECT record_id FROM participants WHERE identity = ?) "
        "ORDER BY id DESC LIMIT ? OFFSET ?",
        *(identity, per_page, (page - 1) * per_page),
    )
    return Player(
        [_with_people(base, Record(*row)) for row in rows],
        sum(count for _, count in counts),
        {outcome: count for outcome, count in counts if outcome is not None},
    )
