"""The messages of a discovery service: a frozen dataclass for each packet type.

Begin at :func:`decode_discovery`.  The payloads are described in docs/protocol/discovery.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Event, Message, encode
from teleglyph.wire.acip.messages.control import Ping, Pong
from teleglyph.wire.acip.messages.text import ErrorMessage
from teleglyph.wire.acip.packet_type import name_of
from teleglyph.wire.discovery.layout import ID_SIZE, MAX_SESSION_NAME, NO_ID
from teleglyph.wire.discovery.messages.ice import (
    MAX_CREDENTIAL,
    MAX_ICE_SERVERS,
    MAX_URL,
    IceServer,
    IceServers,
    SessionCreated,
    WebrtcIce,
    WebrtcSdp,
)
from teleglyph.wire.discovery.messages.joining import SessionJoin, SessionJoined, SessionLeave, SessionReconnect
from teleglyph.wire.discovery.messages.names import MAX_DAYS, StringRelease, StringRenew, StringReserve, StringReserved
from teleglyph.wire.discovery.messages.participants import (
    HostAnnouncement,
    HostConnection,
    HostDesignated,
    HostLost,
    ListedParticipant,
    LossReason,
    NetworkQuality,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantList,
)
from teleglyph.wire.discovery.messages.rendezvous import (
    MAX_RELAYED,
    MAX_SDP,
    MIN_PROBED_PORT,
    AddressKind,
    DirectAddress,
    NatProbe,
    NatProbed,
    ProbeResult,
    Rendezvous,
    Ways,
    WaysAnswer,
    WaysOffer,
)
from teleglyph.wire.discovery.messages.sessions import (
    NO_KEY,
    NO_SIGNATURE,
    AcipError,
    Capability,
    DiscoveryCode,
    SessionCreate,
    SessionEnd,
    SessionInfo,
    SessionLookup,
    SessionType,
)

__all__ = [
    "ID_SIZE",
    "MAX_CREDENTIAL",
    "MAX_DAYS",
    "MAX_DISCOVERY_PAYLOAD",
    "MAX_ICE_SERVERS",
    "MAX_RELAYED",
    "MAX_SDP",
    "MAX_SESSION_NAME",
    "MAX_URL",
    "MIN_PROBED_PORT",
    "NO_ID",
    "NO_KEY",
    "NO_SIGNATURE",
    "AcipError",
    "AddressKind",
    "Capability",
    "DirectAddress",
    "DiscoveryCode",
    "HostAnnouncement",
    "HostConnection",
    "HostDesignated",
    "HostLost",
    "IceServer",
    "IceServers",
    "ListedParticipant",
    "LossReason",
    "NatProbe",
    "NatProbed",
    "NetworkQuality",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantList",
    "ProbeResult",
    "Rendezvous",
    "SessionCreate",
    "SessionCreated",
    "SessionEnd",
    "SessionInfo",
    "SessionJoin",
    "SessionJoined",
    "SessionLeave",
    "SessionLookup",
    "SessionReconnect",
    "SessionType",
    "StringRelease",
    "StringRenew",
    "StringReserve",
    "StringReserved",
    "Ways",
    "WaysAnswer",
    "WaysOffer",
    "WebrtcIce",
    "WebrtcSdp",
    "decode_discovery",
    "encode",
]

MAX_DISCOVERY_PAYLOAD = 65536
"""Bytes of the largest payload that a discovery service or its clients accept."""

_KINDS: tuple[type[Message], ...] = (
    AcipError,
    HostAnnouncement,
    HostDesignated,
    HostLost,
    IceServers,
    NatProbe,
    NatProbed,
    NetworkQuality,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantList,
    Rendezvous,
    SessionCreate,
    SessionCreated,
    SessionEnd,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    SessionReconnect,
    StringRelease,
    StringRenew,
    StringReserve,
    StringReserved,
    Ways,
    WaysAnswer,
    WaysOffer,
    WebrtcIce,
    WebrtcSdp,
    ErrorMessage,
    Ping,
    Pong,
)
_DECODERS: Mapping[int, Callable[[bytes], Event]] = {int(kind.type): kind.decode_payload for kind in _KINDS}


def decode_discovery(kind: int, payload: bytes) -> Event:
    """Decode a packet of a discovery service; also ERROR_MESSAGE, PING and PONG.

    Args:
        kind: the number of the packet type.
        payload: of the packet.

    Raises:
        SessionNameError: a request has no session name, or an impossible one.
        BadDataError: a value is out of range.
        ProtocolError: the type is not one of a discovery service, or the payload has a wrong size.
    """
    decode = _DECODERS.get(kind)
    if decode is None:
        raise ProtocolError(f"{name_of(kind)} is not a message of a discovery service.")
    if len(payload) > MAX_DISCOVERY_PAYLOAD:
        raise ProtocolError(f"{name_of(kind)} has {len(payload)} bytes (at most {MAX_DISCOVERY_PAYLOAD}).")
    return decode(payload)
