"""Compressed pictures to the server, in a codec of the sender's choice (docs/protocol/page.md#coded_picture)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import ProtocolError
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.messages.video import MAX_PICTURE_SIDE
from teleglyph.wire.acip.packet_type import PacketType

_LAYOUT = struct.Struct(">BBHH")
_KEYFRAME = 0x01


class Codec(enum.IntEnum):
    """The numbers of codecs on the wire."""

    VP8 = 1
    VP9 = 2
    AV1 = 3
    H264 = 4
    JPEG = 5

    @property
    def bit(self) -> int:
        """The codec's bit in masks of codecs."""
        return 1 << self


ALL_CODECS = sum(codec.bit for codec in Codec)
"""The mask of all codecs."""


@dataclass(frozen=True, slots=True)
class CodedPicture(Message):
    """One picture of an encoder.

    Attributes:
        codec: that made it.
        width, height: pixels, 1 to 8192.
        bitstream: one temporal unit: a VP8 or VP9 frame, the OBUs of an AV1 temporal unit, an H.264 access unit in
            Annex B with parameter sets in each keyframe, or a JPEG file.  Not empty.
        keyframe: the picture can be decoded without earlier ones.
    """

    type: ClassVar = PacketType.CODED_PICTURE
    codec: Codec
    width: int
    height: int
    bitstream: bytes | memoryview
    keyframe: bool = False

    def encode_payload(self) -> bytes:
        head = _LAYOUT.pack(self.codec, _KEYFRAME * self.keyframe, self.width, self.height)
        return b"".join((head, self.bitstream))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) <= _LAYOUT.size:
            raise ProtocolError(f"CODED_PICTURE payload size {len(payload)} (more than {_LAYOUT.size})")
        codec, flags, width, height = _LAYOUT.unpack_from(payload)
        if codec not in Codec.__members__.values():
            raise ProtocolError(f"CODED_PICTURE codec {codec} (valid: {min(Codec)}-{max(Codec)})")
        if not (1 <= width <= MAX_PICTURE_SIDE and 1 <= height <= MAX_PICTURE_SIDE):
            raise ProtocolError(f"CODED_PICTURE dimensions {width}x{height} out of range (valid: 1-{MAX_PICTURE_SIDE})")
        return cls(Codec(codec), width, height, memoryview(payload)[_LAYOUT.size :], bool(flags & _KEYFRAME))
