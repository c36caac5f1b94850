"""Messages with a line of text: errors and log lines (docs/protocol/messages.md#texts)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message, clip_text, decode_text
from teleglyph.wire.acip.packet_type import PacketType

MAX_TEXT = 512
"""Bytes of text that a receiver accepts."""
MAX_SENT_TEXT = 511
"""Bytes of text that we send: ascii-chat's server refuses 512."""

_ERROR = struct.Struct(">II")
_LOG = struct.Struct(">BBHI")
_TRUNCATED = 0x0001


class LogLevel(enum.IntEnum):
    """Severity of a log line."""

    DEV = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    FATAL = 5


class LogDirection(enum.IntEnum):
    """The direction of a log line."""

    UNKNOWN = 0
    SERVER_TO_CLIENT = 1
    CLIENT_TO_SERVER = 2


@dataclass(frozen=True, slots=True)
class ErrorMessage(Message):
    """An error code and a sentence, sent before a connection ends (docs/protocol/messages.md#error-codes)."""

    type: ClassVar = PacketType.ERROR_MESSAGE
    code: int
    text: str

    def encode_payload(self) -> bytes:
        data = clip_text(self.text, MAX_SENT_TEXT)
        return _ERROR.pack(self.code, len(data)) + data

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _ERROR.size:
            raise ProtocolError(f"ERROR_MESSAGE payload size {len(payload)} (at least {_ERROR.size})")
        code, length = _ERROR.unpack_from(payload)
        fault = _text_fault(length, payload[_ERROR.size :])
        if fault:
            raise ProtocolError(f"Invalid ERROR_MESSAGE packet: {fault}")
        return cls(code, decode_text(payload[_ERROR.size :]))


@dataclass(frozen=True, slots=True)
class RemoteLog(Message):
    """A log line for the peer.

    ``truncated`` means that the line was longer.  Encoding sets it if it cuts the text.
    """

    type: ClassVar = PacketType.REMOTE_LOG
    level: int
    direction: int
    text: str
    truncated: bool = False

    def encode_payload(self) -> bytes:
        data = clip_text(self.text, MAX_SENT_TEXT)
        cut = self.truncated or len(data) < len(clip_text(self.text, MAX_SENT_TEXT + 4))
        return _LOG.pack(self.level, self.direction, _TRUNCATED if cut else 0, len(data)) + data

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _LOG.size:
            raise ProtocolError(f"REMOTE_LOG payload size {len(payload)} (at least {_LOG.size})")
        level, direction, flags, length = _LOG.unpack_from(payload)
        fault = _text_fault(length, payload[_LOG.size :])
        if level > LogLevel.FATAL:
            fault = f"level {level} out of range"
        if fault:
            raise BadDataError(f"Invalid REMOTE_LOG packet: {fault}")
        return cls(level, direction, decode_text(payload[_LOG.size :]), bool(flags & _TRUNCATED))


def _text_fault(length: int, text: bytes) -> str:
    if length > MAX_TEXT:
        return f"message length {length} exceeds {MAX_TEXT}"
    if length != len(text):
        return f"message length {length}, but {len(text)} bytes follow"
    if b"\0" in text:
        return "message contains NUL"
    return ""
