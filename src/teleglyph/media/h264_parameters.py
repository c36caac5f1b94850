"""Checks an H.264 stream's demands on its decoder before the decoder sees it (ITU-T H.264, 7.3)."""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import (
    MAX_PIXELS,
    MAX_UNITS,
    START_CODE,
    BitReader,
    check_size,
    padded_pixels,
    split_units,
    unescaped,
)
from teleglyph.media.gate import PictureGate

_SLICE, _KEY_SLICE, _SPS, _PPS, _DELIMITER, _END_OF_SEQUENCE, _END_OF_STREAM = 1, 5, 7, 8, 9, 10, 11
_FORWARDED = frozenset({_SLICE, _KEY_SLICE, _SPS, _PPS, _DELIMITER, _END_OF_SEQUENCE, _END_OF_STREAM})
"""Types of units that the decoder needs; messages, partitions, layers and reserved ones are dropped."""
_LONG_START_CODE = b"\0" + START_CODE
"""FFmpeg might take the short one for the length of a unit."""
_BASELINE, _MAIN = 66, 77
_HIGH = frozenset({100, 110, 122, 244, 44})
"""Profiles whose parameter sets have a chroma format."""
_MAX_SET_BYTES = 1024
_MAX_SPS, _MAX_PPS_UNITS = 2, 16
"""Parameter sets in one access unit.  Reading them costs time of the event loop."""
_MAX_PPS = 16
"""Numbers of picture parameter sets, for each of which FFmpeg keeps 100 KiB."""
_MACROBLOCK = 16
_DELAYED_PICTURES = 19
"""FFmpeg holds up to 16 pictures back to sort them, whatever the stream says, and three more while it decodes."""
_QUARTER_BYTES_PER_PIXEL = 9
"""2.25 bytes: 1.5 for the planes, the rest for motion vectors and the types of macroblocks."""
_BYTES_PER_STREAM = 4 << 20


class H264Sequence(NamedTuple):
    """The parts of a sequence parameter set that matter for memory.

    Attributes:
        number: of the set.
        width, height: pixels of the coded picture.
        shown_width, shown_height: pixels that are left after cropping.
        references: pictures that others may refer to.
    """

    number: int
    width: int
    height: int
    shown_width: int
    shown_height: int
    references: int

    @property
    def buffer_bytes(self) -> int:
        """The most memory that a decoder may hold for streams with this set."""
        pictures = max(1, self.references) + _DELAYED_PICTURES
        return pictures * padded_pixels(self.width, self.height) * _QUARTER_BYTES_PER_PIXEL // 4 + _BYTES_PER_STREAM


def read_h264_sps(unit: bytes, max_pixels: int = MAX_PIXELS) -> H264Sequence:
    """Read a sequence parameter set (7.3.2.1.1).

    Args:
        unit: the whole unit with its header of one byte.
        max_pixels: largest area of a coded picture.

    Raises:
        MediaDecodeError: it is malformed, or demands anything but progressive 4:2:0 with 8 bits and bounded sizes.
    """
    if len(unit) > _MAX_SET_BYTES:
        raise MediaDecodeError("a parameter set of the H.264 stream is too long")
    bits = BitReader(unescaped(unit, 1, "H.264"), "H.264")
    profile = bits.read(8)
    if profile not in (_BASELINE, _MAIN, *_HIGH):
        raise MediaDecodeError(f"H.264 with profile {profile} is not supported; use baseline, main or high")
    bits.read(16)  # constraints and level: promises that cannot be trusted
    number = bits.golomb("The number of a parameter set", 31)
    if profile in _HIGH:
        _read_high_profile(bits)
    bits.golomb("The size of frame numbers", 12)
    _read_picture_order(bits)
    references = bits.golomb("The number of references", 16)
    bits.read(1)  # gaps in frame numbers
    most = max_pixels // _MACROBLOCK
    width = _MACROBLOCK * (1 + bits.golomb("The width", most))
    height = _MACROBLOCK * (1 + bits.golomb("The height", most))
    if not bits.read(1):
        raise MediaDecodeError("only progressive H.264 is supported, and this stream is interlaced")
    check_size(width, height, max_pixels)
    bits.read(1)  # direct_8x8_inference
    left, right, top, bottom = 0, 0, 0, 0
    if bits.read(1):
        left, right = (2 * bits.golomb("The cropping", width) for _ in range(2))
        top, bottom = (2 * bits.golomb("The cropping", height) for _ in range(2))
    if left + right >= width or top + bottom >= height:
        raise MediaDecodeError("the H.264 stream crops its whole picture")
    return H264Sequence(number, width, height, width - left - right, height - top - bottom, references)


def _read_high_profile(bits: BitReader) -> None:
    if (chroma := bits.golomb("The chroma format", 3)) != 1:
        raise MediaDecodeError(f"only H.264 with 4:2:0 is supported, and this stream has chroma format {chroma}")
    for _ in range(2):
        if (depth := 8 + bits.golomb("The depth", 6)) != 8:
            raise MediaDecodeError(f"only H.264 with 8 bits is supported, and this stream has {depth}")
    bits.read(1)
    if bits.read(1):
        for number in range(8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)


def _skip_scaling_list(bits: BitReader, count: int) -> None:
    """Skip a list of scaling factors (7.3.2.1.1.1)."""
    last, following = 8, 8
    for _ in range(count):
        if following:
            code = bits.golomb("A scaling factor", 256)
            following = (last + ((code + 1) // 2 if code & 1 else -(code // 2))) % 256
        last = following or last


def _read_picture_order(bits: BitReader) -> None:
    kind = bits.golomb("The type of picture order", 2)
    if kind == 0:
        bits.golomb("The size of picture orders", 12)
    elif kind == 1:
        bits.read(1)
        for _ in range(2):
            bits.golomb("An offset", (1 << 32) - 2)
        for _ in range(bits.golomb("The number of offsets", 255)):
            bits.golomb("An offset", (1 << 32) - 2)


class H264Gate(PictureGate):
    """Filters one sender's stream for its decoder; use one gate per decoder."""

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin here: parameters come before the first slice, which is that of a keyframe."""
        has_sps, position = False, bitstream.find(START_CODE)
        for _ in range(MAX_UNITS):
            if position < 0 or position + 3 >= len(bitstream):
                return False
            kind = bitstream[position + 3] & 0x1F
            if kind in (_SLICE, _KEY_SLICE):
                return has_sps and kind == _KEY_SLICE
            has_sps = has_sps or kind == _SPS
            position = bitstream.find(START_CODE, position + 3)
        return False

    def check(self, bitstream: bytes) -> bytes:
        """The units of one access unit that the decoder needs.

        Raises:
            MediaDecodeError: a parameter set is malformed or demands too much, or there are several pictures.
        """
        forwarded: list[bytes] = []
        pictures = sequences = parameters = 0
        for unit in split_units(bitstream, "H.264"):
            kind = unit[0] & 0x1F
            if unit[0] & 0x80:
                raise MediaDecodeError("an H.264 unit has a damaged header")
            if kind not in _FORWARDED:
                continue
            sequences += kind == _SPS
            parameters += kind == _PPS
            if sequences > _MAX_SPS or parameters > _MAX_PPS_UNITS:
                raise MediaDecodeError("an H.264 access unit has too many parameter sets")
            if kind == _SPS:
                self.buffer_bytes = max(self.buffer_bytes, read_h264_sps(unit, self._max_pixels).buffer_bytes)
            elif kind == _PPS:
                if len(unit) > _MAX_SET_BYTES:
                    raise MediaDecodeError("a parameter set of the H.264 stream is too long")
                BitReader(unescaped(unit, 1, "H.264"), "H.264").golomb("The number of a parameter set", _MAX_PPS - 1)
            elif kind in (_SLICE, _KEY_SLICE) and len(unit) > 1 and unit[1] & 0x80:  # its first macroblock is 0
                pictures += 1
                if pictures > 1:
                    raise MediaDecodeError("an H.264 access unit has more than one picture")
            forwarded.append(unit)
        return b"".join(_LONG_START_CODE + unit for unit in forwarded)
