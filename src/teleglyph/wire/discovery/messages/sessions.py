"""Sessions of a discovery service: creating, finding and ending them (docs/protocol/discovery.md#sessions)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError, SessionNameError
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
    pack_name,
    prose,
    secret,
    unpack_name,
)

NO_KEY, NO_SIGNATURE = bytes(32), bytes(64)
MAX_PARTICIPANTS = 32
"""Participants that SESSION_CREATE may ask for."""
MAX_KEYS = 32
"""Packets of a SESSION_CREATE with several keys."""


class Capability(enum.IntFlag):
    """What a session offers."""

    VIDEO = 0x01
    AUDIO = 0x02
    RENDEZVOUS = 0x04
    """The host answers rendezvous messages, and checks passwords and keys itself."""


class SessionType(enum.IntEnum):
    """How ascii-chat's programs reach the host."""

    TCP = 0
    WEBRTC = 1


class DiscoveryCode(enum.IntEnum):
    """Error codes inside the messages of a discovery service (docs/protocol/discovery.md#error-codes)."""

    NONE = 0
    SESSION_NOT_FOUND = 1
    SESSION_FULL = 2
    WRONG_PASSWORD = 3
    INVALID_SIGNATURE = 4
    RATE_LIMITED = 5
    NAME_TAKEN = 6
    INVALID_NAME = 7
    INTERNAL = 255


@dataclass(frozen=True, slots=True)
class SessionCreate(FixedMessage):
    """A host registers a session.

    Attributes:
        identity: the host's Ed25519 key; zeros for none.
        signature: of :func:`teleglyph.wire.discovery.signatures.signed_text`.
        timestamp: Unix time in milliseconds.
        capabilities: bits of :class:`Capability`.
        max_participants: 1 to 32.
        session_type: a :class:`SessionType`.
        password_hash: of Argon2id as text; empty for none.
        expose_address: everybody who joins may see the address.
        total_keys, key_index: for hosts with several keys, one packet each; 0 for one key.
        address: of the host; empty for the one that it connects from.
        port: of the host; not 0 with :attr:`SessionType.TCP`.
        wanted_name: the session's name; empty if the service may choose it.
    """

    type: ClassVar = PacketType.SESSION_CREATE
    layout: ClassVar = Layout(
        type,
        identity=KEY,
        signature=SIGNATURE,
        timestamp=U64,
        capabilities=U8,
        max_participants=U8,
        session_type=U8,
        has_password=FLAG,
        password_hash=secret(128),
        expose_address=FLAG,
        name_length=U8,
        total_keys=U8,
        key_index=U8,
        address=ADDRESS,
        port=U16,
    )
    identity: bytes = NO_KEY
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0
    capabilities: int = Capability.VIDEO | Capability.AUDIO
    max_participants: int = 8
    session_type: int = SessionType.TCP
    has_password: bool = False
    password_hash: str = field(default="", repr=False)
    expose_address: bool = False
    total_keys: int = 0
    key_index: int = 0
    address: str = ""
    port: int = 0
    wanted_name: str = ""

    @property
    def name_length(self) -> int:
        """Bytes of the wanted name."""
        return len(self.wanted_name)

    def encode_payload(self) -> bytes:
        return self.layout.pack(self) + pack_name(self.wanted_name)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        name, length = payload[cls.layout.size :], values.pop("name_length")
        # ascii-chat's client announces a name, but does not send it.
        if length and not name:
            raise SessionNameError(f"SESSION_CREATE announces a name of {length} bytes, but has none")
        if length != len(name):
            raise ProtocolError(f"SESSION_CREATE announces a name of {length} bytes, but has {len(name)}")
        message = cls(**values, wanted_name=unpack_name(name))
        message.check()
        return message

    def check(self) -> None:
        if not 1 <= self.max_participants <= MAX_PARTICIPANTS:
            raise self.layout.fault(f"max participants {self.max_participants} (expected 1-{MAX_PARTICIPANTS})")
        if self.session_type not in tuple(SessionType):
            raise self.layout.fault(f"session type {self.session_type} (expected 0 or 1)")
        if self.session_type == SessionType.TCP and not self.port:
            raise self.layout.fault("port 0 for a session over TCP")
        if self.total_keys > MAX_KEYS or self.key_index >= max(self.total_keys, 1):
            raise self.layout.fault(f"key {self.key_index} of {self.total_keys} (at most {MAX_KEYS})")


@dataclass(frozen=True, slots=True)
class SessionLookup(FixedMessage):
    """Asks for a session by its name."""

    type: ClassVar = PacketType.SESSION_LOOKUP
    layout: ClassVar = Layout(type, name=NAME)
    name: str

    def check(self) -> None:
        require_name(self.layout, self.name)


@dataclass(frozen=True, slots=True)
class SessionInfo(FixedMessage):
    """The answer to :class:`SessionLookup`; all zero if there is no such session.

    Attributes:
        identity: the host's Ed25519 key; zeros for none.
        capabilities: bits of :class:`Capability`.
        created_at, expires_at: Unix time in milliseconds.
        server_checks_clients, clients_check_server: rules of the service, for ascii-chat's programs.
    """

    type: ClassVar = PacketType.SESSION_INFO
    layout: ClassVar = Layout(
        type,
        found=FLAG,
        session_id=ID,
        identity=KEY,
        capabilities=U8,
        max_participants=U8,
        participants=U8,
        session_type=U8,
        has_password=FLAG,
        created_at=U64,
        expires_at=U64,
        server_checks_clients=FLAG,
        clients_check_server=FLAG,
    )
    found: bool = False
    session_id: bytes = NO_ID
    identity: bytes = NO_KEY
    capabilities: int = 0
    max_participants: int = 0
    participants: int = 0
    session_type: int = SessionType.TCP
    has_password: bool = False
    created_at: int = 0
    expires_at: int = 0
    server_checks_clients: bool = False
    clients_check_server: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnd(FixedMessage):
    """The owner ends a session.

    Attributes:
        signature: by the key that created it.
        timestamp: Unix time in milliseconds.
    """

    type: ClassVar = PacketType.SESSION_END
    layout: ClassVar = Layout(type, session_id=ID, signature=SIGNATURE, timestamp=U64)
    session_id: bytes
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class AcipError(FixedMessage):
    """A failed request.

    Attributes:
        code: a :class:`DiscoveryCode`.
        text: for people.
    """

    type: ClassVar = PacketType.ACIP_ERROR
    layout: ClassVar = Layout(type, code=U8, text=prose(256))
    code: int
    text: str


def require_name(layout: Layout, name: str) -> None:
    """Raise SessionNameError for a message without a session name."""
    if not name:
        raise SessionNameError(f"{layout.type.name} has no session name")
