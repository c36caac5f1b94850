"""The directory in which a server stores its files, used by one server at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from teleglyph import directories
from teleglyph.errors import ConfigurationError, StoreError, reason_of

DATABASE_FILE = "teleglyph.sqlite3"
IDENTITY_FILE = "identity"
RELAY_KEY_FILE = "relay.key"
_LOCK_FILE = "lock"
_ANOTHER = "Choose another directory with --data-dir"
_ALTERNATIVES = f"{_ANOTHER}, or use --ephemeral to store nothing."


def default_data_directory() -> Path:
    """``teleglyph`` in the user's data directory (XDG).

    Raises:
        ConfigurationError: the user has no home directory.
    """
    try:
        return directories.data() / "teleglyph"
    except RuntimeError:
        raise ConfigurationError(f"There is no home directory to store data in. {_ALTERNATIVES}") from None


@contextlib.contextmanager
def open_data_directory(path: Path, *, is_needed: bool = False) -> Iterator[Path]:
    """Create a directory if it does not exist, and lock it inside the ``with`` block.

    The kernel releases the lock when the process ends, however it ends.  Child processes do not inherit it.

    Args:
        path: of the directory.
        is_needed: the program cannot run without one; otherwise errors advise to do so.

    Raises:
        ConfigurationError: the directory cannot be created, written or locked.
        StoreError: another server uses it.
    """
    import fcntl  # not on every system; without a data directory a server does not need it

    advice = f"{_ANOTHER}." if is_needed else _ALTERNATIVES
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("write to", path, error, advice) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            others = "or choose another directory with --data-dir."
            if not is_needed:
                others = "choose another directory with --data-dir, or use --ephemeral."
            text = f"The data directory '{path}' is in use by another server. Stop it, {others}"
            raise StoreError(text) from None
        except OSError as error:
            raise _unusable("lock", path, error, advice) from error
        yield path
    finally:
        os.close(lock)


def _unusable(verb: str, path: Path, error: OSError, advice: str) -> ConfigurationError:
    return ConfigurationError(f"Cannot {verb} the data directory '{path}': {reason_of(error)}. {advice}")
