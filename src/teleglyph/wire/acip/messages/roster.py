"""Who is in the call and where their pictures are on the viewer's screen (docs/protocol/page.md#roster)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_text
from teleglyph.wire.acip.packet_type import PacketType

MAX_ENTRIES = 255
"""Participants in a roster."""
MAX_ROSTER_NAME = 128
"""Bytes of a name."""

_COUNT = struct.Struct(">B")
_ENTRY = struct.Struct(">IBBHHHHB")


class RosterFlag(enum.IntFlag):
    """What a participant does."""

    SELF = 0x01
    """It is the receiver of the roster."""
    PICTURE = 0x02
    """It sends pictures."""
    SPEAKING = 0x04
    """It speaks at the moment."""
    FROZEN = 0x08
    """Its picture has not changed for a while although it is on."""
    LISTENING = 0x10
    """Its sound is on: it hears the others, and may be heard."""
    VIEW_ONLY = 0x20
    """It may only watch and listen."""


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One participant.

    Attributes:
        number: unique in the server; it never changes while the participant stays.
        flags: bits of :class:`RosterFlag`.
        place: of the grid, for VIEW_SETTINGS; 0 if it has none.
        x, y, columns, rows: the part of the screen with its picture, in cells; all 0 if it is not shown.
        name: for people.
    """

    number: int
    flags: int
    place: int
    x: int
    y: int
    columns: int
    rows: int
    name: str


@dataclass(frozen=True, slots=True)
class Roster(Message):
    """All participants in order of joining, the receiver included.

    Attributes:
        entries: the participants; at most 255 are sent.
    """

    type: ClassVar = PacketType.ROSTER
    entries: tuple[RosterEntry, ...]

    def encode_payload(self) -> bytes:
        entries = self.entries[:MAX_ENTRIES]
        parts = [_COUNT.pack(len(entries))]
        for one in entries:
            name = clip_text(one.name, MAX_ROSTER_NAME)
            head = _ENTRY.pack(one.number, one.flags, one.place, one.x, one.y, one.columns, one.rows, len(name))
            parts += head, name
        return b"".join(parts)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if not payload:
            raise ProtocolError("ROSTER payload size 0 (at least 1)")
        entries: list[RosterEntry] = []
        offset = _COUNT.size
        for number in range(payload[0]):
            if offset + _ENTRY.size > len(payload):
                raise ProtocolError(f"ROSTER payload size too small: it ends inside entry {number} of {payload[0]}")
            participant, flags, place, x, y, columns, rows, size = _ENTRY.unpack_from(payload, offset)
            offset += _ENTRY.size
            name = payload[offset : offset + size]
            offset += size
            if len(name) != size or size > MAX_ROSTER_NAME:
                raise ProtocolError(f"ROSTER entry {number} has a name of {size} bytes, but {len(name)} follow")
            entries.append(RosterEntry(participant, flags, place, x, y, columns, rows, decode_text(name)))
        if offset != len(payload):
            raise ProtocolError(
                f"ROSTER payload size too large: {len(payload) - offset} bytes follow its {payload[0]} entries"
            )
        return cls(tuple(entries))
