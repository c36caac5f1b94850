"""Groups in the database: their settings, members and invitations.

Group state has its own tables.  It changes in the transaction that stores the event behind the change, and stays when
the event is removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database
from teleglyph.store.tag_keys import tag_key

ADMIN = "admin"
"""The role that may do everything in its group, and may read invitations and requests to join."""


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation.

    Attributes:
        event_id: of the event that created it, 64 hexadecimal digits.
        author: public key of the admin.
        code: lets somebody join.
        expires_at: Unix seconds; None: never.
    """

    event_id: str
    author: str
    code: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """The state of one group.

    Attributes:
        id: the ``h`` of its events.
        tags: its metadata as tags, without flags.
        flags: those of private, restricted, hidden and closed that are set.
        members: their roles by public key.
        invites: by the id of the event that created them.
        pins: the pinned events, as tags ``e`` and ``a``.
        is_ended: it was deleted, and its events are being erased.
    """

    id: str
    tags: tuple[tuple[str, ...], ...] = ()
    flags: frozenset[str] = frozenset()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    invites: Mapping[str, Invite] = field(default_factory=dict)
    pins: tuple[tuple[str, ...], ...] = ()
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class GroupChange:
    """A change to one group, to be written.

    Attributes:
        id: of the group.
        record: the new state, whose members and invites are ignored; None: unchanged.
        members: roles by public key of members who are new or whose roles change.
        gone: public keys of former members.
        invites: new ones.
        revoked: ids of the events whose invitations are revoked.
        erased: ids of events of the group that are deleted for good.
        is_removed: remove all state of the group.
    """

    id: str
    record: GroupRecord | None = None
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gone: Sequence[str] = ()
    invites: Sequence[Invite] = ()
    revoked: Sequence[str] = ()
    erased: Sequence[str] = ()
    is_removed: bool = False


class GroupStore:
    """Groups in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Future[list[GroupRecord]]:
        """Load all groups."""
        return self._database.read(lambda connection: list(_load(connection)))

    def write(self, change: GroupChange) -> Future[None]:
        """Write a change that no event caused."""
        return self._database.write(lambda connection: write_change(connection, change))


def write_change(connection: DatabaseConnection, change: GroupChange, first_seq: int | None = None) -> None:
    """Write a change inside a transaction, except for its erased events.

    Args:
        connection: the writer's.
        change: to one group.
        first_seq: sequence number of a new group's first event; None: the next one.
    """
    key = tag_key(change.id)
    if change.is_removed:
        for table in ("event_groups", "event_group_members", "event_group_invites"):
            connection.run(f"DELETE FROM {table} WHERE group_key = ?", key)
        return
    if change.record is not None:
        _write_record(connection, key, change.record, first_seq)
    connection.run_many(
        "DELETE FROM event_group_members WHERE group_key = ? AND pubkey = ?",
        [(key, bytes.fromhex(pubkey)) for pubkey in (*change.gone, *change.members)],
    )
    connection.run_many(
        "INSERT INTO event_group_members (group_key, pubkey, roles, is_admin) VALUES (?, ?, ?, ?)",
        [
            (key, bytes.fromhex(pubkey), json.dumps(list(roles)), int(ADMIN in roles))
            for pubkey, roles in change.members.items()
        ],
    )
    connection.run_many(
        "DELETE FROM event_group_invites WHERE group_key = ? AND event_id = ?",
        [(key, bytes.fromhex(event_id)) for event_id in change.revoked],
    )
    connection.run_many(
        "INSERT INTO event_group_invites (group_key, event_id, author, code, expires_at) VALUES (?, ?, ?, ?, ?)",
        [
            (key, bytes.fromhex(invite.event_id), bytes.fromhex(invite.author), invite.code, invite.expires_at)
            for invite in change.invites
        ],
    )


def _write_record(connection: DatabaseConnection, key: bytes, record: GroupRecord, first_seq: int | None) -> None:
    if first_seq is None:
        ((last,),) = connection.run("SELECT coalesce(max(seq), 0) FROM events")
        first_seq = last + 1
    connection.run(
        "INSERT INTO event_groups (group_key, id, tags, flags, pins, is_private, is_hidden, is_ended, first_seq) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (group_key) DO UPDATE SET tags = excluded.tags, flags = excluded.flags, pins = excluded.pins, "
        "is_private = excluded.is_private, is_hidden = excluded.is_hidden, is_ended = excluded.is_ended",
        *(key, record.id, json.dumps(record.tags), json.dumps(sorted(record.flags)), json.dumps(record.pins)),
        *(int("private" in record.flags), int("hidden" in record.flags), int(record.is_ended), first_seq),
    )


def _load(connection: DatabaseConnection) -> Iterator[GroupRecord]:
    members: dict[bytes, dict[str, list[str]]] = {}
    for key, pubkey, roles in connection.run("SELECT group_key, pubkey, roles FROM event_group_members"):
        members.setdefault(bytes(key), {})[bytes(pubkey).hex()] = json.loads(roles)
    invites: dict[bytes, dict[str, Invite]] = {}
    for key, created_by, author, code, expires_at in connection.run(
        "SELECT group_key, event_id, author, code, expires_at FROM event_group_invites"
    ):
        event_id = bytes(created_by).hex()
        invites.setdefault(bytes(key), {})[event_id] = Invite(event_id, bytes(author).hex(), code, expires_at)
    for key, name, tags, flags, pins, is_ended in connection.run(
        "SELECT group_key, id, tags, flags, pins, is_ended FROM event_groups"
    ):
        yield GroupRecord(
            name,
            tuple(map(tuple, json.loads(tags))),
            frozenset(json.loads(flags)),
            members.get(bytes(key), {}),
            invites.get(bytes(key), {}),
            tuple(map(tuple, json.loads(pins))),
            bool(is_ended),
        )
