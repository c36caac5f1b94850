"""The length-prefixed fields of OpenSSH's key files and of its agent (RFC 4251 section 5, PROTOCOL.key)."""

from __future__ import annotations

import struct

ED25519 = b"ssh-ed25519"
KEY_SIZE = 32


def printable(text: str | bytes) -> str:
    """Something from outside, short and harmless enough for a message to a person."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    return "".join(char if char.isprintable() else "?" for char in text[:40])


class FieldReader:
    """Takes fields from the front of some bytes.

    Every method raises ValueError when there are fewer bytes than it needs.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def rest(self) -> int:
        """Bytes that were not taken."""
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if count > self.rest:
            raise ValueError(f"{count} bytes are announced where {self.rest} are left")
        self._place += count
        return self._data[self._place - count : self._place]

    def number(self) -> int:
        """A number of 4 bytes."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """A string with its length in front."""
        return self.take(self.number())


def pack_string(data: bytes) -> bytes:
    """A string with its length in front."""
    return struct.pack(">I", len(data)) + data


def pack_public_key(key: bytes) -> bytes:
    """The 51 bytes that OpenSSH knows an Ed25519 key by."""
    return pack_string(ED25519) + pack_string(key)


def parse_public_key(blob: bytes) -> bytes:
    """The 32 bytes of an Ed25519 key.

    Raises:
        ValueError: it is not such a key, or there is more.
    """
    reader = FieldReader(blob)
    try:
        kind, key = reader.string(), reader.string()
    except ValueError:
        raise ValueError("it is not an Ed25519 key") from None
    if kind != ED25519 or len(key) != KEY_SIZE or reader.rest:
        raise ValueError("it is not an Ed25519 key")
    return key
