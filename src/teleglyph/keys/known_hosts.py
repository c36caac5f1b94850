"""Known hosts: the servers that you have joined, and their identities (docs/protocol/handshake.md#known-servers).

We write our own file.  The files of ascii-chat's programs are only read, so that you need not accept a server again
after accepting it there.  A line is ``ADDRESS KIND KEY COMMENT``; the comment holds the name that you typed, which
other programs ignore.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from teleglyph import directories
from teleglyph.errors import KeyFileError, reason_of
from teleglyph.text_file import decode_text, encoding_of

_MAX_FILE = 1 << 20
_NO_IDENTITY = "no-identity"
_WORDS = 3
_NAME = re.compile(r"name=([\w.\-:%\[\]]{1,270})")
"""A host name (at most 253 characters) and a port.  Nothing else is written to the file, or read from it."""
_LINK2 = "link=2"
"""The word in the comment of a server that speaks link 2."""
_MAX_NAMES = 8
"""Lines for one server that was joined under different names."""


class Verdict(enum.Enum):
    """How a server's identity compares with the known hosts."""

    KNOWN = "its identity is the same as before"
    NEW = "you have not joined it before"
    CHANGED = "it had another identity before"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a file.

    Attributes:
        address: numeric address and port, IPv6 in brackets.
        identity: the server's Ed25519 key; None for a server without one.
        file: the file with the line.
        line: its number, from 1.
        name: host and port as the user typed them; empty if they are not known.
        has_link2: the server speaks link 2.
    """

    address: str
    identity: bytes | None
    file: Path
    line: int
    name: str = ""
    has_link2: bool = False

    @property
    def place(self) -> str:
        """The file and line, for messages."""
        return f"{self.file}, line {self.line}"


def own_file() -> Path:
    """Our file: ``teleglyph/known_hosts`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "known_hosts"


def foreign_files() -> list[Path]:
    """The files of ascii-chat's programs: the user's, then the system's."""
    places = [directories.configuration(), *directories.system_configurations(), Path("/usr/local/etc"), Path("/etc")]
    return [place / "ascii-chat" / "known_hosts" for place in places]


class KnownHosts:
    """All servers that were joined before.

    Args:
        own: the file to read and write; the user's by default.
        others: files to read only; ascii-chat's by default.
    """

    def __init__(self, own: Path | None = None, others: Sequence[Path] | None = None) -> None:
        self.own = own or own_file()
        self._others = tuple(foreign_files() if others is None else others)

    def entries(self) -> Iterator[Entry]:
        """All entries, ours first; skips invalid lines."""
        for path in (self.own, *self._others):
            try:
                with path.open("rb") as file:
                    data = file.read(_MAX_FILE)
            except OSError:
                continue
            yield from parse_entries(_lines(data), path)

    def judge(self, address: str, identity: bytes | None) -> tuple[Verdict, list[Entry]]:
        """Compare a server's identity (None for a server without one) with its entries, and return both."""
        found = [entry for entry in self.entries() if entry.address == address]
        if not found:
            return Verdict.NEW, found
        known = any(entry.identity == identity for entry in found)
        if identity is None:
            # A server that once had an identity must not be accepted without one.
            known = all(entry.identity is None for entry in found)
        return (Verdict.KNOWN if known else Verdict.CHANGED), found

    def speaks_link2(self, address: str, name: str = "") -> bool:
        """Whether a server spoke link 2 before.

        Args:
            address: numeric, with the port.
            name: host and port as the user typed them.
        """
        return any(
            entry.has_link2 and (entry.address == address or (name != "" and entry.name == name))
            for entry in self.entries()
        )

    def add(self, address: str, identity: bytes | None, name: str = "", *, has_link2: bool = False) -> None:
        """Remember a server.

        Args:
            address: numeric, with the port.
            identity: its Ed25519 key; None for a server without one.
            name: host and port as the user typed them; omitted if equal to the address.
            has_link2: it speaks link 2.

        Raises:
            KeyFileError: the file cannot be written.
        """
        kind = _NO_IDENTITY if identity is None else "x25519"
        line = f"{address} {kind} {(identity or bytes(32)).hex()} teleglyph"
        if has_link2:
            line += f" {_LINK2}"
        if name != address and _NAME.fullmatch(f"name={name}"):
            line += f" name={name}"
        self._append(line + "\n")

    def add_name(self, entries: Sequence[Entry], name: str) -> None:
        """Remember that a known server was joined under another name.

        Does nothing for servers that are only in ascii-chat's files, and after a few names.

        Args:
            entries: from :meth:`judge`.
            name: host and port as the user typed them.

        Raises:
            KeyFileError: the file cannot be written.
        """
        own = [entry for entry in entries if entry.file == self.own]
        is_known = any(name in (entry.name, entry.address) for entry in own)
        if own and not is_known and len(own) < _MAX_NAMES and _NAME.fullmatch(f"name={name}"):
            self.add(own[0].address, own[0].identity, name, has_link2=own[0].has_link2)

    def mark_link2(self, entries: Sequence[Entry]) -> None:
        """Remember that a known server speaks link 2.

        Args:
            entries: from :meth:`judge`.

        Raises:
            KeyFileError: the file cannot be written.
        """
        own = [entry for entry in entries if entry.file == self.own]
        if not own:
            for entry in entries[:1]:
                self.add(entry.address, entry.identity, has_link2=True)
            return
        numbers = {entry.line for entry in own if not entry.has_link2}
        try:
            lines = _lines(self.own.read_bytes())
            self._replace([f"{line.rstrip()} {_LINK2}" if at in numbers else line for at, line in enumerate(lines, 1)])
        except OSError as error:
            raise self._unwritable(error) from error

    def forget(self, *addresses: str) -> list[Entry]:
        """Remove servers from our file.

        Args:
            addresses: numeric, with their ports.

        Returns:
            The removed entries.

        Raises:
            KeyFileError: the file cannot be written.
        """
        try:
            lines = _lines(self.own.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeyFileError(f"Cannot read '{self.own}': {reason_of(error)}.") from error
        gone = [entry for entry in parse_entries(lines, self.own) if entry.address in addresses]
        if not gone:
            return []
        numbers = {entry.line for entry in gone}
        try:
            self._replace([line for number, line in enumerate(lines, 1) if number not in numbers])
        except OSError as error:
            raise self._unwritable(error) from error
        return gone

    def _replace(self, lines: Sequence[str]) -> None:
        temporary = self.own.with_name(self.own.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in lines)
        temporary.replace(self.own)

    def _append(self, line: str) -> None:
        try:
            self.own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(self.own, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+") as file:
                if encoding_of(file.read(4))[1] != "utf-8":  # saved so by an editor; a UTF-8 line would be unreadable
                    self._replace([*_lines(self.own.read_bytes()), line.rstrip("\n")])
                    return
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        line = "\n" + line
                file.write(line.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> KeyFileError:
        return KeyFileError(f"Cannot write '{self.own}': {reason_of(error)}.")


def _lines(data: bytes) -> list[str]:
    """The lines of a file.  Broken comments are accepted, or a known server would look like a new one."""
    try:
        text = decode_text(data, errors="surrogateescape")
    except ValueError:
        text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").split("\n") if text else []


def parse_entries(lines: Iterable[str], file: Path) -> Iterator[Entry]:
    """The entries among the lines of a file."""
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
        comment = words[_WORDS].split() if len(words) > _WORDS else []
        names = [found[1] for word in comment if (found := _NAME.fullmatch(word))]
        is_none = words[1] == _NO_IDENTITY
        identity = None if is_none else key
        yield Entry(words[0], identity, file, number, names[0] if names else "", _LINK2 in comment)
