"""Reading compressed pictures' headers: bits, Exp-Golomb codes, units between start codes, and what sizes cost.

This is pure Python, so a hostile stream cannot corrupt the memory of the code that checks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from teleglyph.errors import MediaDecodeError

MAX_PIXELS = 4096 * 2160
MAX_UNITS = 600
"""Units in one encoder output, as many as level 6.2 of HEVC allows slices in a picture (ITU-T H.265 A.4.1)."""
START_CODE = b"\0\0\1"

_MAX_GOLOMB_ZEROS = 31
_ALIGNMENT = 64
"""Decoders round both sides up to multiples of at most this many pixels, and some add as many."""
_STRANGE_ZEROS = re.compile(rb"\0\0(?:[\x00\x02]|\x03[^\x00-\x03])")
"""Forbidden inside a unit (ITU-T H.265 7.4.2, H.264 7.4.1): decoders disagree on their meaning."""


class BitReader:
    """Reads single bits and codes of a header.

    Args:
        data: the header, and perhaps more.
        codec: its codec's name, for errors.
    """

    def __init__(self, data: bytes, codec: str) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)
        self._codec = codec

    def read(self, count: int) -> int:
        """The next ``count`` bits as a number.

        Raises:
            MediaDecodeError: there are fewer.
        """
        if count > self._left:
            raise MediaDecodeError(f"a header of the {self._codec} stream ends too early")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self, name: str, maximum: int) -> int:
        """The next unsigned Exp-Golomb code (ITU-T H.265 9.2), at most ``maximum``.

        Raises:
            MediaDecodeError: it is larger, or the data end.
        """
        zeros = self._left - (self._value & ((1 << self._left) - 1)).bit_length()
        if zeros > _MAX_GOLOMB_ZEROS:
            raise MediaDecodeError(f"{name} of the {self._codec} stream is too large")
        self._left -= zeros
        value = self.read(zeros + 1) - 1
        if value > maximum:
            raise MediaDecodeError(f"{name} of the {self._codec} stream is {value}, and at most {maximum} is allowed")
        return value


def unescaped(unit: bytes, header: int, codec: str) -> bytes:
    """The payload of a unit with a parameter set, without emulation prevention.

    Args:
        unit: with its header.
        header: bytes of the header.
        codec: the codec's name, for errors.

    Raises:
        MediaDecodeError: it contains bytes that decoders read differently.
    """
    if _STRANGE_ZEROS.search(unit):
        raise MediaDecodeError(f"a parameter set of the {codec} stream is damaged")
    return unit[header:].replace(b"\0\0\3", b"\0\0")


def split_units(bitstream: bytes, codec: str) -> Iterator[bytes]:
    """The units between start codes (ITU-T H.265 and H.264, annex B), without zeros after them.

    Raises:
        MediaDecodeError: there are more than ``MAX_UNITS``.
    """
    position = bitstream.find(START_CODE)
    number = 0
    while position >= 0:
        number += 1
        if number > MAX_UNITS:
            raise MediaDecodeError(f"the {codec} picture has more than {MAX_UNITS} units")
        following = bitstream.find(START_CODE, position + 3)
        unit = bitstream[position + 3 : following if following >= 0 else len(bitstream)].rstrip(b"\0")
        if unit:
            yield unit
        position = following


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is empty or too large.

    Raises:
        MediaDecodeError: it is.
    """
    if not 0 < width * height <= max_pixels:
        raise MediaDecodeError(f"a picture of {width}x{height} pixels is not between 1 and {max_pixels} pixels")


def padded_pixels(width: int, height: int) -> int:
    """The pixels for which a decoder allocates memory, for a picture of this size, at most."""
    padded_width, padded_height = (-(-side // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT for side in (width, height))
    return padded_width * padded_height
