"""Writes small files that only their owner may read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from teleglyph.errors import StoreError, reason_of


def write_private(path: Path, data: bytes) -> None:
    """Write a file with mode 0600.  It appears whole or not at all, also for those who read it meanwhile.

    Raises:
        StoreError: it cannot be written.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StoreError(f"Cannot write '{path}': {reason_of(error)}.") from error
