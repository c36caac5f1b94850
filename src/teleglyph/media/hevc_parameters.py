"""Checks an HEVC stream's demands on its decoder before the decoder sees it (ITU-T H.265, 7.3)."""

from __future__ import annotations

from typing import NamedTuple

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_PIXELS, MAX_UNITS, START_CODE, BitReader, split_units, unescaped
from teleglyph.media.gate import PictureGate

_LAST_SLICE_OF_ITS_KIND, _FIRST_IRAP, _LAST_IRAP = 9, 16, 21
_VPS, _SPS, _PPS, _DELIMITER, _END_OF_SEQUENCE, _END_OF_STREAM = 32, 33, 34, 35, 36, 37
_PARAMETER_SETS = (_VPS, _SPS, _PPS)
_FORWARDED = frozenset(
    {
        *range(_LAST_SLICE_OF_ITS_KIND + 1),
        *range(_FIRST_IRAP, _LAST_IRAP + 1),
        *_PARAMETER_SETS,
        _DELIMITER,
        _END_OF_SEQUENCE,
        _END_OF_STREAM,
    }
)
"""Types of units that the decoder needs; all others (messages, reserved and private ones) are dropped."""
_MAX_SPS_BYTES = 4096
_UNITS_LOOKED_AT = 8

_HELD_PICTURES = 17
"""Pictures that a decoder may hold: 16 references and the one being decoded. FFmpeg keeps everything that slices refer
to, so a smaller number in the parameter sets is not a bound."""
_ALIGNMENT = 64
"""The decoder rounds both sides up to multiples of this many pixels."""
_QUARTER_BYTES_PER_PIXEL = 9
"""2.25 bytes: 1.5 for the planes of 4:2:0 in 8 bit, 0.75 for the motion vectors (12 bytes for each 4x4 pixels)."""
_BYTES_PER_PICTURE = MAX_UNITS * 528
"""Bytes for the lists of references of all slices: FFmpeg keeps 0.5 KiB for each of them with every picture."""


class SequenceParameters(NamedTuple):
    """The parts of a sequence parameter set that matter for memory."""

    number: int
    width: int
    height: int
    pictures: int
    """Pictures that the decoder has to hold, according to the encoder."""

    @property
    def buffer_bytes(self) -> int:
        """The most memory that a decoder may hold for streams with this set."""
        width, height = (-(-side // _ALIGNMENT) * _ALIGNMENT for side in (self.width, self.height))
        return _HELD_PICTURES * (width * height * _QUARTER_BYTES_PER_PIXEL // 4 + _BYTES_PER_PICTURE)


def read_sps(unit: bytes, max_pixels: int = MAX_PIXELS) -> SequenceParameters:
    """Read a sequence parameter set (7.3.2.2.1).

    Extensions come after everything that is read here, and do not change it in the base layer.

    Args:
        unit: the whole unit with its header of two bytes.
        max_pixels: largest area of a picture.

    Raises:
        MediaDecodeError: it is malformed, or demands anything but 4:2:0 with 8 bits and bounded sizes.
    """
    if len(unit) > _MAX_SPS_BYTES:
        raise MediaDecodeError("a parameter set of the HEVC stream is too long")
    bits = BitReader(unescaped(unit, 2, "HEVC"), "HEVC")
    bits.read(4)  # the VPS's number
    sub_layers = bits.read(3) + 1
    if sub_layers > 7:
        raise MediaDecodeError("an HEVC stream has more than 7 temporal layers")
    bits.read(1)
    _skip_profile(bits, sub_layers)
    number = bits.golomb("The number of a parameter set", 15)
    if (chroma := bits.golomb("The chroma format", 3)) != 1:
        raise MediaDecodeError(f"only HEVC with 4:2:0 is supported, and this stream has chroma format {chroma}")
    width, height = bits.golomb("The width", max_pixels), bits.golomb("The height", max_pixels)
    if not 0 < width * height <= max_pixels:
        raise MediaDecodeError(f"a picture of {width}x{height} pixels is too large")
    if bits.read(1):
        for side in (width, width, height, height):
            bits.golomb("The cropping", side)
    for _ in range(2):
        if (depth := 8 + bits.golomb("The depth", 8)) != 8:
            raise MediaDecodeError(f"only HEVC with 8 bits is supported, and this stream has {depth}")
    bits.golomb("The size of picture numbers", 12)
    pictures = 0
    for _ in range(sub_layers if bits.read(1) else 1):
        pictures = max(pictures, 1 + bits.golomb("The number of held pictures", 15))
        bits.golomb("The number of reordered pictures", 15)
        bits.golomb("The latency", (1 << 32) - 2)
    smallest = 3 + bits.golomb("The size of coding blocks", 3)
    largest = smallest + bits.golomb("The size of coding tree blocks", 3)
    if not 4 <= largest <= 6:
        raise MediaDecodeError(f"an HEVC stream has coding tree blocks of {1 << largest} pixels")
    if width % (1 << smallest) or height % (1 << smallest):
        raise MediaDecodeError("the size of an HEVC picture is not a multiple of its block size")
    return SequenceParameters(number, width, height, pictures)


def _skip_profile(bits: BitReader, sub_layers: int) -> None:
    """Skip profile_tier_level (7.3.3): a profile's promises cannot be trusted."""
    bits.read(88)
    bits.read(8)
    present = [(bits.read(1), bits.read(1)) for _ in range(sub_layers - 1)]
    if sub_layers > 1:
        bits.read(2 * (9 - sub_layers))
    for profile, level in present:
        bits.read(88 * profile + 8 * level)


class HevcGate(PictureGate):
    """Filters one sender's stream for its decoder; use one gate per decoder."""

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin here: the first units hold parameter sets or an IRAP picture (7.4.2.2)."""
        position = 0
        for _ in range(_UNITS_LOOKED_AT):
            position = bitstream.find(START_CODE, position)
            if position < 0 or position + 3 >= len(bitstream):
                return False
            kind = bitstream[position + 3] >> 1 & 0x3F
            if kind in _PARAMETER_SETS or _FIRST_IRAP <= kind <= _LAST_IRAP + 2:
                return True
            position += 3
        return False

    def check(self, bitstream: bytes) -> bytes:
        """The units of one encoder output that the decoder needs; drops higher layers and messages.

        Raises:
            MediaDecodeError: a parameter set is malformed or demands too much.
        """
        forwarded = []
        for unit in split_units(bitstream, "HEVC"):
            if len(unit) < 2 or unit[0] & 0x80 or not unit[1] & 7:
                raise MediaDecodeError("an HEVC unit has a damaged header")
            kind, layer = unit[0] >> 1, (unit[0] & 1) << 5 | unit[1] >> 3
            if layer or kind not in _FORWARDED:
                continue
            if kind == _SPS:
                self.buffer_bytes = max(self.buffer_bytes, read_sps(unit, self._max_pixels).buffer_bytes)
            elif kind == _VPS and (len(unit) < 4 or unit[2] & 0x03 or unit[3] & 0xF0):
                raise MediaDecodeError("an HEVC stream has more than one layer")
            forwarded.append(unit)
        return b"".join(START_CODE + unit for unit in forwarded)
