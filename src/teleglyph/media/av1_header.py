"""Reads the headers of an AV1 stream that decide about sizes.

The sections are those of the AV1 Bitstream & Decoding Process Specification, version 1.0.0 with errata 1.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import BitReader

SELECT = 2
"""Each frame decides for itself (SELECT_SCREEN_CONTENT_TOOLS, SELECT_INTEGER_MV)."""
_SEQUENCE_BYTES, _FRAME_BYTES = 256, 128
"""Bytes in which the parts of the headers that are read here end."""
_RGB = (1, 13, 0)
_MAX_UVLC_ZEROS = 31
_REFERENCES, _SLOTS = 7, 8
_ALL_SLOTS = 0xFF


class FrameType(enum.IntEnum):
    """frame_type (6.8.2)."""

    KEY = 0
    INTER = 1
    INTRA_ONLY = 2
    SWITCH = 3


class Av1Sequence(NamedTuple):
    """A sequence header: how to read the frame headers after it, and the largest size.

    Attributes:
        width, height: pixels of frames that say nothing else.
        width_bits, height_bits: bits of a frame's own size.
        is_reduced: every frame is a keyframe with a short header.
        id_bits, id_delta_bits: bits of frame numbers; 0 for none.
        order_bits: bits of a frame's place in the order; 0 for none.
        screen_tools, integer_motion: 0, 1 or ``SELECT``.
    """

    width: int
    height: int
    width_bits: int
    height_bits: int
    is_reduced: bool
    id_bits: int
    id_delta_bits: int
    order_bits: int
    screen_tools: int
    integer_motion: int


class Av1Frame(NamedTuple):
    """The first part of a frame header.

    Attributes:
        kind: of the frame; None if it only shows an earlier one.
        is_shown: it is shown at once.
        size: width before superresolution and height in pixels; None if they are those of an earlier frame.
    """

    kind: FrameType | None
    is_shown: bool
    size: tuple[int, int] | None


def read_sequence_header(data: bytes) -> Av1Sequence:
    """Read a sequence header (5.5).

    Raises:
        MediaDecodeError: it is malformed, or demands anything but one spatial layer of 4:2:0 with 8 bits.
    """
    bits = BitReader(data[:_SEQUENCE_BYTES], "AV1")
    if bits.read(3):
        raise MediaDecodeError("only AV1 with 4:2:0 (main profile) is supported")
    bits.read(1)  # still_picture
    is_reduced = bool(bits.read(1))
    if is_reduced:
        bits.read(5)
    else:
        _read_operating_points(bits)
    width_bits, height_bits = 1 + bits.read(4), 1 + bits.read(4)
    width, height = 1 + bits.read(width_bits), 1 + bits.read(height_bits)
    id_bits = id_delta_bits = order_bits = 0
    screen_tools = integer_motion = SELECT
    if not is_reduced and bits.read(1):
        id_delta_bits = 2 + bits.read(4)
        id_bits = id_delta_bits + 1 + bits.read(3)
    bits.read(3)
    if not is_reduced:
        bits.read(4)
        has_order = bits.read(1)
        if has_order:
            bits.read(2)
        screen_tools = SELECT if bits.read(1) else bits.read(1)
        if screen_tools:
            integer_motion = SELECT if bits.read(1) else bits.read(1)
        if has_order:
            order_bits = 1 + bits.read(3)
    bits.read(3)
    _check_colors(bits)
    return Av1Sequence(
        *(width, height, width_bits, height_bits, is_reduced),
        *(id_bits, id_delta_bits, order_bits, screen_tools, integer_motion),
    )


def _read_operating_points(bits: BitReader) -> None:
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)
        if bits.read(1):
            _skip_uvlc(bits)
        if bits.read(1):
            raise MediaDecodeError("AV1 with a decoder model is not supported")
    has_delay = bits.read(1)
    for _ in range(1 + bits.read(5)):
        layers = bits.read(12)
        if layers >> 8 not in (0, 1):
            raise MediaDecodeError("AV1 with several spatial layers is not supported; send a single one")
        if bits.read(5) > 7:
            bits.read(1)
        if has_delay and bits.read(1):
            bits.read(4)


def _skip_uvlc(bits: BitReader) -> None:
    """Skip a number (4.10.3)."""
    zeros = 0
    while not bits.read(1):
        zeros += 1
        if zeros > _MAX_UVLC_ZEROS:
            raise MediaDecodeError("a header of the AV1 stream is damaged")
    bits.read(zeros)


def _check_colors(bits: BitReader) -> None:
    """Read color_config (5.5.2)."""
    if bits.read(1):
        raise MediaDecodeError("only AV1 with 8 bits is supported")
    is_gray = bits.read(1)
    if bits.read(1) and (bits.read(8), bits.read(8), bits.read(8)) == _RGB and not is_gray:
        raise MediaDecodeError("only AV1 with 4:2:0 is supported, and this stream has RGB")


def read_frame_header(data: bytes, sequence: Av1Sequence) -> Av1Frame:
    """Read a frame header up to the size (5.9.2).

    Raises:
        MediaDecodeError: it is malformed.
    """
    bits = BitReader(data[:_FRAME_BYTES], "AV1")
    kind, is_shown, is_resilient = FrameType.KEY, True, True
    if not sequence.is_reduced:
        if bits.read(1):
            return Av1Frame(None, True, None)
        kind, is_shown = FrameType(bits.read(2)), bool(bits.read(1))
        if not is_shown:
            bits.read(1)
        is_resilient = kind is FrameType.SWITCH or (kind is FrameType.KEY and is_shown) or bool(bits.read(1))
    is_intra = kind in (FrameType.KEY, FrameType.INTRA_ONLY)
    bits.read(1)
    has_screen_tools = bits.read(1) if sequence.screen_tools == SELECT else sequence.screen_tools
    if has_screen_tools and sequence.integer_motion == SELECT:
        bits.read(1)
    bits.read(sequence.id_bits)
    has_size = kind is FrameType.SWITCH or (not sequence.is_reduced and bool(bits.read(1)))
    bits.read(sequence.order_bits)
    if not is_intra and not is_resilient:
        bits.read(3)
    refreshed = _ALL_SLOTS if kind is FrameType.SWITCH or (kind is FrameType.KEY and is_shown) else bits.read(8)
    if (not is_intra or refreshed != _ALL_SLOTS) and is_resilient and sequence.order_bits:
        bits.read(_SLOTS * sequence.order_bits)
    if not is_intra:
        _skip_references(bits, sequence)
        if has_size and not is_resilient and any(bits.read(1) for _ in range(_REFERENCES)):
            return Av1Frame(kind, is_shown, None)
    if not has_size:
        return Av1Frame(kind, is_shown, (sequence.width, sequence.height))
    return Av1Frame(kind, is_shown, (1 + bits.read(sequence.width_bits), 1 + bits.read(sequence.height_bits)))


def _skip_references(bits: BitReader, sequence: Av1Sequence) -> None:
    is_short = sequence.order_bits and bits.read(1)
    if is_short:
        bits.read(6)
    for _ in range(_REFERENCES):
        if not is_short:
            bits.read(3)
        bits.read(sequence.id_delta_bits)
