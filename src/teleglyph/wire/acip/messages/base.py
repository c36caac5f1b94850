"""What all messages have in common, and the text fields some of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.packet import encode_packet
from teleglyph.wire.acip.packet_type import PacketType


class Event:
    """Something a session reports: a message of the peer, or a step of the session itself."""

    __slots__ = ()


class Message(Event, ABC):
    """The content of one packet; subclasses are frozen dataclasses."""

    __slots__ = ()

    type: ClassVar[PacketType]

    @abstractmethod
    def encode_payload(self) -> bytes:
        """The payload of a packet that says this."""

    @classmethod
    @abstractmethod
    def decode_payload(cls, payload: bytes) -> Event:
        """Parse a payload.

        Raises:
            BadDataError: values out of range, where the protocol tells the peer the reason (spec acip-wire 8.2).
            ProtocolError: any other fault; the session just ends (spec acip-wire 8.3).
        """


def encode(message: Message) -> bytes:
    """A complete plain packet that carries a message."""
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
    """UTF-8 from a peer; wrong sequences become replacement characters."""
    return data.decode("utf-8", "replace")


def decode_padded(field: bytes) -> str:
    """The text of a fixed-size field, which ends at the first NUL if there is one (spec acip-wire 1)."""
    return decode_text(field.partition(b"\0")[0])
