"""Checks a VP9 stream's demands on its decoder before the decoder sees it.

The sections are those of the VP9 Bitstream & Decoding Process Specification, version 0.7.
"""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import BitReader, check_size, padded_pixels
from teleglyph.media.gate import PictureGate

_HEADER = 64
"""Bytes in which the part of a header that is read here ends."""
_FRAME_MARKER, _SYNC_CODE, _RGB = 2, 0x498342, 7
_REFERENCES = 3
_HELD_PICTURES = 13
"""Eight references, two more of whose motion and segments are used, the picture being decoded, and two on their way."""
_BYTES_PER_PIXEL = 2
"""1.5 for the planes, the rest for motion vectors (12 bytes for each 8x8 pixels) and segments."""
_BYTES_PER_STREAM = 2 << 20


class _Header(NamedTuple):
    is_keyframe: bool
    is_shown: bool
    size: tuple[int, int] | None
    """None if it is that of an earlier frame."""


class Vp9Gate(PictureGate):
    """Checks one sender's stream for its decoder; use one gate per decoder.

    Every frame may have a size of its own.  Frames that take it from a reference are safe, since the reference has
    passed as well.
    """

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin here."""
        try:
            return _read_header(_frames(bitstream)[0]).is_keyframe
        except MediaDecodeError:
            return False

    def check(self, bitstream: bytes) -> bytes:
        """The frame or superframe, unchanged.

        Raises:
            MediaDecodeError: it is malformed, demands too much, or contains several pictures to be shown.
        """
        headers = [_read_header(frame) for frame in _frames(bitstream)]
        if sum(header.is_shown for header in headers) > 1:
            raise MediaDecodeError("a VP9 superframe has more than one visible picture; send a single spatial layer")
        for header in headers:
            if header.size is not None:
                check_size(*header.size, self._max_pixels)
                memory = _HELD_PICTURES * _BYTES_PER_PIXEL * padded_pixels(*header.size) + _BYTES_PER_STREAM
                self.buffer_bytes = max(self.buffer_bytes, memory)
        return bitstream


def _frames(bitstream: bytes) -> list[bytes]:
    """The beginnings of the frames in a superframe (annex B), at most 8, or that of the only frame."""
    if not bitstream:
        raise MediaDecodeError("a VP9 frame is empty")
    marker = bitstream[-1]
    bytes_per_size, count = 1 + (marker >> 3 & 3), 1 + (marker & 7)
    index = 2 + bytes_per_size * count
    if marker & 0xE0 != 0xC0 or len(bitstream) < index or bitstream[-index] != marker:
        return [bitstream[:_HEADER]]
    frames, position, end = [], 0, len(bitstream) - index
    for number in range(count):
        at = end + 1 + number * bytes_per_size
        size = int.from_bytes(bitstream[at : at + bytes_per_size], "little")
        if not 0 < size <= end - position:
            raise MediaDecodeError("a VP9 superframe has a damaged index")
        frames.append(bitstream[position : position + min(size, _HEADER)])
        position += size
    return frames


def _read_header(frame: bytes) -> _Header:
    """Read the uncompressed header up to the size (6.2)."""
    bits = BitReader(frame, "VP9")
    if bits.read(2) != _FRAME_MARKER:
        raise MediaDecodeError("a VP9 frame has a damaged header")
    if bits.read(2):
        raise MediaDecodeError("only VP9 with 4:2:0 and 8 bits (profile 0) is supported")
    if bits.read(1):  # show_existing_frame
        bits.read(3)
        return _Header(False, True, None)
    is_keyframe, is_shown, is_resilient = not bits.read(1), bool(bits.read(1)), bits.read(1)
    if is_keyframe:
        _read_sync_code(bits)
        if bits.read(3) == _RGB:
            raise MediaDecodeError("only VP9 with 4:2:0 is supported, and this stream has RGB")
        bits.read(1)  # color_range
        return _Header(True, is_shown, _read_size(bits))
    is_intra_only = not is_shown and bits.read(1)
    if not is_resilient:
        bits.read(2)
    if is_intra_only:
        _read_sync_code(bits)
        bits.read(8)
        return _Header(False, is_shown, _read_size(bits))
    bits.read(8 + 4 * _REFERENCES)
    for _ in range(_REFERENCES):
        if bits.read(1):  # found_ref
            return _Header(False, is_shown, None)
    return _Header(False, is_shown, _read_size(bits))


def _read_sync_code(bits: BitReader) -> None:
    if bits.read(24) != _SYNC_CODE:
        raise MediaDecodeError("a VP9 keyframe has no start code")


def _read_size(bits: BitReader) -> tuple[int, int]:
    return 1 + bits.read(16), 1 + bits.read(16)
