"""HEVC encoding, through PyAV."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import NotSupportedError

if TYPE_CHECKING:
    pass

MIN_SIDE = 32
"""Pixels; encoders refuse smaller pictures."""
_BITS_PER_PIXEL = 0.12
"""At 480x270 and 30 pictures per second this makes 470 kbit/s."""
_ENCODER_THREADS = 2


@cache
def hevc_available() -> bool:
    """Whether this installation of PyAV has the encoder."""
    import av

    return "libx265" in av.codecs_available


class EncodedPicture(NamedTuple):
    """One encoder output, Annex B; a keyframe includes its parameter sets."""

    data: bytes
    keyframe: bool


class HevcEncoder:
    """Encodes pictures of one size without delay; for one thread at a time.

    Args:
        width, height: size of the input pictures.
        frame_rate: pictures per second, approximately.
        keyframe_seconds: interval of regular keyframes; the first picture is one.

    Attributes:
        width, height: size of the encoded pictures: even, because of the chroma planes, and at least 32.

    Raises:
        NotSupportedError: there is no encoder (:func:`hevc_available`).
    """

    def __init__(self, width: int, height: int, frame_rate: float, keyframe_seconds: float = 1.0) -> None:
        import av

        if not hevc_available():
            raise NotSupportedError("This installation of PyAV has no HEVC encoder. Use --video-codec raw.")
        self._av = av
        self.width = max(MIN_SIDE, width & ~1)
        self.height = max(MIN_SIDE, height & ~1)
        context = av.CodecContext.create("libx265", "w")
        context.width, context.height = self.width, self.height
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(round(frame_rate * 1000), 1000)
        context.time_base = 1 / context.framerate
        context.bit_rate = round(self.width * self.height * frame_rate * _BITS_PER_PIXEL)
        context.thread_count = _ENCODER_THREADS
        keyframe_interval = max(1, round(frame_rate * keyframe_seconds))
        context.gop_size = keyframe_interval
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "x265-params": f"log-level=none:repeat-headers=1:keyint={keyframe_interval}:pools={_ENCODER_THREADS}",
        }
        self._context = context
        self._number = 0
        self._force_keyframe = True

    def encode(self, pixels: NDArray[np.uint8]) -> list[EncodedPicture]:
        """The encoder's outputs for a picture (RGB, uint8, shape (height, width, 3)); normally one."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(width=self.width, height=self.height, format="yuv420p", interpolation="AREA")
        frame.pts = self._number
        frame.time_base = self._context.time_base
        frame.pict_type = 1 if self._force_keyframe else 0
        self._number += 1
        self._force_keyframe = False
        return [EncodedPicture(bytes(packet), packet.is_keyframe) for packet in self._context.encode(frame)]

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        self._force_keyframe = True
