"""Seats at tables on disk, so that a new process can resume the game of a killed one.

Each seat has two files in the state directory: the saved seat, readable only by its owner and always replaced as a
whole, and a lock that the process in the seat holds as long as it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleglyph import directories
from teleglyph.client.private_file import describe_error, prepare_directory, read_file, replace_file
from teleglyph.errors import SeatRefusedError

_log = logging.getLogger(__name__)

_VERSION = 1
_MAX_BYTES = 64 << 10
MAX_SEATS = 64
"""Stored seats; the least recently used ones are deleted first."""
SLACK = 60.0
"""Seconds for which a seat is stored beyond the relay's grace period, to report that its game is over."""
DEFAULT_GRACE = 30.0
"""Seconds, for relays that do not announce a grace period."""
MAX_GRACE = 24 * 3600.0
"""Seconds; longer announcements are not believed."""


@dataclass(slots=True)
class SavedSeat:
    """The stored data of a seat.

    Attributes:
        token: reopens the seat.
        is_confirmed: the relay has granted the seat; otherwise it was only requested.
        grace: seconds for which the relay keeps the seat after a lost connection.
        state: the game's state, as JSON values.
    """

    token: int = field(repr=False)
    is_confirmed: bool
    grace: float
    state: dict[str, Any]


def seats_directory() -> Path | None:
    """The directory for seats; None for a user without a home directory."""
    try:
        return directories.state() / "teleglyph" / "seats"
    except RuntimeError:
        return None


class SeatFile:
    """The file of one seat, locked while this object is open.

    Without a usable directory nothing is stored; the log has the reason.

    Args:
        directory: holds only seats; None stores nothing.
        server, game, room, role: the seat; the role is ``host`` or ``guest``.
    """

    def __init__(self, directory: Path | None, server: str, game: str, room: str, role: str) -> None:
        self._seat = {"server": server, "game": game, "room": room, "role": role}
        name = hashlib.blake2b(json.dumps(self._seat, sort_keys=True).encode(), digest_size=16).hexdigest()
        self._directory = directory
        self._path = (directory or Path()) / f"{name}.json"
        self._lock_path = self._path.with_suffix(".lock")
        self._lock: int | None = None
        self._is_usable = False

    def open(self) -> None:
        """Lock the seat, and delete expired seats.

        Raises:
            SeatRefusedError: another process on this machine has the seat.
        """
        if self._directory is None:
            _log.warning("Seats are not saved: you have no home directory, and XDG_STATE_HOME is not set.")
            return
        try:
            prepare_directory(self._directory)
        except OSError as error:
            _log.warning("Seats are not saved: %s", describe_error(error))
            return
        try:
            self._lock = _acquire_lock(self._lock_path)
        except BlockingIOError:
            raise SeatRefusedError(self._in_use()) from None
        except OSError as error:
            _log.warning("Seats are not saved: cannot lock %s: %s", self._lock_path, describe_error(error))
            return
        self._is_usable = True
        _purge(self._directory, keep=self._path, now=time.time())

    def load(self) -> SavedSeat | None:
        """The seat that an earlier process saved; None if there is no usable one."""
        if not self._is_usable:
            return None
        try:
            return _decode(read_file(self._path, _MAX_BYTES), self._seat)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            # The error's own text could quote the token.
            reason = (
                describe_error(error) if isinstance(error, OSError) else "it is damaged, or belongs to another seat"
            )
            _log.warning("Ignored the saved seat %s: %s", self._path, reason)
            return None

    def save(self, seat: SavedSeat) -> bool:
        """Store the seat durably; False if that failed, with the reason in the log."""
        if not self._is_usable:
            return False
        content = {
            "version": _VERSION,
            **self._seat,
            "token": f"{seat.token:016x}",
            "is_confirmed": seat.is_confirmed,
            "grace": seat.grace,
            "state": seat.state,
        }
        try:
            replace_file(self._path, json.dumps(content).encode())
        except OSError as error:
            _log.warning("Could not save the seat: %s", describe_error(error))
            return False
        return True

    def touch(self) -> None:
        """Mark the seat as in use: its expiry starts again."""
        if self._is_usable:
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def remove(self) -> None:
        """Delete the stored seat."""
        if self._is_usable:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock the seat, which stays stored; may be called repeatedly."""
        if self._lock is not None:
            if not self._path.exists():
                with contextlib.suppress(OSError):
                    self._lock_path.unlink()
            os.close(self._lock)
            self._lock = None
        self._is_usable = False

    def _in_use(self) -> str:
        process = ""
        with contextlib.suppress(OSError, ValueError):
            process = f" (process {int(read_file(self._lock_path, _MAX_BYTES) or b'')})"
        room, role = self._seat["room"], self._seat["role"]
        return (
            f"You are already playing at '{room}' as {role} in another window{process}. Continue there, or leave with "
            "q first; resume a process stopped with Ctrl-Z with 'fg'."
        )


def _acquire_lock(path: Path) -> int:
    """Lock a file and write our process id into it.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it cannot be locked.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                is_same = os.path.samestat(os.fstat(descriptor), os.lstat(path))
            except FileNotFoundError:
                is_same = False
            if is_same:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # The previous owner deleted the file before we got the lock.
        os.close(descriptor)


def _decode(data: bytes, seat: dict[str, str]) -> SavedSeat:
    """Decode what :meth:`SeatFile.save` writes.

    Raises:
        ValueError, TypeError, KeyError, RecursionError: the data is something else.
    """
    content = json.loads(data)
    if content["version"] != _VERSION or {key: content[key] for key in seat} != seat:
        raise ValueError("another seat")
    token, grace, state, is_confirmed = (content[key] for key in ("token", "grace", "state", "is_confirmed"))
    if type(is_confirmed) is not bool or not isinstance(state, dict) or len(token) != 16:
        raise ValueError("wrong types")
    if isinstance(grace, bool) or not 0 <= grace <= MAX_GRACE:
        raise ValueError("grace period out of range")
    return SavedSeat(int(token, 16), is_confirmed, float(grace), state)


def _purge(directory: Path, keep: Path, now: float) -> None:
    """Delete expired seats, and the oldest ones if there are too many; seats in use stay."""
    ages: list[tuple[float, Path]] = []
    for path in directory.glob("*.json"):
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if path != keep:
            ages.append((now - found.st_mtime, path))
    ages.sort()
    for number, (age, path) in enumerate(ages):
        # A time in the future means that the clock was set back.
        if number >= MAX_SEATS - 1 or not -SLACK <= age <= _grace_of(path) + SLACK:
            _delete(path)
    for lock in directory.glob("*.lock"):
        path = lock.with_suffix(".json")
        if path != keep and not path.exists():
            _delete(path)


def _grace_of(path: Path) -> float:
    try:
        return float(json.loads(read_file(path, _MAX_BYTES))["grace"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return DEFAULT_GRACE


def _delete(path: Path) -> None:
    lock = path.with_suffix(".lock")
    try:
        descriptor = _acquire_lock(lock)
    except OSError:
        return
    with contextlib.suppress(OSError):
        path.with_suffix(".new").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        lock.unlink()
    os.close(descriptor)
