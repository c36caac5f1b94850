"""Pictures to the server, frames of text to the client (docs/protocol/messages.md#pictures-and-frames)."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Event, Message
from teleglyph.wire.acip.packet import checksum, pack_header
from teleglyph.wire.acip.packet_type import PacketType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_PICTURE_SIDE: Final = 8192
"""Pixels of a picture's width or height."""
MAX_PICTURE_DATA: Final = 2 * 2**20
"""A raw picture and 8 bytes of header must stay below this, in bytes."""
MAX_FRAME_SIDE: Final = 16384
"""Columns or rows of a frame."""
MAX_FRAME_TEXT: Final = 16 * 2**20
"""Bytes of a frame's text that a receiver accepts by default."""

_IMAGE = struct.Struct(">IIIIII")
_HEVC = struct.Struct(">BHH")
_ASCII = struct.Struct(">IIIIII")
_START_CODE = b"\0\0\1"
_START_CODE_WITHIN = 64
_KEYFRAME, _SIZE_CHANGE = 0x01, 0x02
_COLOR, _ZSTD, _STRETCH = 0x01, 0x02, 0x08
_ZSTD_LEVEL = 1
"""Compression must fit between two ticks.  At level 1 a frame of 31 KB takes about 55 µs and shrinks to a fifth."""
_ZSTD_WINDOW_LOG = 23
"""Decoders should accept windows up to 8 MiB (RFC 8878, section 3.1.1.1.2).  Larger texts may need larger ones."""


@dataclass(frozen=True, slots=True)
class ImageFrame(Message):
    """A raw picture.

    Attributes:
        width, height: pixels, 1 to 8192.
        pixels: RGB24, row by row from the top; 3 * width * height bytes.
        pixel_format: 1 to 4, without meaning: pixels are always RGB24.
        timestamp: milliseconds from any start, or 0.
    """

    type: ClassVar = PacketType.IMAGE_FRAME
    width: int
    height: int
    pixels: bytes | memoryview
    pixel_format: int = 1
    timestamp: int = 0

    def encode_payload(self) -> bytes:
        head = _IMAGE.pack(self.width, self.height, self.pixel_format, 0, 0, self.timestamp)
        return b"".join((head, self.pixels))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _IMAGE.size:
            raise ProtocolError(f"IMAGE_FRAME payload size {len(payload)} (at least {_IMAGE.size})")
        width, height, pixel_format, _, _, timestamp = _IMAGE.unpack_from(payload)
        _check_sides("IMAGE_FRAME", width, height, MAX_PICTURE_SIDE)
        if not 1 <= pixel_format <= 4:
            raise ProtocolError(f"IMAGE_FRAME pixel format {pixel_format} (valid: 1-4)")
        pixels = memoryview(payload)[_IMAGE.size :]
        if 8 + len(pixels) >= MAX_PICTURE_DATA:
            raise BadDataError("FRAME_STORAGE_BUFFER_TOO_SMALL")
        size = 3 * width * height
        if len(pixels) < size:
            raise ProtocolError(f"IMAGE_FRAME of {width}x{height} pixels has {len(pixels)} bytes, not {size}")
        return cls(width, height, pixels[:size], pixel_format, timestamp)


@dataclass(frozen=True, slots=True)
class HevcFrame(Message):
    """One output packet of an HEVC encoder.

    Attributes:
        width, height: pixels, 1 to 8192.
        bitstream: Annex B, from the first start code on; empty while the encoder has nothing to send.
        keyframe, size_change: the sender's flags.  ascii-chat's client writes its header twice, with the true flags
            in the second copy only, so both are read.
    """

    type: ClassVar = PacketType.IMAGE_FRAME_H265
    width: int
    height: int
    bitstream: bytes | memoryview
    keyframe: bool = False
    size_change: bool = False

    def encode_payload(self) -> bytes:
        flags = _KEYFRAME * self.keyframe | _SIZE_CHANGE * self.size_change
        return b"".join((_HEVC.pack(flags, self.width, self.height), self.bitstream))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _HEVC.size:
            raise ProtocolError(f"IMAGE_FRAME_H265 payload size {len(payload)} (at least {_HEVC.size})")
        flags, width, height = _HEVC.unpack_from(payload)
        _check_sides("IMAGE_FRAME_H265", width, height, MAX_PICTURE_SIDE)
        start = _HEVC.size
        if payload[start + 1 : 2 * start] == payload[1:start]:
            flags |= payload[start]
            start *= 2
        bitstream = memoryview(payload)[_bitstream_start(payload, start) :]
        return cls(width, height, bitstream, bool(flags & _KEYFRAME), bool(flags & _SIZE_CHANGE))


def _bitstream_start(payload: bytes, start: int) -> int:
    """Offset of the first start code near ``start``, or the payload's end if there is none."""
    found = payload.find(_START_CODE, start, start + _START_CODE_WITHIN)
    if found < 0:
        return len(payload)
    has_long_code = found > start and payload[found - 1] == 0
    return found - 1 if has_long_code else found


@dataclass(frozen=True, slots=True)
class DroppedFrame(Event):
    """A frame that was dropped because it was damaged; the session goes on (docs/protocol/messages.md#ascii_frame)."""

    reason: str


@dataclass(frozen=True, slots=True)
class AsciiFrame(Message):
    """A frame of text.

    Attributes:
        width, height: columns and rows, 1 to 16384.
        text: UTF-8 rows separated by LF, with SGR sequences and without NUL.
        color, stretched: the sender's flags.
        compress: send the text as a zstd frame.
    """

    type: ClassVar = PacketType.ASCII_FRAME
    width: int
    height: int
    text: bytes
    color: bool = False
    stretched: bool = False
    compress: bool = False

    def encode_payload(self) -> bytes:
        flags = _COLOR * self.color | _STRETCH * self.stretched
        return b"".join(_ascii_parts(self.width, self.height, self.text, flags, self.compress))

    @classmethod
    def decode_payload(cls, payload: bytes, max_text: int = MAX_FRAME_TEXT) -> Self | DroppedFrame:
        """Parse and decompress a frame.

        Args:
            payload: of an ASCII_FRAME packet.
            max_text: a frame with a longer text is dropped before it is decompressed, in bytes.

        Returns:
            the frame, or the reason why it was dropped.

        Raises:
            ProtocolError: the header is incomplete or has impossible dimensions.
        """
        if len(payload) < _ASCII.size:
            raise ProtocolError(f"ASCII_FRAME payload size {len(payload)} (at least {_ASCII.size})")
        width, height, size, compressed_size, crc, flags = _ASCII.unpack_from(payload)
        _check_sides("ASCII_FRAME", width, height, MAX_FRAME_SIDE)
        if size > max_text:
            return DroppedFrame(f"its text of {size} bytes exceeds {max_text}")
        compressed = bool(flags & _ZSTD and compressed_size)
        body = payload[_ASCII.size :]
        text: bytes | None = body
        if compressed:
            text = decompress(body, size) if len(body) == compressed_size else None
        if text is None or len(text) != size:
            return DroppedFrame(f"its body of {len(body)} bytes does not hold a text of {size}")
        if checksum(text) != crc:
            return DroppedFrame("the checksum of its text is wrong")
        if b"\0" in text:
            return DroppedFrame("its text contains NUL")
        return cls(width, height, text, bool(flags & _COLOR), bool(flags & _STRETCH), compressed)


def encode_ascii_frame(width: int, height: int, text: bytes, *, compress: bool = False) -> bytes:
    """A complete unencrypted ASCII_FRAME packet.  The text is copied only once, since every frame passes here.

    ``text`` must not contain NUL.
    """
    parts = _ascii_parts(width, height, text, 0, compress)
    return b"".join((pack_header(PacketType.ASCII_FRAME, *parts), *parts))


def _ascii_parts(width: int, height: int, text: bytes, flags: int, compress: bool) -> tuple[bytes, bytes]:
    body = zstd.compress(text, _ZSTD_LEVEL) if compress else text
    packed = len(body) if compress else 0
    flags |= _ZSTD if compress else 0
    return _ASCII.pack(width, height, len(text), packed, checksum(text), flags), body


def compress(data: bytes) -> bytes:
    """Compress into a zstd frame, at a level that is fast enough for every frame."""
    return zstd.compress(data, _ZSTD_LEVEL)


def decompress(body: bytes, size: int) -> bytes | None:
    """Decompress one zstd frame; None if it is damaged or its content is longer than ``size``."""
    window = max(size.bit_length(), _ZSTD_WINDOW_LOG)
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window})
    try:
        text = decoder.decompress(body, max_length=size + 1)
    except zstd.ZstdError:
        return None
    return text if decoder.eof and not decoder.unused_data else None


def _check_sides(name: str, width: int, height: int, limit: int) -> None:
    if not (1 <= width <= limit and 1 <= height <= limit):
        raise ProtocolError(f"{name} dimensions {width}x{height} out of range (valid: 1-{limit})")
