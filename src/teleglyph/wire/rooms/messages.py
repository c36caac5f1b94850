"""The messages of the room relay (docs/protocol/rooms.md).

The join request is in postcard; all others are one byte and a body.  Each is one WebSocket message, without length or
version.  A first byte has another meaning in each direction, so each direction has an enumeration.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from teleglyph.errors import ProtocolError

MAX_PLAYER_ID: Final = 65_435
"""The highest number that a player can get."""
_ERROR, _REPLY = 5, 6
_ID = struct.Struct(">BH")
_REPLY_FORMAT = struct.Struct(">BHHQ")
_U16_LAST, _U64_LAST = 0x03, 0x01


class FromHost(enum.IntEnum):
    """First bytes of a host's messages."""

    END = 0
    KICK = 1
    DELTA = 2
    FULL = 3
    RESET = 4


class FromGuest(enum.IntEnum):
    """First bytes of a guest's messages."""

    RPC = 2
    LEAVE = 3


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """The first binary message of a player.

    Attributes:
        game: must be known to the relay.
        room: chosen by the host.
        variation: of the rules, 0 to 65535; used when the room is made.
        create: make the room; ignored with a token.
        token: reclaims an earlier seat, 64 bits; None for a new seat.
    """

    game: str
    room: str
    variation: int = 0
    create: bool = False
    token: int | None = None

    def encode(self) -> bytes:
        """The request's bytes."""
        parts = [_encode_text(self.game), _encode_text(self.room), _encode_varint(self.variation)]
        parts.append(bytes([self.create]))
        parts.append(b"\0" if self.token is None else b"\1" + _encode_varint(self.token))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> JoinRequest:
        """Decode a request.  Bytes after it are ignored, as in postcard.

        Raises:
            ProtocolError: it is malformed.
        """
        return cls.read(RequestReader(data))

    @classmethod
    def read(cls, reader: RequestReader) -> JoinRequest:
        """Read the five fields only; raises as :meth:`decode`."""
        game, room = reader.text(), reader.text()
        variation = reader.varint(3, _U16_LAST)
        create = reader.flag()
        token = reader.varint(10, _U64_LAST) if reader.flag() else None
        return cls(game, room, variation, create, token)


@dataclass(frozen=True, slots=True)
class JoinReply:
    """The reply to a player that was admitted.

    Attributes:
        player: its number; 0 is the host.
        variation: the room's.
        token: to reclaim this seat, 64 bits.
    """

    player: int
    variation: int
    token: int

    def encode(self) -> bytes:
        """13 bytes."""
        return _REPLY_FORMAT.pack(_REPLY, self.player, self.variation, self.token)

    @classmethod
    def decode(cls, data: bytes) -> JoinReply:
        """Decode a reply.

        Raises:
            ProtocolError: it is malformed.
        """
        if len(data) != _REPLY_FORMAT.size or data[0] != _REPLY:
            raise ProtocolError(f"A message of {len(data)} bytes is not a reply to a join request.")
        return cls(*_REPLY_FORMAT.unpack(data)[1:])


def encode_error(text: str) -> bytes:
    """The last message of every connection."""
    return bytes([_ERROR]) + text.encode()


def decode_error(data: bytes) -> str | None:
    """The text of an error message; None for other messages."""
    return data[1:].decode("utf-8", "replace") if data[:1] == bytes([_ERROR]) else None


def player_came(player: int) -> bytes:
    """To the host: NEW_CLIENT."""
    return _ID.pack(0, player)


def player_left(player: int) -> bytes:
    """To the host: CLIENT_DISCONNECTS."""
    return _ID.pack(1, player)


def rpc_from(player: int, message: bytes) -> bytes:
    """To the host: a guest's SERVER_RPC, with the guest's number after its first byte."""
    return _ID.pack(FromGuest.RPC, player) + message[1:]


def kick(player: int) -> bytes:
    """From the host: CLIENT_GETS_KICKED."""
    return _ID.pack(FromHost.KICK, player)


def kicked_player(message: bytes) -> int | None:
    """The player to kick; None if the message is too short."""
    return int.from_bytes(message[1:3], "big") if len(message) >= _ID.size else None


def _encode_varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _encode_text(text: str) -> bytes:
    data = text.encode()
    return _encode_varint(len(data)) + data


class RequestReader:
    """Reads postcard values one after another; every method raises ProtocolError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self._data) - self._offset:
            raise ProtocolError(f"The join request ends after {len(self._data)} bytes, in the middle of a value.")
        self._offset += count
        return self._data[self._offset - count : self._offset]

    def varint(self, longest: int, last: int) -> int:
        """A number of at most ``longest`` bytes; if it has all of them, the last is at most ``last``."""
        value = 0
        for number in range(longest):
            byte = self.read(1)[0]
            if number == longest - 1 and byte > last:
                break
            value |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                return value
        raise ProtocolError("A number in the join request is too large.")

    def flag(self) -> bool:
        """A byte that is 0 or 1."""
        byte = self.read(1)[0]
        if byte > 1:
            raise ProtocolError(f"A flag in the join request is {byte}, not 0 or 1.")
        return bool(byte)

    def text(self) -> str:
        """A string, after its length in bytes."""
        data = self.read(self.varint(10, _U64_LAST))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ProtocolError("A name in the join request is not UTF-8.") from None
