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
_ALTERNATIVES = "Choose another directory with --data-dir, or use --ephemeral to store nothing."


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
def open_data_directory(path: Path) -> Iterator[Path]:
    """Create a directory if it does not exist, and lock it inside the ``with`` block.

    The kernel releases the lock when the process ends, however it ends.  Child processes do not inherit it.

    Raises:
        ConfigurationError: the directory cannot be created, written or locked.
        StoreError: another server uses it.
    """
    import fcntl  # not on every system; without a data directory a server does not need it

    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable("write to", path, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"The data directory '{path}' is in use by another server. Stop it, choose another directory with "
                "--data-dir, or use --ephemeral."
            ) from None
        except OSError as error:
            raise _unusable("lock", path, error) from error
        yield path
    finally:
        os.close(lock)


def _unusable(verb: str, path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"Cannot {verb} the data directory '{path}': {reason_of(error)}. {_ALTERNATIVES}")
