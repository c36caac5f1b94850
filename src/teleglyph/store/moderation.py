"""What the relay's administrator decided (NIP-86), who asked to vanish (NIP-62), and erasing that is not finished yet.

Erasing everything of somebody takes many transactions.  What is still to be erased is written in the transaction of the
decision, so that a later process finishes what this one began.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from teleglyph.store.database import Base, Database
from teleglyph.store.events import remove_events, remove_slice
from teleglyph.store.tag_keys import tag_key
from teleglyph.wire.nostr.event import GIFT_WRAP, VANISH, decode_kept

FOR_EVER = 1 << 53
_SLICE = 500
START = (-1, -1)
"""Where erasing begins."""


class Rule(enum.StrEnum):
    """What an entry says.  The names are kept in databases."""

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
        put: rule, value and text (a reason, or what a setting is).
        drop: rule and value of entries that go.
        banned: public key whose events are to be erased.
        unbanned: public key whose events are not to be erased any further.
        erased: ids of events that are removed at once.
    """

    put: Sequence[tuple[Rule, str, str]] = ()
    drop: Sequence[tuple[Rule, str]] = ()
    banned: str | None = None
    unbanned: str | None = None
    erased: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Erasure:
    """Events of an author that are to be erased.

    Attributes:
        pubkey: 64 hexadecimal digits.
        is_ban: all of them go, because the author is banned; otherwise those from before a request to vanish, and the
            gift wraps to its author.
    """

    pubkey: str
    is_ban: bool


@dataclass(frozen=True, slots=True)
class ModerationRecord:
    """All that is kept.

    Attributes:
        rules: text by value, by rule.
        vanished: by public key the time up to which nothing of it comes back, Unix seconds.
        erasures: that are not finished.
    """

    rules: Mapping[Rule, Mapping[str, str]] = field(default_factory=dict)
    vanished: Mapping[str, int] = field(default_factory=dict)
    erasures: Sequence[Erasure] = ()


class ModerationStore:
    """Decisions in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Future[ModerationRecord]:
        """Everything."""
        return self._database.read(_load)

    def write(self, change: RuleChange) -> Future[None]:
        """Write a change."""
        return self._database.write(lambda base: _write(base, change))

    def erase(self, erasure: Erasure, cursor: tuple[int, int]) -> Future[tuple[int, int] | None]:
        """Erase some of what is to be erased.

        Args:
            erasure: what is to be erased.
            cursor: what was returned the last time, or START.

        Returns:
            where to go on; None if it is finished.
        """
        return self._database.write(lambda base: _erase(base, erasure, cursor))

    def use_once(self, signature: str, expires_at: int, now: float) -> Future[bool]:
        """Remember that an authentication was used; False if it was before.

        Args:
            signature: of the authentication, 128 hexadecimal digits.  Not its id: a client that asks the same twice in
                a second signs two events with one id, and nobody else can sign it again.
            expires_at: Unix seconds after which it is worth nothing anyway.
            now: Unix seconds.
        """
        return self._database.write(lambda base: _use_once(base, bytes.fromhex(signature), expires_at, int(now)))


def finish(store: ModerationStore) -> None:
    """Erase all that is still to be erased, and wait for it."""
    for erasure in store.load().result().erasures:
        cursor: tuple[int, int] | None = START
        while cursor is not None:
            cursor = store.erase(erasure, cursor).result()


def _load(base: Base) -> ModerationRecord:
    rules: dict[Rule, dict[str, str]] = {rule: {} for rule in Rule}
    for rule, value, text in base.run("SELECT rule, value, text FROM relay_rules ORDER BY rule, value"):
        rules[Rule(rule)][value] = text
    return ModerationRecord(
        rules,
        {bytes(pubkey).hex(): until for pubkey, until in base.run("SELECT pubkey, until FROM vanished_authors")},
        [
            Erasure(bytes(pubkey).hex(), bool(is_ban))
            for pubkey, is_ban in base.run("SELECT pubkey, is_ban FROM event_erasures")
        ],
    )


def _write(base: Base, change: RuleChange) -> None:
    base.run_many(
        "DELETE FROM relay_rules WHERE rule = ? AND value = ?",
        [
            *((rule.value, value) for rule, value in change.drop),
            *((rule.value, value) for rule, value, _ in change.put),
        ],
    )
    base.run_many(
        "INSERT INTO relay_rules (rule, value, text) VALUES (?, ?, ?)",
        [(rule.value, value, text) for rule, value, text in change.put],
    )
    if change.unbanned is not None:
        base.run("DELETE FROM event_erasures WHERE pubkey = ? AND is_ban = 1", bytes.fromhex(change.unbanned))
    if change.banned is not None:
        base.run(
            "INSERT INTO event_erasures (pubkey, is_ban, until) VALUES (?, 1, ?) ON CONFLICT DO NOTHING",
            *(bytes.fromhex(change.banned), FOR_EVER),
        )
    for number in change.erased:
        rows = base.run("SELECT seq, body FROM events WHERE id = ?", bytes.fromhex(number))
        remove_events(base, [(seq, decode_kept(bytes(body))) for seq, body in rows])


def _erase(base: Base, erasure: Erasure, cursor: tuple[int, int]) -> tuple[int, int] | None:
    pubkey, key = bytes.fromhex(erasure.pubkey), (bytes.fromhex(erasure.pubkey), int(erasure.is_ban))
    pending = base.run("SELECT until FROM event_erasures WHERE pubkey = ? AND is_ban = ?", *key)
    if not pending:
        return None
    until = pending[0][0]
    # The request to vanish itself stays; it is the last one of its author.
    places = base.run(
        "SELECT seq, length(body) FROM events WHERE pubkey = ? AND created_at <= ? "
        "AND NOT (kind = ? AND created_at = ?) LIMIT ?",
        *(pubkey, until, VANISH, until, _SLICE),
    )
    if places:
        remove_slice(base, places)
        return cursor
    if not erasure.is_ban:
        named = base.run(
            "SELECT created_at, seq FROM event_tags WHERE name = 'p' AND value = ? AND (created_at, seq) > (?, ?) "
            "AND created_at <= ? ORDER BY created_at, seq LIMIT ?",
            *(tag_key(erasure.pubkey), *cursor, until, _SLICE),
        )
        if named:
            marks = ", ".join("?" for _ in named)
            wraps = base.run(
                f"SELECT seq, length(body) FROM events WHERE seq IN ({marks}) AND kind = ? ORDER BY created_at, seq",
                *(seq for _, seq in named),
                GIFT_WRAP,
            )
            if remove_slice(base, wraps) < len(wraps):
                return cursor  # those that were removed are not found again
            return int(named[-1][0]), int(named[-1][1])
        base.run("DELETE FROM deleted_addresses WHERE pubkey = ? AND created_at <= ?", pubkey, until)
    base.run("DELETE FROM event_erasures WHERE pubkey = ? AND is_ban = ?", *key)
    return None


def _use_once(base: Base, signature: bytes, expires_at: int, now: int) -> bool:
    base.run("DELETE FROM used_authentications WHERE expires_at < ?", now)
    if base.run("SELECT 1 FROM used_authentications WHERE signature = ?", signature):
        return False
    base.run("INSERT INTO used_authentications (signature, expires_at) VALUES (?, ?)", signature, expires_at)
    return True
