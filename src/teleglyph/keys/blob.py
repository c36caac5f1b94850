"""The length-prefixed fields of OpenSSH's key files and of its agent (RFC 4251 section 5, PROTOCOL.key)."""

from __future__ import annotations

import struct

ED25519 = b"ssh-ed25519"
KEY_SIZE = 32


def printable(text: str | bytes) -> str:
    """Untrusted text for an error message: at most 40 printable characters."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    return "".join(char if char.isprintable() else "?" for char in text[:40])


class FieldReader:
    """Reads fields from the front of some bytes.

    Every method raises ValueError when there are fewer bytes than it needs.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def rest(self) -> int:
        """Number of unread bytes."""
        return len(self._data) - self._place

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.rest:
            raise ValueError(f"a field of {count} bytes begins where only {self.rest} are left")
        self._place += count
        return self._data[self._place - count : self._place]

    def number(self) -> int:
        """A number of 4 bytes."""
        return int.from_bytes(self.read(4), "big")

    def string(self) -> bytes:
        """A length-prefixed string."""
        return self.read(self.number())


def pack_string(data: bytes) -> bytes:
    """A length-prefixed string."""
    return struct.pack(">I", len(data)) + data


def pack_public_key(key: bytes) -> bytes:
    """OpenSSH's encoding of an Ed25519 public key, 51 bytes."""
    return pack_string(ED25519) + pack_string(key)


def parse_public_key(blob: bytes) -> bytes:
    """The 32 bytes of an Ed25519 key.

    Raises:
        ValueError: it is not an Ed25519 key, or more bytes follow.
    """
    reader = FieldReader(blob)
    try:
        kind, key = reader.string(), reader.string()
    except ValueError:
        raise ValueError("it is not an Ed25519 key") from None
    if kind != ED25519 or len(key) != KEY_SIZE or reader.rest:
        raise ValueError("it is not an Ed25519 key")
    return key
