"""Admits people with invitations, and keeps the list of revoked ones (docs/protocol/link2.md#invitations)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from teleglyph.errors import InvitationError, StoreError, reason_of
from teleglyph.server.private_file import write_private
from teleglyph.wire.acip import Identity
from teleglyph.wire.invitation import ID_SIZE, Invitation, check

_log = logging.getLogger(__name__)

REVOKED_FILE = "revoked.json"
_LOCK_FILE = "revoked.lock"
MAX_REVOKED = 10_000
"""Entries of the list; ``--revoke-all`` needs only one time for all of them."""
_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Admitted:
    """What an invitation allows.

    Attributes:
        room: that it is for, empty for the lobby.
        view_only: its owner may watch and listen, not send.
        id: by which it can be revoked, in hexadecimal.
        expires: until when it can be used, in seconds since 1970; 0 for no end.
    """

    room: str
    view_only: bool
    id: str
    expires: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revoked invitations.

    Attributes:
        until: everything issued up to this time is revoked, in seconds since 1970; 0 for none.
        ids: those that are revoked one by one, in hexadecimal, and when they expire; 0 if that is never, or unknown.
    """

    until: int = 0
    ids: dict[str, int] = field(default_factory=dict)

    def has(self, invitation: Invitation) -> bool:
        """Whether an invitation is revoked."""
        return invitation.issued <= self.until or invitation.id.hex() in self.ids

    def without_expired(self, now: float) -> Revoked:
        """The list without entries that no longer matter."""
        return replace(self, ids={one: expires for one, expires in self.ids.items() if not expires or expires > now})


class RevocationList:
    """The file with the revoked invitations; commands rewrite it while a server reads it.

    Args:
        directory: the server's data directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / REVOKED_FILE
        self._lock_path = directory / _LOCK_FILE
        self._stamp: tuple[int, ...] | None = None
        self._revoked: Revoked | None = Revoked()
        """None while the file cannot be read."""

    def read(self) -> Revoked:
        """The list as it is in the file.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_MAX_FILE + 1)
        except FileNotFoundError:
            return Revoked()
        except OSError as error:
            raise StoreError(f"Cannot read the revoked invitations in '{self.path}': {reason_of(error)}.") from error
        try:
            return _parse(data)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StoreError(
                f"The list of revoked invitations in '{self.path}' is damaged. Restore it from a backup, or write a "
                "new one with 'teleglyph invite --revoke-all'."
            ) from None

    def current(self) -> Revoked | None:
        """The list, read again if the file has changed; None if it cannot be read, which is logged once."""
        stamp = self._changed_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._revoked = self.read()
            except StoreError as error:
                self._revoked = None
                _log.error("%s Nobody can join with an invitation until then.", error)
        return self._revoked

    def _changed_stamp(self) -> tuple[int, ...] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def change(self, edit: Callable[[Revoked], Revoked], *, replaces_damaged: bool = False) -> Revoked:
        """Rewrite the file; other programs that do the same wait.

        Args:
            edit: makes the new list from the old one.
            replaces_damaged: start with an empty list if the file cannot be read.

        Returns:
            The new list.

        Raises:
            StoreError: the file cannot be read or written, or has too many entries.
        """
        with self._locked():
            try:
                before = self.read()
            except StoreError:
                if not replaces_damaged:
                    raise
                before = Revoked()
            after = edit(before).without_expired(time.time())
            if len(after.ids) > MAX_REVOKED:
                raise StoreError(
                    f"More than {MAX_REVOKED} invitations would be revoked. Revoke all with --revoke-all instead."
                )
            text = json.dumps({"until": after.until, "ids": after.ids}, indent=1)
            write_private(self.path, f"{text}\n".encode())
        return after

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl  # not on every system

        try:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"Cannot write to '{self._lock_path.parent}': {reason_of(error)}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _parse(data: bytes) -> Revoked:
    content = json.loads(data)
    until, ids = content["until"], content["ids"]
    is_right = _is_time(until) and all(
        len(bytes.fromhex(one)) == ID_SIZE and one == one.lower() and _is_time(expires) for one, expires in ids.items()
    )
    if len(data) > _MAX_FILE or not is_right:
        raise ValueError("it has wrong values")
    return Revoked(until, ids)


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 32


class Invitations:
    """Checks the invitations of one server's guests.

    Args:
        identities: the server's, whose invitations are accepted.
        directory: the data directory with the revoked ones; None: none is revoked.
        clock: returns seconds since 1970.
    """

    def __init__(
        self, identities: Sequence[Identity], directory: Path | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._identities = tuple(identity.public_key for identity in identities)
        self._list = None if directory is None else RevocationList(directory)
        self._clock = clock

    @property
    def are_possible(self) -> bool:
        """Whether the server can check any: it has an identity."""
        return bool(self._identities)

    def admit(self, token: str, room: str) -> Admitted:
        """Check an invitation to a room.

        It takes about 0.1 ms, which the connection's account pays for.  Wrong ones are not counted as guesses: nobody
        can guess a signature.

        Args:
            token: the text of the invitation.
            room: the room's name in any form; empty for the lobby.

        Raises:
            InvitationError: it does not let its owner in; the message is for them.
        """
        found = check(token, self._identities, room, self._clock(), self._is_revoked)
        return Admitted(found.room, found.view_only, found.id.hex(), found.expires)

    def _is_revoked(self, invitation: Invitation) -> bool:
        if self._list is None:
            return False
        if (revoked := self._list.current()) is None:
            raise InvitationError("The server cannot check invitations at the moment. Tell its host.")
        return revoked.has(invitation)
