"""The history of typed lines, in a file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

_MAX_LINES = 500
_MAX_BYTES = 1 << 20
_MAX_CHARACTERS = 10_000
"""Longer lines are not stored."""


class LineHistory(History):
    """Keeps typed lines in a file that only its owner can read; beyond a limit, the oldest lines are dropped.

    If the file cannot be used, lines are kept in memory.  Lines with an invitation code are never stored.

    Args:
        path: the file; None keeps lines in memory.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path
        self._stored = 0

    def load_history_strings(self) -> Iterable[str]:
        """The stored lines, newest first."""
        lines = self._read()
        self._stored = len(lines)
        return reversed(lines)

    def store_string(self, string: str) -> None:
        """Store a line."""
        if self._path is None or len(string) > _MAX_CHARACTERS or string.lstrip().lower().startswith("/join"):
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._stored >= 2 * _MAX_LINES:
                lines = self._read()[-_MAX_LINES:]
                draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
                self._write(draft, os.O_TRUNC, lines)
                draft.replace(self._path)
                self._stored = len(lines)
            self._write(self._path, os.O_APPEND, [string])
            self._stored += 1

    @staticmethod
    def _write(path: Path, flag: int, lines: Iterable[str]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        lines = []
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MAX_BYTES))
            for row in file.read(_MAX_BYTES).splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    if isinstance(line := json.loads(row), str):
                        lines.append(line[:_MAX_CHARACTERS])
        return lines[-2 * _MAX_LINES :]
