"""Signalling and servers for ICE (docs/protocol/discovery.md#ice)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery.layout import ID, NAME, NO_ID, U8, U16_BE, U64, Layout
from teleglyph.wire.discovery.parts import Reader, decode_strict, pack_text

MAX_ICE_SERVERS = 8
"""ICE servers in one message."""
MAX_URL = 255
"""Bytes of the URL of an ICE server."""
MAX_CREDENTIAL = 512
"""Bytes of its user name or credential."""
MAX_LISTED = 4
"""STUN servers, and TURN servers, in SESSION_CREATED."""

_URL_FORM = re.compile(r"(stun|turn)s?:[!-~]+")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        url: begins with ``stun:``, ``stuns:``, ``turn:`` or ``turns:``.
        username, credential: for TURN; empty for none.
    """

    url: str
    username: str = ""
    credential: str = field(default="", repr=False)


def pack_servers(servers: tuple[IceServer, ...]) -> bytes:
    """The number of ICE servers, and the servers."""
    if len(servers) > MAX_ICE_SERVERS:
        raise ValueError(f"{len(servers)} ICE servers (at most {MAX_ICE_SERVERS})")
    parts = [bytes((len(servers),))]
    for one in servers:
        parts.append(pack_text(one.url, 1, MAX_URL))
        parts += (pack_text(text, 2, MAX_CREDENTIAL) for text in (one.username, one.credential))
    return b"".join(parts)


def read_servers(type: PacketType, reader: Reader) -> tuple[IceServer, ...]:
    """The opposite of :func:`pack_servers`."""
    count = reader.number(1)
    if count > MAX_ICE_SERVERS:
        raise BadDataError(f"{type.name} has {count} ICE servers (at most {MAX_ICE_SERVERS})")
    servers = (
        IceServer(reader.text(1, MAX_URL), reader.text(2, MAX_CREDENTIAL), reader.text(2, MAX_CREDENTIAL))
        for _ in range(count)
    )
    return _checked(type, servers)


def _checked(type: PacketType, servers: Iterable[IceServer]) -> tuple[IceServer, ...]:
    found = tuple(servers)
    for one in found:
        if not _URL_FORM.fullmatch(one.url):
            raise BadDataError(f"{type.name} has the ICE server {one.url!r} (expected stun:, stuns:, turn: or turns:)")
    return found


@dataclass(frozen=True, slots=True)
class IceServers(Message):
    """ICE servers that a host may pass on to joiners.

    Attributes:
        expires_at: when the credentials end, Unix time in milliseconds.
    """

    type: ClassVar = PacketType.ICE_SERVERS
    layout: ClassVar = Layout(type, expires_at=U64)
    expires_at: int
    servers: tuple[IceServer, ...] = ()

    def encode_payload(self) -> bytes:
        return self.layout.pack(self) + pack_servers(self.servers)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        reader = Reader(cls.type, payload, cls.layout.size)
        servers = read_servers(cls.type, reader)
        reader.finish()
        return cls(values["expires_at"], servers)


@dataclass(frozen=True, slots=True)
class SessionCreated(Message):
    """The answer to SESSION_CREATE.

    Attributes:
        participant_id: zeros, because creating a session does not join it.
        expires_at: Unix time in milliseconds.
        stun: STUN servers, with URLs of at most 64 bytes.
        turn: TURN servers; their user names have at most 32 bytes, their credentials 64.  Longer ones need
            :class:`IceServers`.
    """

    type: ClassVar = PacketType.SESSION_CREATED
    layout: ClassVar = Layout(
        type, name=NAME, session_id=ID, participant_id=ID, expires_at=U64, stun_count=U8, turn_count=U8
    )
    name: str
    session_id: bytes
    participant_id: bytes = NO_ID
    expires_at: int = 0
    stun: tuple[IceServer, ...] = ()
    turn: tuple[IceServer, ...] = ()

    @property
    def stun_count(self) -> int:
        """Number of STUN servers."""
        return len(self.stun)

    @property
    def turn_count(self) -> int:
        """Number of TURN servers."""
        return len(self.turn)

    def encode_payload(self) -> bytes:
        if max(self.stun_count, self.turn_count) > MAX_LISTED:
            raise ValueError(f"{self.stun_count} STUN and {self.turn_count} TURN servers (at most {MAX_LISTED} each)")
        parts = [self.layout.pack(self)]
        parts += (_pack_padded(one.url, 64) for one in self.stun)
        for one in self.turn:
            parts += (_pack_padded(one.url, 64), _pack_padded(one.username, 32), _pack_padded(one.credential, 64))
        return b"".join(parts)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        stun_count, turn_count = values.pop("stun_count"), values.pop("turn_count")
        if max(stun_count, turn_count) > MAX_LISTED:
            raise cls.layout.fault(f"{stun_count} STUN and {turn_count} TURN servers (at most {MAX_LISTED} each)")
        reader = Reader(cls.type, payload, cls.layout.size)
        stun = [IceServer(_read_padded(reader, 64)) for _ in range(stun_count)]
        turn = [IceServer(*(_read_padded(reader, size) for size in (64, 32, 64))) for _ in range(turn_count)]
        reader.finish()
        return cls(**values, stun=_checked(cls.type, stun), turn=_checked(cls.type, turn))


def _pack_padded(text: str, size: int) -> bytes:
    return pack_text(text, 1, size).ljust(1 + size, b"\0")


def _read_padded(reader: Reader, size: int) -> str:
    length, field = reader.number(1), reader.take(size)
    if length > size:
        raise BadDataError(f"SESSION_CREATED has a text of {length} bytes in a field of {size}")
    return reader.decode(field[:length])


@dataclass(frozen=True, slots=True)
class WebrtcSdp(Message):
    """A session description for another participant.

    Attributes:
        recipient_id: zeros for all others.
        is_answer: 1 for an answer, 0 for an offer.
    """

    type: ClassVar = PacketType.WEBRTC_SDP
    layout: ClassVar = Layout(type, session_id=ID, sender_id=ID, recipient_id=ID, kind=U8, length=U16_BE)
    session_id: bytes
    sender_id: bytes
    recipient_id: bytes
    is_answer: bool
    sdp: str

    @property
    def kind(self) -> int:
        """0 for an offer, 1 for an answer."""
        return int(self.is_answer)

    @property
    def length(self) -> int:
        """Bytes of the text."""
        return len(self.sdp.encode())

    def encode_payload(self) -> bytes:
        return self.layout.pack(self) + self.sdp.encode()

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        kind, length = values.pop("kind"), values.pop("length")
        if kind > 1:
            raise cls.layout.fault(f"kind {kind} (expected 0 or 1)")
        if len(payload) != cls.layout.size + length:
            raise ProtocolError(f"WEBRTC_SDP payload size {len(payload)} (expected {cls.layout.size + length})")
        return cls(**values, is_answer=bool(kind), sdp=decode_strict(cls.type, payload[cls.layout.size :]))


@dataclass(frozen=True, slots=True)
class WebrtcIce(Message):
    """An ICE candidate for another participant.

    Attributes:
        recipient_id: zeros for all others.
        candidate: as in SDP.
        mid: the media section that it belongs to.
    """

    type: ClassVar = PacketType.WEBRTC_ICE
    layout: ClassVar = Layout(type, session_id=ID, sender_id=ID, recipient_id=ID, length=U16_BE)
    session_id: bytes
    sender_id: bytes
    recipient_id: bytes
    candidate: str
    mid: str

    @property
    def length(self) -> int:
        """Bytes of the candidate."""
        return len(self.candidate.encode())

    def encode_payload(self) -> bytes:
        if "\0" in self.candidate + self.mid:
            raise ValueError("WEBRTC_ICE has a text with NUL")
        return b"".join((self.layout.pack(self), self.candidate.encode(), b"\0", self.mid.encode(), b"\0"))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        values = cls.layout.unpack(payload)
        end = cls.layout.size + values.pop("length")
        if len(payload) < end + 2 or payload[end] or payload[-1]:
            raise ProtocolError(f"WEBRTC_ICE payload size {len(payload)}: no candidate and mid that end with NUL")
        candidate, mid = (
            decode_strict(cls.type, part) for part in (payload[cls.layout.size : end], payload[end + 1 : -1])
        )
        return cls(**values, candidate=candidate, mid=mid)
