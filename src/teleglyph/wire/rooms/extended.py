"""The WebSocket sub-protocol ``teleglyph.rooms.1`` (docs/protocol/rooms.md#teleglyphrooms1).

It adds to the messages of :mod:`teleglyph.wire.rooms.messages`.  The number in its name is the version: a relay chooses
one that it knows, or none.
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
    """First bytes of the added messages.  Each has one direction, or the same meaning in both."""

    HELLO = 7
    """To a player, before anything else: version (1 byte), challenge (32)."""
    ONLY_FOR = 8
    """From the host: number (2), then a change, state or reset for that guest alone."""
    TOKEN_KEPT = 9
    """From a player: the token of the last reply is stored, so the one before may expire."""
    IDLE = 10
    """To a player after a silence: seconds (2) until the next message at the latest.  From a player: the answer."""
    IDENTITY = 11
    """To the host, before a player is announced: number (2), the proven Ed25519 key (32)."""
    KEPT = 12
    """To a player that asked for it: number (2), milliseconds (4) for which the seat of that player is kept.  The
    player's own number, directly after the reply, gives the grace period.  Another number: that player's connection is
    lost, or with 0 ms it is back."""


class CloseCode(enum.IntEnum):
    """Why a connection ends, in the close frame.  After 4007 and 4008 a client should return."""

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
    ABSENCES = 4
    CHOSEN = 8


@dataclass(frozen=True, slots=True)
class JoinExtras:
    """The fields that follow a join request.

    Attributes:
        is_public: the new room may be listed.
        rotates: the seat gets a new token with each return.
        key, signature: the Ed25519 identity that the player claims, and its proof; both empty without one.
        wants_absences: the player wants KEPT messages.
        chosen: a token that the player made: 64 random bits.  It opens a new seat until the player confirms the relay's
            own token, so a player that vanishes before the reply can return.
    """

    is_public: bool = False
    rotates: bool = False
    key: bytes = b""
    signature: bytes = b""
    wants_absences: bool = False
    chosen: int | None = None

    def encode(self) -> bytes:
        """The bytes that follow the request's."""
        chosen_flags = (
            (_Flags.PUBLIC, self.is_public),
            (_Flags.ROTATE, self.rotates),
            (_Flags.ABSENCES, self.wants_absences),
            (_Flags.CHOSEN, self.chosen is not None),
        )
        flags = sum(flag for flag, is_set in chosen_flags if is_set)
        proof = b"\1" + self.key + self.signature if self.key else b"\0"
        return bytes([flags]) + proof + (b"" if self.chosen is None else _CHOSEN.pack(self.chosen))

    @classmethod
    def decode(cls, data: bytes) -> tuple[JoinRequest, JoinExtras]:
        """Decode a request and its extras.  Unknown flags and bytes after the extras are ignored.

        Raises:
            ProtocolError: the request is malformed.
        """
        reader = RequestReader(data)
        request = JoinRequest.read(reader)
        flags = reader.read(1)[0]
        extras = cls(
            bool(flags & _Flags.PUBLIC), bool(flags & _Flags.ROTATE), wants_absences=bool(flags & _Flags.ABSENCES)
        )
        if reader.flag():
            extras = replace(extras, key=reader.read(KEY_SIZE), signature=reader.read(SIGNATURE_SIZE))
        if flags & _Flags.CHOSEN:
            extras = replace(extras, chosen=_CHOSEN.unpack(reader.read(_CHOSEN.size))[0])
        return request, extras

    def verify(self, request: JoinRequest, host: str, challenge: bytes) -> None:
        """Verify the signature.

        Args:
            request: the request that these extras follow.
            host: the ``Host`` header that the player signed.
            challenge: the relay's challenge.

        Raises:
            VerificationError: the owner of the key did not sign this.
        """
        verify_signature(self.key, signed_claim(request, host, challenge), self.signature)


def claim_identity(extras: JoinExtras, identity: Identity, request: JoinRequest, host: str, hello: bytes) -> JoinExtras:
    """The same extras with a proof of our identity.

    Args:
        extras: without a proof.
        identity: that proves it.
        request: that the extras go with.
        host: the relay's name, as we dialled it.
        hello: the relay's first message.

    Raises:
        ProtocolError: ``hello`` has another version, or is malformed.
    """
    signature = identity.sign(signed_claim(request, host, decode_hello(hello)))
    return replace(extras, key=identity.public_key, signature=signature)


def signed_claim(request: JoinRequest, host: str, challenge: bytes) -> bytes:
    """The signed bytes.

    They are longer than the 32 bytes that are signed in calls, so neither signature is valid for the other.  They name
    the host, so a hostile relay cannot use the signature elsewhere.
    """
    names = [SUBPROTOCOL, host.lower(), request.game, request.room]
    return b"".join(len(name).to_bytes(2, "big") + name for name in (text.encode() for text in names)) + challenge


def encode_hello(challenge: bytes) -> bytes:
    """The relay's first message."""
    return bytes([Extended.HELLO, VERSION]) + challenge


def decode_hello(message: bytes) -> bytes:
    """The challenge of the relay's first message.

    Raises:
        ProtocolError: it has another version, or is malformed.
    """
    if len(message) != 2 + CHALLENGE_SIZE or message[:2] != bytes([Extended.HELLO, VERSION]):
        raise ProtocolError("The relay's first message is not a HELLO of teleglyph.rooms.1.")
    return message[2:]


def only_for(player: int, message: bytes) -> bytes:
    """From the host: a change, state or reset for one guest."""
    return _PLAYER.pack(Extended.ONLY_FOR, player) + message


def decode_only_for(message: bytes) -> tuple[int, bytes] | None:
    """The guest and the message for it; None if it is malformed."""
    inner = message[_PLAYER.size :]
    if not inner or inner[0] not in (FromHost.DELTA, FromHost.FULL, FromHost.RESET):
        return None
    return int.from_bytes(message[1:3], "big"), inner


def player_is(player: int, key: bytes) -> bytes:
    """To the host: the key that a player proved."""
    return _PLAYER.pack(Extended.IDENTITY, player) + key


def encode_idle(seconds: int) -> bytes:
    """To a player: the next message comes within this time."""
    return _IDLE.pack(Extended.IDLE, seconds)


def seat_kept(player: int, seconds: float) -> bytes:
    """To a player that asked for it: how long a seat is kept; 0 if its player is back."""
    return _KEPT.pack(Extended.KEPT, player, min(round(seconds * 1000), 0xFFFF_FFFF))


def decode_seat_kept(message: bytes) -> tuple[int, float]:
    """The player's number and the seconds.

    Raises:
        ProtocolError: the message has a wrong size.
    """
    if len(message) != _KEPT.size:
        raise ProtocolError(f"A KEPT message has {_KEPT.size} bytes, not {len(message)}.")
    _, player, milliseconds = _KEPT.unpack(message)
    return player, milliseconds / 1000


TOKEN_KEPT: Final = bytes([Extended.TOKEN_KEPT])
STILL_HERE: Final = bytes([Extended.IDLE])
