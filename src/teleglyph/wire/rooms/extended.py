"""What programs get in addition that ask for the WebSocket sub-protocol ``teleglyph.rooms.1`` (docs/rooms.md).

Everything of :mod:`teleglyph.wire.rooms.messages` stays as it is.  The number in the name is the version: a relay
chooses one that it speaks, or none.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, replace
from typing import Final

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.primitives import Identity, verify_signature
from teleglyph.wire.rooms.messages import FromHost, JoinRequest, RequestReader

SUBPROTOCOL: Final = "teleglyph.rooms.1"
VERSION: Final = 1
CHALLENGE_SIZE: Final = 32
KEY_SIZE, SIGNATURE_SIZE = 32, 64
_IDLE = struct.Struct(">BH")
_PLAYER = struct.Struct(">BH")
_KEPT = struct.Struct(">BHI")
_CHOSEN = struct.Struct(">Q")


class Extended(enum.IntEnum):
    """First bytes that exist only here; each has one direction, or means the same in both."""

    HELLO = 7
    """To a player, before anything else: version (1), challenge (32)."""
    ONLY_FOR = 8
    """From the host: number (2), then a change, a state or a reset for that guest alone."""
    TOKEN_KEPT = 9
    """From a player: the token of the last reply is safe, the one before it may go."""
    IDLE = 10
    """To a player, when nothing was said for a while: seconds (2) after which the next message comes at the latest.
    From a player: the answer."""
    IDENTITY = 11
    """To the host, before a player is announced: number (2), the Ed25519 key (32) that the player proved."""
    KEPT = 12
    """To a player that asked for it: number (2), milliseconds (4) for which that player's seat is kept.  With the
    player's own number, directly after the reply: how long the relay keeps the seat of a lost connection.  With another
    number: that player's connection is lost; 0 ms mean that it is there again."""


class CloseCode(enum.IntEnum):
    """Why a connection ends, in the close frame; the text stands beside it.  From 4007 on coming back makes sense."""

    ENDED = 4000
    REFUSED = 4001
    ROOM_OVER = 4002
    KICKED = 4003
    TAKEN_OVER = 4004
    LEFT = 4005
    VIOLATION = 4006
    TOO_SLOW = 4007
    LOST = 4008


class _Flags(enum.IntFlag):
    PUBLIC = 1
    ROTATE = 2
    TOLD = 4
    CHOSEN = 8


@dataclass(frozen=True, slots=True)
class JoinExtras:
    """What stands behind the five fields of a join request.

    Attributes:
        is_public: the room that is made may be listed.
        rotates: the seat gets a new token with each return.
        key, signature: the Ed25519 identity that the player claims, and its proof; both empty without one.
        is_told: the player wants KEPT messages.
        chosen: a token that the player made up, 64 random bits.  It opens a new seat as well as the relay's own token
            does, until the player confirms that one, so a player that vanishes before the reply arrives can come back.
    """

    is_public: bool = False
    rotates: bool = False
    key: bytes = b""
    signature: bytes = b""
    is_told: bool = False
    chosen: int | None = None

    def encode(self) -> bytes:
        """The bytes behind the request's."""
        wishes = (
            (_Flags.PUBLIC, self.is_public),
            (_Flags.ROTATE, self.rotates),
            (_Flags.TOLD, self.is_told),
            (_Flags.CHOSEN, self.chosen is not None),
        )
        flags = sum(flag for flag, is_set in wishes if is_set)
        proof = b"\1" + self.key + self.signature if self.key else b"\0"
        return bytes([flags]) + proof + (b"" if self.chosen is None else _CHOSEN.pack(self.chosen))

    @classmethod
    def decode(cls, data: bytes) -> tuple[JoinRequest, JoinExtras]:
        """Read a request with its extras; unknown flags mean nothing, bytes behind are ignored.

        Raises:
            ProtocolError: it is none.
        """
        reader = RequestReader(data)
        request = JoinRequest.read(reader)
        flags = reader.take(1)[0]
        extras = cls(bool(flags & _Flags.PUBLIC), bool(flags & _Flags.ROTATE), is_told=bool(flags & _Flags.TOLD))
        if reader.flag():
            extras = replace(extras, key=reader.take(KEY_SIZE), signature=reader.take(SIGNATURE_SIZE))
        if flags & _Flags.CHOSEN:
            extras = replace(extras, chosen=_CHOSEN.unpack(reader.take(_CHOSEN.size))[0])
        return request, extras

    def prove(self, request: JoinRequest, host: str, challenge: bytes) -> None:
        """Check the claim of an identity.

        Args:
            request: that these extras stand behind.
            host: whom the player believes to speak with: its ``Host`` header.
            challenge: what the relay asked to be signed.

        Raises:
            VerificationError: the signature is not that of the key.
        """
        verify_signature(self.key, _claim(request, host, challenge), self.signature)


def claim_identity(extras: JoinExtras, identity: Identity, request: JoinRequest, host: str, hello: bytes) -> JoinExtras:
    """The same extras with a proof of who we are.

    Args:
        extras: without a proof.
        identity: that proves it.
        request: that the extras go with.
        host: the relay's name, as we dialled it.
        hello: the relay's first message.

    Raises:
        ProtocolError: that is none that we understand.
    """
    signature = identity.sign(_claim(request, host, decode_hello(hello)))
    return replace(extras, key=identity.public_key, signature=signature)


def _claim(request: JoinRequest, host: str, challenge: bytes) -> bytes:
    """What is signed: longer than the 32 bytes that are signed in calls, so that neither can stand for the other; and
    with the host's name, so that a hostile relay cannot use it elsewhere.
    """
    names = [SUBPROTOCOL, host.lower(), request.game, request.room]
    return b"".join(len(name).to_bytes(2, "big") + name for name in (text.encode() for text in names)) + challenge


def encode_hello(challenge: bytes) -> bytes:
    """The relay's first message."""
    return bytes([Extended.HELLO, VERSION]) + challenge


def decode_hello(message: bytes) -> bytes:
    """The challenge.

    Raises:
        ProtocolError: it is no greeting of a version that we speak.
    """
    if len(message) != 2 + CHALLENGE_SIZE or message[:2] != bytes([Extended.HELLO, VERSION]):
        raise ProtocolError("the relay does not greet as teleglyph.rooms.1 does")
    return message[2:]


def only_for(player: int, message: bytes) -> bytes:
    """From the host: a change, a state or a reset for one guest."""
    return _PLAYER.pack(Extended.ONLY_FOR, player) + message


def decode_only_for(message: bytes) -> tuple[int, bytes] | None:
    """The guest and what it gets; None if it is malformed."""
    inner = message[_PLAYER.size :]
    if not inner or inner[0] not in (FromHost.DELTA, FromHost.FULL, FromHost.RESET):
        return None
    return int.from_bytes(message[1:3], "big"), inner


def player_is(player: int, key: bytes) -> bytes:
    """To the host: who a player proved to be."""
    return _PLAYER.pack(Extended.IDENTITY, player) + key


def encode_idle(seconds: int) -> bytes:
    """To a player: nothing happens; the next sign of life comes within so many seconds."""
    return _IDLE.pack(Extended.IDLE, seconds)


def seat_kept(player: int, seconds: float) -> bytes:
    """To a player that asked for it: for how long a seat is kept; 0 if its player is there."""
    return _KEPT.pack(Extended.KEPT, player, min(round(seconds * 1000), 0xFFFF_FFFF))


def decode_seat_kept(message: bytes) -> tuple[int, float]:
    """The player's number and the seconds.

    Raises:
        ProtocolError: the message has another length.
    """
    if len(message) != _KEPT.size:
        raise ProtocolError(f"A message about a kept seat has {_KEPT.size} bytes, not {len(message)}.")
    _, player, milliseconds = _KEPT.unpack(message)
    return player, milliseconds / 1000


TOKEN_KEPT: Final = bytes([Extended.TOKEN_KEPT])
STILL_HERE: Final = bytes([Extended.IDLE])
