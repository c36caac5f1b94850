"""The base of all messages, and helpers for text fields."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.packet import encode_packet
from teleglyph.wire.acip.packet_type import PacketType


class Event:
    """What a session's ``next_event`` returns: a message of the peer, or a step of the session."""

    __slots__ = ()


class Message(Event, ABC):
    """A decoded packet; subclasses are frozen dataclasses."""

    __slots__ = ()

    type: ClassVar[PacketType]

    @abstractmethod
    def encode_payload(self) -> bytes:
        """The payload of this message's packet."""

    @classmethod
    @abstractmethod
    def decode_payload(cls, payload: bytes) -> Event:
        """Decode a payload.

        Raises:
            BadDataError: a value is out of range; the peer is sent the reason (docs/protocol/messages.md#bad-values).
            ProtocolError: any other fault; the session ends (docs/protocol/messages.md#broken-packets).
        """


def encode(message: Message) -> bytes:
    """A complete unencrypted packet with a message."""
    return encode_packet(message.type, message.encode_payload())


def require_size(name: str, payload: bytes, *sizes: int) -> None:
    """Raise ProtocolError unless the payload has one of the sizes."""
    if len(payload) not in sizes:
        expected = " or ".join(map(str, sizes))
        raise ProtocolError(f"{name} payload size {len(payload)} (expected {expected})")


def clip_text(text: str, limit: int) -> bytes:
    """UTF-8 without NUL, cut between characters to at most ``limit`` bytes."""
    data = text.replace("\0", "").encode("utf-8", "replace")
    return data if len(data) <= limit else data[:limit].decode("utf-8", "ignore").encode()


def decode_text(data: bytes) -> str:
    """UTF-8 from a peer; invalid sequences become replacement characters."""
    return data.decode("utf-8", "replace")


def decode_padded(field: bytes) -> str:
    """The text of a field of fixed size, up to the first NUL if there is one (docs/protocol/README.md#conventions)."""
    return decode_text(field.partition(b"\0")[0])
