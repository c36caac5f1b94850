"""HEVC pictures, through PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError

if TYPE_CHECKING:
    import av

_START_CODE = b"\0\0\1"
_FIRST_IRAP, _LAST_IRAP = 16, 23
_PARAMETER_SETS = (32, 33, 34)
_UNITS_LOOKED_AT = 8
MAX_PIXELS = 4096 * 2160


def starts_with_keyframe(bitstream: bytes) -> bool:
    """Whether decoding can begin here: the first units hold parameter sets or an IRAP picture (ITU-T H.265 7.4.2.2)."""
    position = 0
    for _ in range(_UNITS_LOOKED_AT):
        position = bitstream.find(_START_CODE, position)
        if position < 0 or position + 3 >= len(bitstream):
            return False
        kind = bitstream[position + 3] >> 1 & 0x3F
        if kind in _PARAMETER_SETS or _FIRST_IRAP <= kind <= _LAST_IRAP:
            return True
        position += 3
    return False


class HevcDecoder:
    """Decodes one sender's Annex B stream; to be used by one thread at a time.

    Args:
        max_pixels: larger pictures are refused before memory is spent on them.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        import av

        self._av = av
        self._max_pixels = max_pixels
        context = av.CodecContext.create("hevc", "r")
        context.thread_count = 1
        context.options = {"max_pixels": str(max_pixels)}
        self._context: av.VideoCodecContext = context

    def decode(self, bitstream: bytes, max_size: tuple[int, int] | None = None) -> NDArray[np.uint8] | None:
        """The newest picture after one encoder output: RGB, uint8, shape (height, width, 3); None if there is none yet.

        The picture is scaled down to fit into ``max_size`` (width, height), never up.

        Raises:
            MediaDecodeError: the bytes are no valid HEVC, or the picture is too large.
        """
        try:
            frames = self._context.decode(self._av.Packet(bitstream))
            if not frames:
                return None
            frame = frames[-1]
            if frame.width * frame.height > self._max_pixels:
                raise MediaDecodeError(f"a picture of {frame.width}x{frame.height} pixels is too large")
            width, height = _fit(frame.width, frame.height, max_size)
            picture = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            return np.ascontiguousarray(picture.to_ndarray())
        except (self._av.FFmpegError, ValueError) as error:
            raise MediaDecodeError(f"not decodable as HEVC: {error}") from error


def _fit(width: int, height: int, limit: tuple[int, int] | None) -> tuple[int, int]:
    if limit is None or (width <= limit[0] and height <= limit[1]):
        return width, height
    scale = min(limit[0] / width, limit[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
