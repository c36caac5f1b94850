"""Checks of what is stored: disk space, the data directory, and who may read keys."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from teleglyph.client.doctor.examination import Check, in_thread
from teleglyph.client.doctor.report import Finding, note, ok, problem
from teleglyph.errors import KeyFileError, reason_of
from teleglyph.keys import KnownHosts, fingerprint
from teleglyph.keys.private import load_identity_file

Access = Callable[[Path, int], bool]

_TIGHT, _LOW = 100 << 20, 1 << 30
"""Free bytes below which a server soon fails, and below which it is time to tidy up."""
_STUCK = "The file system that holds it does not answer. Check network drives and the disk."


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are stored.

    Attributes:
        data: the server's data directory.
        secrets: the names of the files in it that nobody else may read.
        key: the user's own key.
        known_hosts: the list of servers that the user has joined.
    """

    data: Path
    secrets: tuple[str, ...]
    key: Path
    known_hosts: Path


def file_checks(places: Places) -> list[Check]:
    """The checks of what is stored."""
    looks: list[tuple[str, str, Callable[[], Finding]]] = [
        ("disk", "disk space", partial(check_disk, places.data)),
        ("data-directory", "data directory", partial(check_data_directory, places.data, places.secrets)),
        ("client-key", "your key", partial(check_key, places.key)),
        ("known-hosts", "known hosts", partial(check_known_hosts, places.known_hosts)),
    ]
    return [Check(name, title, in_thread(look), _STUCK) for name, title, look in looks]


def check_disk(data: Path, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Finding:
    """Whether a server has room for its data."""
    place = _existing(data)
    try:
        free = free_bytes(place)
    except OSError as error:
        return problem(f"Cannot find out how much space is left for {data}: {reason_of(error)}.", _STUCK)
    text = f"{_in_words(free)} free for {data}"
    if free < _TIGHT:
        return problem(f"Only {text}: a server will soon fail.", "Delete something, or choose another --data-dir.")
    if free < _LOW:
        return note(f"Only {text}.", "Delete something before the disk is full.")
    return ok(f"{text}.")


def check_data_directory(data: Path, secrets: Sequence[str] = (), may: Access = os.access) -> Finding:
    """Whether a server can write its data directory, and only its user can read it.

    Args:
        data: the directory.
        secrets: names of files in it that nobody else may read.
        may: as :func:`os.access`.
    """
    quoted = shlex.quote(str(data))
    try:
        mode = data.stat().st_mode
    except FileNotFoundError:
        place = _existing(data)
        if may(place, os.W_OK | os.X_OK):
            return ok(f"{data} does not exist yet; a server will create it.")
        return problem(
            f"{data} does not exist, and you may not create it in {place}.", "Choose another one with --data-dir."
        )
    except OSError as error:
        return problem(f"Cannot read {data}: {reason_of(error)}.", "Choose another one with --data-dir.")
    if not stat.S_ISDIR(mode):
        return problem(f"{data} is not a directory.", "Rename that file, or choose another directory with --data-dir.")
    if not may(data, os.R_OK | os.W_OK | os.X_OK):
        return problem(
            f"You may not write to {data}.", f"Run: sudo chown -R $USER {quoted}, or choose another --data-dir."
        )
    for name in secrets:
        if _mode(data / name) & 0o077:
            path = data / name
            return problem(f"Others on this machine can read {path}.", f"Run: chmod 600 {shlex.quote(str(path))}")
    if mode & 0o022:
        return problem(f"Others on this machine can change {data}.", f"Run: chmod 700 {quoted}")
    if mode & 0o055:
        return note(f"Others on this machine can list {data}.", f"Run: chmod 700 {quoted}")
    return ok(f"{data}, only for you.")


def check_key(path: Path) -> Finding:
    """Whether the user's own key can be used."""
    asked: list[str] = []
    try:
        identity = load_identity_file(path, asked.append)
    except KeyFileError as error:
        if not os.path.lexists(path):
            return ok("You have none. You need one only for servers that admit listed keys: 'teleglyph keygen'.")
        if asked:
            return ok(f"{path}, with a pass phrase.")
        text, _, step = str(error).partition(". ")
        return problem(f"{text.rstrip('.')}.", step or f"Move {path} away, and make a new key: 'teleglyph keygen'.")
    return ok(f"{fingerprint(identity.public_key)} in {path}.")


def check_known_hosts(path: Path, may: Access = os.access) -> Finding:
    """Whether the list of known servers can be read, and only the user can change it.

    Args:
        path: its file.
        may: as :func:`os.access`.
    """
    quoted = shlex.quote(str(path))
    try:
        mode = path.stat().st_mode
        with path.open("rb"):
            pass
    except FileNotFoundError:
        return ok("You have joined no server on another machine yet.")
    except OSError as error:
        return problem(
            f"Cannot read {path}: {reason_of(error)}. You will be asked about every server again.",
            f"Run: sudo chown $USER {quoted}",
        )
    if mode & 0o022:
        return problem(
            f"Others on this machine can change {path}, and make you trust their servers.", f"Run: chmod 600 {quoted}"
        )
    if not may(path, os.W_OK):
        return note(f"{path} is read-only, so new servers are not remembered.", f"Run: chmod 600 {quoted}")
    servers = len({entry.address for entry in KnownHosts(path, ()).entries()})
    return ok(f"{servers} {'server' if servers == 1 else 'servers'} in {path}.")


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next((place for place in (path, *path.parents) if os.path.exists(place)), Path("/"))


def _mode(path: Path) -> int:
    """A file's permissions; none if it does not exist."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _in_words(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= _LOW else f"{size >> 20} MiB"
