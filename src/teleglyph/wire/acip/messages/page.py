"""The handshake of the page in a browser (docs/protocol/page.md#handshake)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message, clip_text
from teleglyph.wire.acip.packet_type import PacketType

PAGE_VERSION = 1
MAX_PAGE_ROOM = 128
"""Bytes of a room's name: 32 characters of at most 4 bytes."""
MAX_PAGE_PASSWORD = 256
"""Bytes of a password."""
MAX_PAGE_INVITATION = 400
"""Characters of an invitation."""
MAX_GROUP = 64
"""Bytes of the name of a chat group."""

_HELLO = struct.Struct(">HI")
_WELCOME = struct.Struct(">IIB")
_LENGTH = struct.Struct(">H")


class PageFlag(enum.IntFlag):
    """What holds for a guest of the page."""

    VIEW_ONLY = 0x01
    """Pictures and sound of this participant are ignored."""


@dataclass(frozen=True, slots=True)
class PageHello(Message):
    """The page's first packet.

    Attributes:
        features: bits of :class:`~teleglyph.wire.acip.Feature` that it supports.
        room: the call room to join; empty for the lobby.
        password: what its user typed; empty for none.
        invitation: from the page's link; empty for none.
    """

    type: ClassVar = PacketType.PAGE_HELLO
    features: int
    room: str = ""
    password: str = field(default="", repr=False)
    invitation: str = field(default="", repr=False)
    version: int = PAGE_VERSION

    def encode_payload(self) -> bytes:
        return b"".join(
            (
                _HELLO.pack(self.version, self.features),
                *(_pack_text(text) for text in (self.room, self.password, self.invitation)),
            )
        )

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _HELLO.size:
            raise ProtocolError(f"PAGE_HELLO payload size {len(payload)} (at least {_HELLO.size})")
        version, features = _HELLO.unpack_from(payload)
        room, password, invitation = _unpack_texts(
            payload[_HELLO.size :], "PAGE_HELLO", MAX_PAGE_ROOM, MAX_PAGE_PASSWORD, MAX_PAGE_INVITATION
        )
        return cls(features, room, password, invitation, version)


@dataclass(frozen=True, slots=True)
class PageWelcome(Message):
    """The server admits the page.

    Attributes:
        features: bits of :class:`~teleglyph.wire.acip.Feature` that both sides support.
        codecs: bits of the codecs that the server decodes (:attr:`~teleglyph.wire.acip.Codec.bit`).
        flags: bits of :class:`PageFlag`.
        room: the name of the room that it joins.
        group: id of the room's chat group on the relay; empty without one.
    """

    type: ClassVar = PacketType.PAGE_WELCOME
    features: int
    codecs: int
    flags: int
    room: str
    group: str = ""

    def encode_payload(self) -> bytes:
        room, group = clip_text(self.room, MAX_PAGE_ROOM), clip_text(self.group, MAX_GROUP)
        head = _WELCOME.pack(self.features, self.codecs, self.flags)
        return b"".join((head, _LENGTH.pack(len(room)), room, _LENGTH.pack(len(group)), group))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _WELCOME.size:
            raise ProtocolError(f"PAGE_WELCOME payload size {len(payload)} (at least {_WELCOME.size})")
        features, codecs, flags = _WELCOME.unpack_from(payload)
        room, group = _unpack_texts(payload[_WELCOME.size :], "PAGE_WELCOME", MAX_PAGE_ROOM, MAX_GROUP)
        return cls(features, codecs, flags, room, group)


def _pack_text(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def _unpack_texts(data: bytes, name: str, *limits: int) -> list[str]:
    """Texts with their lengths before them, of at most these numbers of bytes; nothing may follow them."""
    texts: list[str] = []
    for limit in limits:
        if len(data) < _LENGTH.size:
            raise ProtocolError(f"{name} payload size too small: it ends before text {len(texts) + 1} of {len(limits)}")
        (size,) = _LENGTH.unpack_from(data)
        text, data = data[_LENGTH.size : _LENGTH.size + size], data[_LENGTH.size + size :]
        if size > limit or len(text) != size:
            raise ProtocolError(f"{name} has a text of {size} bytes (at most {limit}), and {len(text)} follow")
        try:
            texts.append(text.decode())
        except UnicodeDecodeError:
            raise ProtocolError(f"{name} has a text that is not UTF-8") from None
    if data:
        raise ProtocolError(f"{name} payload size too large: {len(data)} bytes follow its texts")
    return texts
