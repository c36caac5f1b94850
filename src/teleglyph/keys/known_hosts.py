"""Servers that were met before: what each showed the first time (spec acip-crypto 9.2).

Ours is written; the files of ascii-chat's programs beside it are only read, so that who trusted a server there need
not do so again.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from teleglyph import directories
from teleglyph.errors import KeyFileError

_MAX_FILE = 1 << 20
_NO_IDENTITY = "no-identity"
_WORDS = 3


class Verdict(enum.Enum):
    """What is known about a server."""

    KNOWN = "it is as it was before"
    NEW = "it was never met"
    CHANGED = "it showed something else before"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a file.

    Attributes:
        address: numeric address and port, IPv6 in brackets.
        identity: the server's Ed25519 key; None for a server without one.
        place: file and line.
    """

    address: str
    identity: bytes | None
    place: str


def own_file() -> Path:
    """Our file: ``teleglyph/known_hosts`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "known_hosts"


def foreign_files() -> list[Path]:
    """The files of ascii-chat's programs: the user's, then the system's."""
    places = [directories.configuration(), *directories.system_configurations(), Path("/usr/local/etc"), Path("/etc")]
    return [place / "ascii-chat" / "known_hosts" for place in places]


class KnownHosts:
    """All that is known.

    Args:
        own: the file that is written; the user's by default.
        others: files that are only read; ascii-chat's by default.
    """

    def __init__(self, own: Path | None = None, others: Sequence[Path] | None = None) -> None:
        self.own = own or own_file()
        self._others = tuple(foreign_files() if others is None else others)

    def entries(self) -> Iterator[Entry]:
        """All entries, ours first; lines that are none are left out."""
        for path in (self.own, *self._others):
            try:
                with path.open("rb") as file:
                    text = file.read(_MAX_FILE).decode("utf-8", "replace")
            except OSError:
                continue
            yield from parse_entries(text.splitlines(), str(path))

    def judge(self, address: str, identity: bytes | None) -> tuple[Verdict, list[Entry]]:
        """What is known about a server that shows an identity, or None; and what was written of it before."""
        found = [entry for entry in self.entries() if entry.address == address]
        if not found:
            return Verdict.NEW, found
        known = any(entry.identity == identity for entry in found)
        if identity is None:
            # A server that has shown an identity must not get away with showing none.
            known = all(entry.identity is None for entry in found)
        return (Verdict.KNOWN if known else Verdict.CHANGED), found

    def add(self, address: str, identity: bytes | None) -> None:
        """Remember a server.

        Raises:
            KeyFileError: the file cannot be written.
        """
        kind = _NO_IDENTITY if identity is None else "x25519"
        line = f"{address} {kind} {(identity or bytes(32)).hex()} teleglyph\n"
        try:
            self.own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self.own, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+") as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = "\n" + line
                file.write(line.encode())
        except OSError as error:
            raise KeyFileError(f"'{self.own}' cannot be written: {error.strerror}") from error

    def forget(self, address: str) -> int:
        """Remove what our file says of a server; returns how many lines that were.

        Raises:
            KeyFileError: the file cannot be written.
        """
        try:
            lines = self.own.read_text("utf-8", "replace").splitlines(keepends=True)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise KeyFileError(f"'{self.own}' cannot be read: {error.strerror}") from error
        kept = [line for line in lines if not any(e.address == address for e in parse_entries([line], ""))]
        if len(kept) == len(lines):
            return 0
        temporary = self.own.with_name(self.own.name + ".new")
        try:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.writelines(kept)
            temporary.replace(self.own)
        except OSError as error:
            raise KeyFileError(f"'{self.own}' cannot be written: {error.strerror}") from error
        return len(lines) - len(kept)


def parse_entries(lines: Iterable[str], name: str) -> Iterator[Entry]:
    """The entries among some lines of a file called ``name``."""
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=_WORDS)
        if len(words) < _WORDS or words[0].startswith("#"):
            continue
        try:
            key = bytes.fromhex(words[2])
        except ValueError:
            continue
        if len(key) != 32 or words[1] not in ("x25519", "ed25519", _NO_IDENTITY):
            continue
        is_none = words[1] == _NO_IDENTITY
        yield Entry(words[0], None if is_none else key, f"{name}, line {number}")
