"""Parts of varying size in a payload: lists and texts after their lengths (docs/protocol/discovery.md#fields)."""

from __future__ import annotations

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.packet_type import PacketType


class Reader:
    """Reads parts of varying size from a payload.

    Args:
        type: of the packet, for messages of errors.
        payload: all of it.
        offset: where to begin.
    """

    def __init__(self, type: PacketType, payload: bytes, offset: int = 0) -> None:
        self._type = type
        self._payload = payload
        self._offset = offset

    def take(self, size: int) -> bytes:
        """The next bytes.  Raises ProtocolError if they are missing."""
        end = self._offset + size
        if end > len(self._payload):
            raise ProtocolError(f"{self._type.name} payload size {len(self._payload)} (at least {end})")
        part, self._offset = self._payload[self._offset : end], end
        return part

    def number(self, size: int) -> int:
        """The next unsigned integer, little-endian."""
        return int.from_bytes(self.take(size), "little")

    def text(self, length_size: int, limit: int) -> str:
        """The next text, which follows its length.  Raises BadDataError unless it is UTF-8 without NUL."""
        length = self.number(length_size)
        if length > limit:
            raise ProtocolError(f"{self._type.name} has a text of {length} bytes (at most {limit})")
        return self.decode(self.take(length))

    def decode(self, data: bytes) -> str:
        """UTF-8 without NUL."""
        return decode_strict(self._type, data)

    def rest(self) -> bytes:
        """Everything that was not read."""
        return self.take(len(self._payload) - self._offset)

    def finish(self) -> None:
        """Raise ProtocolError if something was not read."""
        if self._offset != len(self._payload):
            raise ProtocolError(
                f"{self._type.name} payload size {len(self._payload)}: {len(self.rest())} bytes follow its end"
            )


def decode_strict(type: PacketType, data: bytes) -> str:
    """UTF-8 without NUL, or BadDataError."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadDataError(f"{type.name} has a text that is not UTF-8") from None
    if "\0" in text:
        raise BadDataError(f"{type.name} has a text with NUL")
    return text


def pack_text(text: str, length_size: int, limit: int) -> bytes:
    """A text after its length.  Raises ValueError if it is too long; the text may be secret and is not shown."""
    data = text.encode()
    if len(data) > limit:
        raise ValueError(f"a text of {len(data)} bytes (at most {limit})")
    return len(data).to_bytes(length_size, "little") + data
