"""Reserved names of sessions (docs/protocol/discovery.md#names)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery.layout import FLAG, KEY, NAME, SIGNATURE, U8, U32, U64, FixedMessage, Layout, prose
from teleglyph.wire.discovery.messages.sessions import NO_KEY, NO_SIGNATURE, DiscoveryCode, require_name

MAX_DAYS = 365
"""Days for which a name can be reserved."""


class _DaysRequest(FixedMessage):
    __slots__ = ()

    name: str
    days: int

    def check(self) -> None:
        require_name(self.layout, self.name)
        if not 1 <= self.days <= MAX_DAYS:
            raise self.layout.fault(f"days {self.days} (expected 1-{MAX_DAYS})")


@dataclass(frozen=True, slots=True)
class StringReserve(_DaysRequest):
    """Reserves a name for a key.

    Attributes:
        timestamp: Unix time in milliseconds.
        days: 1 to 365.
    """

    type: ClassVar = PacketType.STRING_RESERVE
    layout: ClassVar = Layout(type, identity=KEY, signature=SIGNATURE, timestamp=U64, name=NAME, days=U32)
    name: str
    days: int
    identity: bytes = NO_KEY
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class StringRenew(_DaysRequest):
    """Extends a reservation; the attributes are those of :class:`StringReserve`."""

    type: ClassVar = PacketType.STRING_RENEW
    layout: ClassVar = Layout(type, identity=KEY, signature=SIGNATURE, timestamp=U64, name=NAME, days=U32)
    name: str
    days: int
    identity: bytes = NO_KEY
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class StringRelease(FixedMessage):
    """Ends a reservation.

    Attributes:
        timestamp: Unix time in milliseconds.
    """

    type: ClassVar = PacketType.STRING_RELEASE
    layout: ClassVar = Layout(type, identity=KEY, signature=SIGNATURE, timestamp=U64, name=NAME)
    name: str
    identity: bytes = NO_KEY
    signature: bytes = field(default=NO_SIGNATURE, repr=False)
    timestamp: int = 0

    def check(self) -> None:
        require_name(self.layout, self.name)


@dataclass(frozen=True, slots=True)
class StringReserved(FixedMessage):
    """The answer to the three requests.

    Attributes:
        error_code: a :class:`DiscoveryCode`.
        error: for people; empty on success.
        expires_at: Unix time in milliseconds.
    """

    type: ClassVar = PacketType.STRING_RESERVED
    layout: ClassVar = Layout(type, success=FLAG, error_code=U8, error=prose(128), expires_at=U64)
    success: bool
    error_code: int = DiscoveryCode.NONE
    error: str = ""
    expires_at: int = 0
