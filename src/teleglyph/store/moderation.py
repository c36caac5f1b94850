"""The administrator's rules (NIP-86), authors who asked to vanish (NIP-62), and unfinished erasures.

Erasing all events of an author takes many transactions.  The transaction of the decision also records the erasure, so
that a later process can finish it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.store.backend import DatabaseConnection
from teleglyph.store.database import Database
from teleglyph.store.event_removal import remove_events, remove_slice
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import GIFT_WRAP, VANISH, decode_stored

FOR_EVER = 1 << 53
_SLICE = 500
START = (-1, -1)
"""The cursor at the start of an erasure."""


class Rule(enum.StrEnum):
    """The kind of an entry.  The values are stored in databases."""

    BANNED_KEY = "banned key"
    ALLOWED_KEY = "allowed key"
    BANNED_EVENT = "banned event"
    ALLOWED_KIND = "allowed kind"
    DISALLOWED_KIND = "disallowed kind"
    BLOCKED_ADDRESS = "blocked address"
    SETTING = "setting"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """Entries that are written in one transaction.

    Attributes:
        added: rule, value and text (a reason, or the value of a setting).
        removed: rule and value.
        banned: public key whose events are to be erased.
        unbanned: public key whose erasure is cancelled.
        erased: ids of events that are removed at once.
    """

    added: Sequence[tuple[Rule, str, str]] = ()
    removed: Sequence[tuple[Rule, str]] = ()
    banned: str | None = None
    unbanned: str | None = None
    erased: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Erasure:
    """Events of an author that are to be erased.

    Attributes:
        pubkey: 64 hexadecimal digits.
        is_ban: erase all of them, because the author is banned; otherwise those from before a request to vanish, and
            the gift wraps to its author.
    """

    pubkey: str
    is_ban: bool


@dataclass(frozen=True, slots=True)
class ModerationRecord:
    """All rules and erasures.

    Attributes:
        rules: text by value, by rule.
        vanished: by public key the time up to which its events are refused, Unix seconds.
        erasures: unfinished ones.
    """

    rules: Mapping[Rule, Mapping[str, str]] = field(default_factory=dict)
    vanished: Mapping[str, int] = field(default_factory=dict)
    erasures: Sequence[Erasure] = ()


class ModerationStore:
    """Stores rules and carries out erasures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Future[ModerationRecord]:
        """Load everything."""
        return self._database.read(_load)

    def write(self, change: RuleChange) -> Future[None]:
        """Write a change."""
        return self._database.write(lambda connection: _write(connection, change))

    def erase(self, erasure: Erasure, cursor: tuple[int, int]) -> Future[tuple[int, int] | None]:
        """Erase some of an author's events.

        Args:
            erasure: the author, and which of their events.
            cursor: the result of the last call, or START.

        Returns:
            the cursor for the next call; None if the erasure is finished.
        """
        return self._database.write(lambda connection: _erase(connection, erasure, cursor))

    def use_once(self, signature: str, expires_at: int, now: float) -> Future[bool]:
        """Record that an authentication was used; False if it was used before.

        Args:
            signature: of the authentication, 128 hexadecimal digits.  Not its id: a client that sends the same request
                twice in a second signs two events with one id, and nobody else can sign it again.
            expires_at: Unix seconds after which it is invalid anyway.
            now: Unix seconds.
        """
        return self._database.write(
            lambda connection: _use_once(connection, bytes.fromhex(signature), expires_at, int(now))
        )


def finish_erasures(store: ModerationStore) -> None:
    """Carry out all unfinished erasures and wait for them."""
    for erasure in store.load().result().erasures:
        cursor: tuple[int, int] | None = START
        while cursor is not None:
            cursor = store.erase(erasure, cursor).result()


def _load(connection: DatabaseConnection) -> ModerationRecord:
    rules: dict[Rule, dict[str, str]] = {rule: {} for rule in Rule}
    for rule, value, text in connection.run("SELECT rule, value, text FROM relay_rules ORDER BY rule, value"):
        rules[Rule(rule)][value] = text
    return ModerationRecord(
        rules,
        {bytes(pubkey).hex(): until for pubkey, until in connection.run("SELECT pubkey, until FROM vanished_authors")},
        [
            Erasure(bytes(pubkey).hex(), bool(is_ban))
            for pubkey, is_ban in connection.run("SELECT pubkey, is_ban FROM event_erasures")
        ],
    )


def _write(connection: DatabaseConnection, change: RuleChange) -> None:
    connection.run_many(
        "DELETE FROM relay_rules WHERE rule = ? AND value = ?",
        [
            *((rule.value, value) for rule, value in change.removed),
            *((rule.value, value) for rule, value, _ in change.added),
        ],
    )
    connection.run_many(
        "INSERT INTO relay_rules (rule, value, text) VALUES (?, ?, ?)",
        [(rule.value, value, text) for rule, value, text in change.added],
    )
    if change.unbanned is not None:
        connection.run("DELETE FROM event_erasures WHERE pubkey = ? AND is_ban = 1", bytes.fromhex(change.unbanned))
    if change.banned is not None:
        connection.run(
            "INSERT INTO event_erasures (pubkey, is_ban, until) VALUES (?, 1, ?) ON CONFLICT DO NOTHING",
            *(bytes.fromhex(change.banned), FOR_EVER),
        )
    for event_id in change.erased:
        rows = connection.run("SELECT seq, body FROM events WHERE id = ?", bytes.fromhex(event_id))
        remove_events(connection, [(seq, decode_stored(bytes(body))) for seq, body in rows])


def _erase(connection: DatabaseConnection, erasure: Erasure, cursor: tuple[int, int]) -> tuple[int, int] | None:
    pubkey, key = bytes.fromhex(erasure.pubkey), (bytes.fromhex(erasure.pubkey), int(erasure.is_ban))
    pending = connection.run("SELECT until FROM event_erasures WHERE pubkey = ? AND is_ban = ?", *key)
    if not pending:
        return None
    until = pending[0][0]
    # The request to vanish itself stays.
    places = connection.run(
        "SELECT seq, length(body) FROM events WHERE pubkey = ? AND created_at <= ? "
        "AND NOT (kind = ? AND created_at = ?) LIMIT ?",
        *(pubkey, until, VANISH, until, _SLICE),
    )
    if places:
        remove_slice(connection, places)
        return cursor
    if not erasure.is_ban:
        named = connection.run(
            "SELECT created_at, seq FROM event_tags WHERE name = 'p' AND value = ? AND (created_at, seq) > (?, ?) "
            "AND created_at <= ? ORDER BY created_at, seq LIMIT ?",
            *(tag_key(erasure.pubkey), *cursor, until, _SLICE),
        )
        if named:
            marks = ", ".join("?" for _ in named)
            wraps = connection.run(
                f"SELECT seq, length(body) FROM events WHERE seq IN ({marks}) AND kind = ? ORDER BY created_at, seq",
                *(seq for _, seq in named),
                GIFT_WRAP,
            )
            if remove_slice(connection, wraps) < len(wraps):
                return cursor  # removed events are not found again
            return int(named[-1][0]), int(named[-1][1])
        connection.run("DELETE FROM deleted_addresses WHERE pubkey = ? AND created_at <= ?", pubkey, until)
    connection.run("DELETE FROM event_erasures WHERE pubkey = ? AND is_ban = ?", *key)
    return None


def _use_once(connection: DatabaseConnection, signature: bytes, expires_at: int, now: int) -> bool:
    connection.run("DELETE FROM used_authentications WHERE expires_at < ?", now)
    if connection.run("SELECT 1 FROM used_authentications WHERE signature = ?", signature):
        return False
    connection.run("INSERT INTO used_authentications (signature, expires_at) VALUES (?, ?)", signature, expires_at)
    return True
