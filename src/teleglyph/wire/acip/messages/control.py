"""Messages that control a call: signs of life, participants, streams."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_padded, decode_text, require_size
from teleglyph.wire.acip.packet_type import PacketType

NAME_SIZE = 32
"""Bytes of a display name."""
MAX_LEAVE_TEXT = 256

_JOIN = struct.Struct(f">4x{NAME_SIZE}sI")
_KINDS = struct.Struct(">I")
_STATE = struct.Struct(">II24x")


class StreamKind(enum.IntFlag):
    """Kinds of streams in STREAM_START and STREAM_STOP."""

    VIDEO = 0x01
    AUDIO = 0x02


class JoinFlag(enum.IntFlag):
    """Capability bits in CLIENT_JOIN."""

    VIDEO = 0x01
    AUDIO = 0x02
    COLOR = 0x04
    STRETCH = 0x08


class _Signal(Message):
    """A message without content; a payload is ignored (docs/protocol/messages.md#ping)."""

    __slots__ = ()

    def encode_payload(self) -> bytes:
        return b""

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        return cls()


@dataclass(frozen=True, slots=True)
class Ping(_Signal):
    """A sign of life; the peer answers with :class:`Pong`."""

    type: ClassVar = PacketType.PING


@dataclass(frozen=True, slots=True)
class Pong(_Signal):
    """The answer to a :class:`Ping`."""

    type: ClassVar = PacketType.PONG


@dataclass(frozen=True, slots=True)
class ClearConsole(_Signal):
    """The client must clear its screen."""

    type: ClassVar = PacketType.CLEAR_CONSOLE


@dataclass(frozen=True, slots=True)
class ClientJoin(Message):
    """A display name (at most 32 bytes of UTF-8) and :class:`JoinFlag` bits (docs/protocol/messages.md#client_join)."""

    type: ClassVar = PacketType.CLIENT_JOIN
    display_name: str
    capabilities: int

    def encode_payload(self) -> bytes:
        return _JOIN.pack(clip_text(self.display_name, NAME_SIZE), self.capabilities)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) != _JOIN.size:
            raise BadDataError(f"CLIENT_JOIN payload size {len(payload)} (expected {_JOIN.size})")
        name, capabilities = _JOIN.unpack(payload)
        if not name[0]:
            raise BadDataError("CLIENT_JOIN display_name cannot be empty")
        _check_flags("CLIENT_JOIN", capabilities, JoinFlag(0x0F))
        return cls(decode_padded(name), capabilities)


@dataclass(frozen=True, slots=True)
class ClientLeave(Message):
    """The client ends its session (docs/protocol/messages.md#client_leave)."""

    type: ClassVar = PacketType.CLIENT_LEAVE
    text: str = ""

    def encode_payload(self) -> bytes:
        return clip_text(self.text, MAX_LEAVE_TEXT)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) > MAX_LEAVE_TEXT:
            raise ProtocolError(f"CLIENT_LEAVE payload size {len(payload)} (at most {MAX_LEAVE_TEXT})")
        return cls(decode_text(payload))


class _Streams(Message):
    __slots__ = ()

    kinds: int

    def encode_payload(self) -> bytes:
        return _KINDS.pack(self.kinds)

    @staticmethod
    def decode_kinds(name: str, payload: bytes) -> int:
        require_size(name, payload, _KINDS.size)
        (kinds,) = _KINDS.unpack(payload)
        _check_flags(name, kinds, StreamKind.VIDEO | StreamKind.AUDIO)
        return int(kinds)


@dataclass(frozen=True, slots=True)
class StreamStart(_Streams):
    """Starts the streams of these :class:`StreamKind` bits (docs/protocol/messages.md#stream_start)."""

    type: ClassVar = PacketType.STREAM_START
    kinds: int

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        return cls(cls.decode_kinds("STREAM_START", payload))


@dataclass(frozen=True, slots=True)
class StreamStop(_Streams):
    """Stops the streams of these :class:`StreamKind` bits (docs/protocol/messages.md#stream_stop)."""

    type: ClassVar = PacketType.STREAM_STOP
    kinds: int

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        return cls(cls.decode_kinds("STREAM_STOP", payload))


@dataclass(frozen=True, slots=True)
class ServerState(Message):
    """How many clients are connected, and how many send video (docs/protocol/messages.md#server_state)."""

    type: ClassVar = PacketType.SERVER_STATE
    connected: int
    active: int

    def encode_payload(self) -> bytes:
        return _STATE.pack(self.connected, self.active)

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        require_size("SERVER_STATE", payload, _STATE.size)
        return cls(*_STATE.unpack(payload))


def _check_flags(name: str, flags: int, known: int) -> None:
    if flags & ~int(known):  # the complement of an IntFlag has no unknown bits
        raise BadDataError(f"{name} unknown flags set ({flags:#x})")
    if not flags:
        raise BadDataError(f"{name} no valid capability flags set ({flags:#x})")
