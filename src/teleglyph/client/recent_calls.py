"""The calls that you joined recently, in a file that only you can read.

It holds addresses, names and times: no passwords, no keys, and no invitations.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from teleglyph import directories
from teleglyph.client.address import parse_call_address
from teleglyph.client.private_file import describe_error, prepare_directory, read_file, replace_file
from teleglyph.errors import UserError
from teleglyph.net import is_loopback
from teleglyph.printable import fit

_log = logging.getLogger(__name__)

MAX_CALLS = 50
"""Stored calls; the oldest ones are forgotten."""
_VERSION = 1
_MAX_BYTES = 128 << 10
_MAX_ADDRESS = 300
_MAX_NAME = 40
"""Columns of a name."""
_MAX_TIME = 1 << 40
_LOCK_SECONDS = 1.0
"""How long to wait for another client that writes the file."""
_LOCK_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class RecentCall:
    """A call that you joined.

    Attributes:
        address: from which :func:`~teleglyph.client.address.parse_call_address` makes its address.
        name: what people call it; empty if it has no name.
        when: you last joined it then, in seconds since 1970.
    """

    address: str
    name: str
    when: int


def recent_calls_file() -> Path | None:
    """The user's file; None for a user without a home directory."""
    try:
        return directories.state() / "teleglyph" / "recent_calls.json"
    except RuntimeError:
        return None


class RecentCalls:
    """The list of recent calls, newest first.

    Several clients may use the same file at the same time.

    Args:
        path: the file; None stores nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.notice = ""
        """A sentence about a file that could not be read; empty if there was no problem."""

    def entries(self) -> list[RecentCall]:
        """The calls, newest first; none if the file cannot be used."""
        self.notice = ""
        if self._path is None:
            return []
        try:
            return _decode(read_file(self._path, _MAX_BYTES))
        except FileNotFoundError:
            return []
        except OSError as error:
            self.notice = f"The list of recent calls starts again: {describe_error(error)}."
        except (ValueError, TypeError, KeyError, RecursionError):
            self.notice = f"The list of recent calls starts again: {self._path} is damaged."
        return []

    def add(self, address: str, name: str, when: float) -> None:
        """Remember a call, or that it was joined again.

        Calls on this machine are not remembered, and neither are addresses that could be wrong tomorrow or contain a
        secret.  If the file cannot be written, the log says why.

        Args:
            address: as the user would type it.
            name: what people call it; empty if it has no name.
            when: in seconds since 1970.
        """
        if not _is_kept(address):
            return
        call = RecentCall(address, fit(name, _MAX_NAME).strip(), int(when))

        def with_call(calls: Sequence[RecentCall]) -> list[RecentCall]:
            known = next((each.name for each in calls if each.address == address), "")
            newest = RecentCall(address, call.name or known, call.when)
            return [newest, *(each for each in calls if each.address != address)]

        self._change(with_call)

    def forget(self) -> int:
        """Forget all calls.

        Returns:
            how many there were.

        Raises:
            UserError: the file cannot be removed.
        """
        count = len(self.entries())
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"Cannot forget recent calls: {describe_error(error)}.") from error
        return count

    def _change(self, change: Callable[[Sequence[RecentCall]], Sequence[RecentCall]]) -> None:
        if self._path is None:
            return
        try:
            prepare_directory(self._path.parent)
            with _lock(self._path.with_suffix(".lock")):
                calls = [asdict(call) for call in change(self.entries())[:MAX_CALLS]]
                if self.notice:
                    _log.warning("%s", self.notice)
                replace_file(self._path, json.dumps({"version": _VERSION, "calls": calls}).encode())
        except OSError as error:
            _log.warning("Could not remember the call: %s", describe_error(error))


def _is_kept(address: str) -> bool:
    # A URL's query may hold a secret, a fragment an invitation; the zone of an address has another number tomorrow.
    if len(address) > _MAX_ADDRESS or any(character in address for character in "?#@%"):
        return False
    try:
        host = parse_call_address(address).host
    except UserError:
        return False
    return host.lower() != "localhost" and not is_loopback(host)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep other clients from changing the list.

    Raises:
        OSError: the file cannot be locked in time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _decode(data: bytes) -> list[RecentCall]:
    """Decode what :class:`RecentCalls` writes.

    Raises:
        ValueError, TypeError, KeyError, RecursionError: the data is something else.
    """
    content = json.loads(data)
    if content["version"] != _VERSION or not isinstance(content["calls"], list):
        raise ValueError("another version")
    calls = []
    for item in content["calls"][:MAX_CALLS]:
        address, name, when = item["address"], item["name"], item["when"]
        if not isinstance(address, str) or not isinstance(name, str) or type(when) is not int:
            raise TypeError("wrong types")
        if not 0 <= when <= _MAX_TIME or not _is_kept(address):
            raise ValueError("out of range")
        calls.append(RecentCall(address, fit(name, _MAX_NAME), when))
    return calls
