"""Sessions of the discovery service in the database, and who owns which name.

A session ends, but its name stays with the key that registered it for a while, so that nobody else can take the place
of a host that people know by it.  Times are Unix milliseconds, as in the service's packets.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database

_COLUMNS = (
    "name, id, host_id, owner, capabilities, max_participants, kind, has_password, password, exposes_address, address, "
    "port, created_at, active_at, signed_at"
)
_BATCH = 1000
"""Sessions or names that one job deletes, so that others can write in between."""
_MAX_NAMES = 32
"""Names that one key keeps without a reservation; the one that would be freed first goes first."""
_MAX_RESERVED = 16
"""Names that one key may reserve."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session, whether its host is connected or not.

    Attributes:
        name: three words.
        id: 16 bytes.
        host_id: 16 bytes, the host's id as a participant.
        owner: the Ed25519 key that its host proved; None if the host proved none.
        capabilities, max_participants, kind: as the host registered them.
        has_password: joining needs a password.
        password: its hash, if the service checks it; empty if there is none, or the host checks it.
        exposes_address: everyone may learn the host's address.
        address, port: of the host; empty and 0 if it gave none.
        created_at: when its name was registered first.
        active_at: when something last happened in it.
        signed_at: the time in the host's last signature; 0 without one.
    """

    name: str
    id: bytes
    host_id: bytes
    owner: bytes | None
    capabilities: int
    max_participants: int
    kind: int
    has_password: bool
    password: str = field(repr=False)
    exposes_address: bool
    address: str
    port: int
    created_at: int
    active_at: int
    signed_at: int


class ClaimRefusal(enum.Enum):
    """Why a name could not be had."""

    TAKEN = "it belongs to another host"
    REPLAYED = "the signature was used before"
    TOO_MANY = "the key has reserved too many names"


class SessionStore:
    """Sessions in a database.

    Args:
        database: holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> Future[int]:
        """The number of sessions."""
        return self._database.read(lambda connection: int(connection.run("SELECT count(*) FROM sessions")[0][0]))

    def find(self, name: str) -> Future[StoredSession | None]:
        """The session with a name; None if there is none."""
        return self._database.read(lambda connection: _find(connection, name))

    def claim(self, session: StoredSession, held_until: int) -> Future[StoredSession | ClaimRefusal]:
        """Create a session, or register it again.

        Args:
            session: as the host wants it.
            held_until: until when its name belongs to its owner at least.

        Returns:
            the session as stored.  If its owner registered it before, it has its old ids and time.
        """
        return self._database.write(lambda connection: _claim(connection, session, held_until))

    def update(self, session: StoredSession) -> Future[None]:
        """Store the changed values of a session that exists."""
        return self._database.write(lambda connection: _update(connection, session))

    def touch(self, names: Sequence[str], now: int) -> Future[None]:
        """Note that something happened in sessions."""
        rows = [(now, name) for name in names]
        return self._database.write(
            lambda connection: connection.run_many("UPDATE sessions SET active_at = ? WHERE name = ?", rows),
            size=64 * len(rows),
        )

    def end(self, name: str, held_until: int) -> Future[None]:
        """End a session; its owner keeps its name until then."""
        return self._database.write(lambda connection: _end(connection, [name], held_until))

    def expire(self, before: int, now: int, held_until: int) -> Future[list[str]]:
        """End sessions in which nothing has happened for long, and free names.

        Args:
            before: sessions end in which nothing happened since.
            now: names are free that are held no longer.
            held_until: until when owners keep the names of those sessions.

        Returns:
            the names of the sessions; call it again while there are any.
        """
        return self._database.write(lambda connection: _expire(connection, before, now, held_until))

    def reserve(self, name: str, owner: bytes, until: int, now: int) -> Future[ClaimRefusal | None]:
        """Reserve a name for a key, or reserve it for longer; returns why not."""
        return self._database.write(lambda connection: _reserve(connection, name, owner, until, now))

    def release(self, name: str, owner: bytes) -> Future[bool]:
        """Free a name; returns False if the key does not own it, or uses it for a session."""
        return self._database.write(lambda connection: _release(connection, name, owner))


def _find(connection: DatabaseConnection, name: str) -> StoredSession | None:
    rows = connection.run(f"SELECT {_COLUMNS} FROM sessions WHERE name = ?", name)
    return _session(rows[0]) if rows else None


def _session(row: tuple[Any, ...]) -> StoredSession:
    owner = row[3]
    return StoredSession(
        name=row[0],
        id=bytes(row[1]),
        host_id=bytes(row[2]),
        owner=None if owner is None else bytes(owner),
        capabilities=row[4],
        max_participants=row[5],
        kind=row[6],
        has_password=bool(row[7]),
        password=row[8],
        exposes_address=bool(row[9]),
        address=row[10],
        port=row[11],
        created_at=row[12],
        active_at=row[13],
        signed_at=row[14],
    )


def _claim(connection: DatabaseConnection, session: StoredSession, held_until: int) -> StoredSession | ClaimRefusal:
    existing = _find(connection, session.name)
    if existing is not None:
        if session.owner is None or existing.owner != session.owner:
            return ClaimRefusal.TAKEN
        if session.signed_at <= existing.signed_at:
            return ClaimRefusal.REPLAYED
        session = replace(session, id=existing.id, host_id=existing.host_id, created_at=existing.created_at)
        _update(connection, session)
    else:
        holder = _holder(connection, session.name, session.active_at)
        if holder is not None and holder != session.owner:
            return ClaimRefusal.TAKEN
        connection.run(
            f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(session.name, session.id, session.host_id, session.owner, *_values(session)),
            *(session.created_at, session.active_at, session.signed_at),
        )
    if session.owner is not None:
        _hold(connection, session.name, session.owner, held_until)
        _drop_surplus(connection, session.owner)
    return session


def _values(session: StoredSession) -> tuple[object, ...]:
    """The values that a host may change by registering again."""
    return (
        *(session.capabilities, session.max_participants, session.kind, int(session.has_password), session.password),
        *(int(session.exposes_address), session.address, session.port),
    )


def _update(connection: DatabaseConnection, session: StoredSession) -> None:
    connection.run(
        "UPDATE sessions SET capabilities = ?, max_participants = ?, kind = ?, has_password = ?, password = ?, "
        "exposes_address = ?, address = ?, port = ?, active_at = ?, signed_at = ? WHERE name = ?",
        *(*_values(session), session.active_at, session.signed_at, session.name),
    )


def _holder(connection: DatabaseConnection, name: str, now: int) -> bytes | None:
    rows = connection.run("SELECT owner FROM session_names WHERE name = ? AND held_until > ?", name, now)
    return bytes(rows[0][0]) if rows else None


def _hold(connection: DatabaseConnection, name: str, owner: bytes, held_until: int) -> None:
    connection.run(
        "INSERT INTO session_names (name, owner, held_until, is_reserved) VALUES (?, ?, ?, 0) "
        "ON CONFLICT (name) DO UPDATE SET "
        "held_until = CASE WHEN session_names.owner = excluded.owner "
        "AND session_names.held_until > excluded.held_until THEN session_names.held_until "
        "ELSE excluded.held_until END, "
        "is_reserved = CASE WHEN session_names.owner = excluded.owner THEN session_names.is_reserved ELSE 0 END, "
        "owner = excluded.owner",
        *(name, owner, held_until),
    )


def _drop_surplus(connection: DatabaseConnection, owner: bytes) -> None:
    """Free names of a key that keeps too many: programs that register a new name at each start would collect them."""
    rows = connection.run(
        "SELECT name FROM session_names WHERE owner = ? AND is_reserved = 0 ORDER BY held_until DESC, name "
        "LIMIT ? OFFSET ?",
        *(owner, _BATCH, _MAX_NAMES),
    )
    connection.run_many("DELETE FROM session_names WHERE name = ?", rows)


def _end(connection: DatabaseConnection, names: Sequence[str], held_until: int) -> None:
    connection.run_many(
        "UPDATE session_names SET held_until = ? WHERE name = ? AND held_until < ?",
        [(held_until, name, held_until) for name in names],
    )
    connection.run_many("DELETE FROM sessions WHERE name = ?", [(name,) for name in names])


def _expire(connection: DatabaseConnection, before: int, now: int, held_until: int) -> list[str]:
    rows = connection.run("SELECT name FROM sessions WHERE active_at < ? ORDER BY active_at LIMIT ?", before, _BATCH)
    names = [str(name) for (name,) in rows]
    _end(connection, names, held_until)
    free = connection.run("SELECT name FROM session_names WHERE held_until <= ? LIMIT ?", now, _BATCH)
    connection.run_many("DELETE FROM session_names WHERE name = ?", free)
    return names


def _reserve(connection: DatabaseConnection, name: str, owner: bytes, until: int, now: int) -> ClaimRefusal | None:
    session, holder = _find(connection, name), _holder(connection, name, now)
    if holder not in (None, owner) or (session is not None and session.owner != owner):
        return ClaimRefusal.TAKEN
    ((reserved,),) = connection.run(
        "SELECT count(*) FROM session_names WHERE owner = ? AND is_reserved = 1 AND name <> ? AND held_until > ?",
        *(owner, name, now),
    )
    if reserved >= _MAX_RESERVED:
        return ClaimRefusal.TOO_MANY
    _hold(connection, name, owner, until)
    connection.run("UPDATE session_names SET held_until = ?, is_reserved = 1 WHERE name = ?", until, name)
    return None


def _release(connection: DatabaseConnection, name: str, owner: bytes) -> bool:
    rows = connection.run("SELECT owner FROM session_names WHERE name = ?", name)
    if not rows or bytes(rows[0][0]) != owner or _find(connection, name) is not None:
        return False
    connection.run("DELETE FROM session_names WHERE name = ?", name)
    return True
