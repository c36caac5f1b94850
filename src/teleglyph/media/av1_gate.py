"""Checks an AV1 stream's demands on its decoder before the decoder sees it."""

from __future__ import annotations

from collections.abc import Iterator

from teleglyph.errors import MediaDecodeError
from teleglyph.media.av1_header import Av1Sequence, FrameType, read_frame_header, read_sequence_header
from teleglyph.media.bitstream import MAX_PIXELS, MAX_UNITS, check_size, padded_pixels
from teleglyph.media.gate import PictureGate

_SEQUENCE, _DELIMITER, _FRAME_HEADER, _TILES, _FRAME = 1, 2, 3, 4, 6
_FORWARDED = frozenset({_SEQUENCE, _FRAME_HEADER, _TILES, _FRAME})
"""Types of OBUs that the decoder needs; metadata, padding, repeated headers and lists of tiles are dropped."""
_DELIMITER_OBU = bytes([_DELIMITER << 3 | 0x02, 0])
_MAX_SIZE_BYTES = 8
_MAX_FRAMES, _MAX_SEQUENCES = 8, 2
"""Headers in one temporal unit.  Reading them costs time of the event loop."""
_HELD_PICTURES = 13
"""Eight references, the picture being decoded, two on their way, and one with film grain."""
_BYTES_PER_PIXEL = 2
"""1.5 for the planes, the rest for motion vectors and segments."""
_TILE_BYTES_PER_PIXEL = 8
"""dav1d keeps the state of each tile, up to 24 KiB, and a tile may be as small as 64x64 pixels."""
_BYTES_PER_STREAM = 4 << 20


class Av1Gate(PictureGate):
    """Filters one sender's stream for its decoder; use one gate per decoder."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        super().__init__(max_pixels)
        self._sequence: Av1Sequence | None = None

    @staticmethod
    def starts_with_keyframe(bitstream: bytes) -> bool:
        """Whether decoding can begin here: a sequence header comes before the first frame, which is a keyframe."""
        sequence: Av1Sequence | None = None
        try:
            for kind, _, payload in _obus(bitstream):
                if kind == _SEQUENCE:
                    sequence = read_sequence_header(payload)
                elif kind in (_FRAME_HEADER, _FRAME):
                    return sequence is not None and read_frame_header(payload, sequence).kind is FrameType.KEY
        except MediaDecodeError:
            pass
        return False

    def check(self, bitstream: bytes) -> bytes:
        """The OBUs of one temporal unit that the decoder needs.

        Raises:
            MediaDecodeError: a header is malformed or demands too much, or there are several pictures to be shown.
        """
        forwarded, frames, shown = [_DELIMITER_OBU], 0, 0
        for kind, obu, payload in _obus(bitstream):
            if kind not in _FORWARDED:
                continue
            if kind == _SEQUENCE:
                self._sequence = read_sequence_header(payload)
                self._account(self._sequence.width, self._sequence.height)
            elif kind in (_FRAME_HEADER, _FRAME):
                frames += 1
                shown += self._check_frame(payload)
                if frames > _MAX_FRAMES or shown > 1:
                    raise MediaDecodeError("an AV1 temporal unit has several pictures")
            forwarded.append(obu)
        return b"".join(forwarded) if len(forwarded) > 1 else b""

    def _check_frame(self, payload: bytes) -> bool:
        """Check a frame header; returns whether it shows a picture."""
        if self._sequence is None:
            raise MediaDecodeError("an AV1 frame came before its sequence header")
        frame = read_frame_header(payload, self._sequence)
        if frame.size is not None:
            self._account(*frame.size)
        return frame.is_shown

    def _account(self, width: int, height: int) -> None:
        check_size(width, height, self._max_pixels)
        per_pixel = _HELD_PICTURES * _BYTES_PER_PIXEL + _TILE_BYTES_PER_PIXEL
        self.buffer_bytes = max(self.buffer_bytes, per_pixel * padded_pixels(width, height) + _BYTES_PER_STREAM)


def _obus(bitstream: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Type, whole bytes and payload of each OBU (5.3.1).

    Raises:
        MediaDecodeError: one is malformed, or there are too many.
    """
    position = sequences = 0
    for _ in range(MAX_UNITS):
        if position >= len(bitstream):
            return
        header = bitstream[position]
        start = position + 1 + (header >> 2 & 1)
        if header & 0x81 or not header & 0x02:
            raise MediaDecodeError("an AV1 unit has a damaged header, or does not contain its size")
        size, start = _read_size(bitstream, start)
        end = start + size
        if end > len(bitstream):
            raise MediaDecodeError("an AV1 unit ends too early")
        if header & 0x04 and bitstream[position + 1] >> 3 & 3:
            raise MediaDecodeError("AV1 with several spatial layers is not supported; send a single one")
        kind = header >> 3 & 0x0F
        sequences += kind == _SEQUENCE
        if sequences > _MAX_SEQUENCES:
            raise MediaDecodeError("an AV1 temporal unit has too many sequence headers")
        yield kind, bitstream[position:end], bitstream[start:end]
        position = end
    if position < len(bitstream):
        raise MediaDecodeError(f"the AV1 picture has more than {MAX_UNITS} units")


def _read_size(bitstream: bytes, position: int) -> tuple[int, int]:
    """Read a number (4.10.5); returns it and the position after it."""
    value = 0
    for number in range(_MAX_SIZE_BYTES):
        if position >= len(bitstream):
            break
        byte = bitstream[position]
        value |= (byte & 0x7F) << 7 * number
        position += 1
        if not byte & 0x80:
            return value, position
    raise MediaDecodeError("an AV1 unit ends too early")
