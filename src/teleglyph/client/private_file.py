"""Files in the state directory that only their owner can access, and that are always replaced as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from teleglyph.errors import reason_of


def prepare_directory(directory: Path) -> None:
    """Create the directory, accessible only to its owner.

    Raises:
        OSError: it cannot be created, or belongs to another user.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the directory belongs to another user", str(directory))
    if found.st_mode & 0o077:
        directory.chmod(0o700)


def read_file(path: Path, limit: int) -> bytes:
    """Read a file that only we can access.

    Args:
        path: the file.
        limit: the most bytes that it may have.

    Raises:
        OSError: it is unreadable, not a file, too large, or accessible to others.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            raise OSError(errno.EINVAL, f"it is not a file of at most {limit} bytes", str(path))
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "the file belongs to another user, or others can read it", str(path))
        return file.read(limit)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file durably; a reader sees the old contents or the new ones.

    The caller must have a lock that keeps other processes from writing the same file.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_suffix(".new")
    try:
        # A killed process may have left it; the lock proves that nobody is writing it.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def describe_error(error: OSError) -> str:
    """The reason for a failure, and the file."""
    return f"{reason_of(error)}{f' ({error.filename})' if error.filename else ''}"
