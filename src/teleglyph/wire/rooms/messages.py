"""The room relay's messages (spec rooms 2 to 5): postcard for the join request, one byte and a body for the rest.

One WebSocket message is one of these; there is no length and no version.  The same number means different things in
different directions, so there is an enumeration for each.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from teleglyph.errors import ProtocolError

MAX_PLAYER_ID: Final = 65_435
"""The highest id that is ever given."""
_ERROR, _REPLY = 5, 6
_ID = struct.Struct(">BH")
_REPLY_FORMAT = struct.Struct(">BHHQ")
_U16_LAST, _U64_LAST = 0x03, 0x01


class FromHost(enum.IntEnum):
    """What a host may say."""

    END = 0
    KICK = 1
    DELTA = 2
    FULL = 3
    RESET = 4


class FromGuest(enum.IntEnum):
    """What a guest may say."""

    RPC = 2
    LEAVE = 3


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """The first binary message of a player.

    Attributes:
        game: must be known to the relay.
        room: chosen by the host.
        variation: of the rules, 0 to 65535; used when the room is made.
        create: make the room; without effect if there is a token.
        token: takes an earlier seat again, 64 bits; None asks for a new one.
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
        """Read a request; bytes behind it are ignored, as postcard does.

        Raises:
            ProtocolError: it is none.
        """
        return cls.read(RequestReader(data))

    @classmethod
    def read(cls, reader: RequestReader) -> JoinRequest:
        """Read the five fields, and leave what stands behind them; raises as :meth:`decode`."""
        game, room = reader.text(), reader.text()
        variation = reader.varint(3, _U16_LAST)
        create = reader.flag()
        token = reader.varint(10, _U64_LAST) if reader.flag() else None
        return cls(game, room, variation, create, token)


@dataclass(frozen=True, slots=True)
class JoinReply:
    """What a player gets that was let in.

    Attributes:
        player: its id; 0 is the host.
        variation: the room's.
        token: to take this seat again, 64 bits.
    """

    player: int
    variation: int
    token: int

    def encode(self) -> bytes:
        """13 bytes."""
        return _REPLY_FORMAT.pack(_REPLY, self.player, self.variation, self.token)

    @classmethod
    def decode(cls, data: bytes) -> JoinReply:
        """Read a reply.

        Raises:
            ProtocolError: it is none.
        """
        if len(data) != _REPLY_FORMAT.size or data[0] != _REPLY:
            raise ProtocolError(f"{len(data)} bytes are no reply to a join request")
        return cls(*_REPLY_FORMAT.unpack(data)[1:])


def encode_error(text: str) -> bytes:
    """The last message of every connection."""
    return bytes([_ERROR]) + text.encode()


def decode_error(data: bytes) -> str | None:
    """The text of an error message; None if it is another one."""
    return data[1:].decode("utf-8", "replace") if data[:1] == bytes([_ERROR]) else None


def player_came(player: int) -> bytes:
    """To the host: NEW_CLIENT."""
    return _ID.pack(0, player)


def player_left(player: int) -> bytes:
    """To the host: CLIENT_DISCONNECTS."""
    return _ID.pack(1, player)


def rpc_from(player: int, message: bytes) -> bytes:
    """To the host: a guest's SERVER_RPC, with the guest's id put in behind its first byte."""
    return _ID.pack(FromGuest.RPC, player) + message[1:]


def kick(player: int) -> bytes:
    """From the host: CLIENT_GETS_KICKED."""
    return _ID.pack(FromHost.KICK, player)


def kicked_player(message: bytes) -> int | None:
    """Whom a kick means; None if it is too short to say."""
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
    """Takes postcard's values from the front of some bytes; every method raises ProtocolError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> bytes:
        """So many bytes."""
        if count > len(self._data) - self._place:
            raise ProtocolError(f"the join request ends after {len(self._data)} bytes, in the middle of a value")
        self._place += count
        return self._data[self._place - count : self._place]

    def varint(self, longest: int, last: int) -> int:
        """A number of at most ``longest`` bytes, the last of which is at most ``last`` if all are there."""
        value = 0
        for number in range(longest):
            byte = self.take(1)[0]
            if number == longest - 1 and byte > last:
                break
            value |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                return value
        raise ProtocolError("a number in the join request is too large")

    def flag(self) -> bool:
        """A byte that is 0 or 1."""
        byte = self.take(1)[0]
        if byte > 1:
            raise ProtocolError(f"a flag in the join request is {byte}")
        return bool(byte)

    def text(self) -> str:
        """A string with its length in bytes in front."""
        data = self.take(self.varint(10, _U64_LAST))
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ProtocolError("a name in the join request is no UTF-8") from None
