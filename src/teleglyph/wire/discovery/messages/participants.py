"""Participants of a session, and the one that hosts it (docs/protocol/discovery.md#participants)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery.layout import (
    ADDRESS,
    FLAG,
    ID,
    KEY,
    U8,
    U16,
    U16_BE,
    U32,
    U64,
    FixedMessage,
    Layout,
)


class HostConnection(enum.IntEnum):
    """How a host can be reached."""

    DIRECT = 0
    UPNP = 1
    STUN = 2
    TURN = 3


class LossReason(enum.IntEnum):
    """Why a participant lost its host."""

    UNKNOWN = 0
    TIMEOUT = 1
    RESET = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class ParticipantJoined(FixedMessage):
    """Somebody joined.

    Attributes:
        identity: their Ed25519 key; zeros for none.
        participants: including them.
    """

    type: ClassVar = PacketType.PARTICIPANT_JOINED
    layout: ClassVar = Layout(type, session_id=ID, participant_id=ID, identity=KEY, participants=U8)
    session_id: bytes
    participant_id: bytes
    identity: bytes
    participants: int


@dataclass(frozen=True, slots=True)
class ParticipantLeft(FixedMessage):
    """Somebody left.

    Attributes:
        participants: those that are left.
    """

    type: ClassVar = PacketType.PARTICIPANT_LEFT
    layout: ClassVar = Layout(type, session_id=ID, participant_id=ID, was_host=FLAG, participants=U8)
    session_id: bytes
    participant_id: bytes
    was_host: bool
    participants: int


@dataclass(frozen=True, slots=True)
class ListedParticipant:
    """One participant in :class:`ParticipantList`."""

    participant_id: bytes
    address: str
    port: int
    connection: int


@dataclass(frozen=True, slots=True)
class ParticipantList(Message):
    """All participants."""

    type: ClassVar = PacketType.PARTICIPANT_LIST
    layout: ClassVar = Layout(type, session_id=ID, count=U8)
    entry: ClassVar = Layout(type, participant_id=ID, address=ADDRESS, port=U16, connection=U8)
    session_id: bytes
    participants: tuple[ListedParticipant, ...] = ()

    @property
    def count(self) -> int:
        """Number of participants."""
        return len(self.participants)

    def encode_payload(self) -> bytes:
        return self.layout.pack(self) + b"".join(map(self.entry.pack, self.participants))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        start, size = cls.layout.size, cls.entry.size
        end = start + values["count"] * size
        if len(payload) != end:
            raise ProtocolError(f"PARTICIPANT_LIST payload size {len(payload)} (expected {end})")
        entries = (ListedParticipant(**cls.entry.unpack(payload[at : at + size])) for at in range(start, end, size))
        return cls(values["session_id"], tuple(entries))


@dataclass(frozen=True, slots=True)
class NetworkQuality(FixedMessage):
    """How well a participant could host.

    Attributes:
        nat_type: 0 open, 1 full cone, 2 restricted, 3 port-restricted, 4 symmetric.
        stun_round_trip, service_round_trip, jitter: in nanoseconds.
        upload, download: in kbit/s.
        loss: in percent.
        candidates: bits: 1 host, 2 server-reflexive, 4 relayed.
    """

    type: ClassVar = PacketType.NETWORK_QUALITY
    layout: ClassVar = Layout(
        type,
        session_id=ID,
        participant_id=ID,
        has_public_address=FLAG,
        has_upnp=FLAG,
        upnp_port=U16_BE,
        nat_type=U8,
        is_on_lan=FLAG,
        stun_round_trip=U32,
        upload=U32,
        download=U32,
        service_round_trip=U32,
        jitter=U32,
        loss=U8,
        public_address=ADDRESS,
        public_port=U16,
        candidates=U8,
    )
    session_id: bytes
    participant_id: bytes
    has_public_address: bool = False
    has_upnp: bool = False
    upnp_port: int = 0
    nat_type: int = 4
    is_on_lan: bool = False
    stun_round_trip: int = 0
    upload: int = 0
    download: int = 0
    service_round_trip: int = 0
    jitter: int = 0
    loss: int = 0
    public_address: str = ""
    public_port: int = 0
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class HostAnnouncement(FixedMessage):
    """A participant says that it hosts the call.

    Attributes:
        connection: a :class:`HostConnection`.
    """

    type: ClassVar = PacketType.HOST_ANNOUNCEMENT
    layout: ClassVar = Layout(type, session_id=ID, host_id=ID, address=ADDRESS, port=U16, connection=U8)
    session_id: bytes
    host_id: bytes
    address: str
    port: int
    connection: int = HostConnection.DIRECT


@dataclass(frozen=True, slots=True)
class HostDesignated(FixedMessage):
    """The service tells everybody about the host; the attributes are those of :class:`HostAnnouncement`."""

    type: ClassVar = PacketType.HOST_DESIGNATED
    layout: ClassVar = Layout(type, session_id=ID, host_id=ID, address=ADDRESS, port=U16, connection=U8)
    session_id: bytes
    host_id: bytes
    address: str
    port: int
    connection: int = HostConnection.DIRECT


@dataclass(frozen=True, slots=True)
class HostLost(FixedMessage):
    """A participant cannot reach the host any more.

    Attributes:
        reporter_id: that participant.
        reason: a :class:`LossReason`.
        lost_at: Unix time in milliseconds.
    """

    type: ClassVar = PacketType.HOST_LOST
    layout: ClassVar = Layout(type, session_id=ID, reporter_id=ID, host_id=ID, reason=U32, lost_at=U64)
    session_id: bytes
    reporter_id: bytes
    host_id: bytes
    reason: int = LossReason.UNKNOWN
    lost_at: int = 0
