"""Joining and leaving a session (docs/protocol/discovery.md#joining)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery.layout import (
    ADDRESS,
    FLAG,
    ID,
    KEY,
    NAME,
    NO_ID,
    SIGNATURE,
    U8,
    U16,
    U64,
    FixedMessage,
    Layout,
    prose,
    secret,
)
from teleglyph.wire.discovery.messages.sessions import NO_KEY, NO_SIGNATURE, DiscoveryCode, SessionType, require_name


@dataclass(frozen=True, slots=True)
class SessionJoin(FixedMessage):
    """Joins a session.

    Attributes:
        identity: the joiner's Ed25519 key; zeros for none.
        signature: of :func:`teleglyph.wire.discovery.signatures.signed_text`.
        timestamp: Unix time in milliseconds.
        password: readable by the service, so our programs send none.
    """

    type: ClassVar = PacketType.SESSION_JOIN
    layout: ClassVar = Layout(
        type,
        name=NAME,
        identity=KEY,
        signature=SIGNATURE,
        timestamp=U64,
        has_password=FLAG,
        password=secret(128),
    )
    name: str
    identity: bytes = NO_KEY
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0
    has_password: bool = False
    password: str = field(default="", repr=False)

    def check(self) -> None:
        require_name(self.layout, self.name)


@dataclass(frozen=True, slots=True)
class SessionJoined(FixedMessage):
    """The answer to :class:`SessionJoin`.

    Attributes:
        error_code: a :class:`DiscoveryCode`, or 64 for a request with a wrong time or signature.
        error: for people; empty on success.
        initiator_id: the first participant.
        has_host: there is a host, whose id is ``host_id``.
        peers: participants that joined before.
        session_type, address, port, turn_username, turn_password: zero unless this joiner may see the host's address.
    """

    type: ClassVar = PacketType.SESSION_JOINED
    layout: ClassVar = Layout(
        type,
        success=FLAG,
        error_code=U8,
        error=prose(128),
        participant_id=ID,
        session_id=ID,
        initiator_id=ID,
        has_host=FLAG,
        host_id=ID,
        peers=U8,
        session_type=U8,
        address=ADDRESS,
        port=U16,
        turn_username=secret(128),
        turn_password=secret(128),
    )
    success: bool
    error_code: int = DiscoveryCode.NONE
    error: str = ""
    participant_id: bytes = NO_ID
    session_id: bytes = NO_ID
    initiator_id: bytes = NO_ID
    has_host: bool = False
    host_id: bytes = NO_ID
    peers: int = 0
    session_type: int = SessionType.TCP
    address: str = ""
    port: int = 0
    turn_username: str = ""
    turn_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SessionLeave(FixedMessage):
    """A participant leaves."""

    type: ClassVar = PacketType.SESSION_LEAVE
    layout: ClassVar = Layout(type, session_id=ID, participant_id=ID)
    session_id: bytes
    participant_id: bytes


@dataclass(frozen=True, slots=True)
class SessionReconnect(FixedMessage):
    """A participant takes its place again after its connection was lost.

    Attributes:
        signature: by the key with which it joined or created the session.
        timestamp: Unix time in milliseconds.
    """

    type: ClassVar = PacketType.SESSION_RECONNECT
    layout: ClassVar = Layout(type, session_id=ID, participant_id=ID, signature=SIGNATURE, timestamp=U64)
    session_id: bytes
    participant_id: bytes
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0
