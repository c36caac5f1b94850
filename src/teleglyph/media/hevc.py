"""HEVC decoding and encoding, through PyAV."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError, NotSupportedError
from teleglyph.media.hevc_parameters import MAX_PIXELS

if TYPE_CHECKING:
    import av

MIN_SIDE = 32
"""Pixels; encoders refuse smaller pictures."""
_BITS_PER_PIXEL = 0.12
"""At 480x270 and 30 pictures per second this makes 470 kbit/s."""
_ENCODER_THREADS = 2


class HevcDecoder:
    """Decodes one sender's Annex B stream; for one thread at a time.

    Args:
        max_pixels: larger pictures are refused before memory is allocated for them.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        import av

        self._av = av
        self._max_pixels = max_pixels
        context = av.CodecContext.create("hevc", "r")
        context.thread_count = 1
        context.options = {"max_pixels": str(max_pixels)}
        self._context: av.VideoCodecContext = context

    def decode(self, bitstream: bytes, needed: tuple[int, int] | None = None) -> NDArray[np.uint8] | None:
        """The newest picture after one encoder output: RGB, uint8, shape (height, width, 3); None if there is none yet.

        The picture is scaled down (never up) until one side equals that of ``needed`` (width, height); neither side
        gets smaller.

        Raises:
            MediaDecodeError: the bytes are not valid HEVC, or the picture is too large.
        """
        try:
            frames = self._context.decode(self._av.Packet(bitstream))
            if not frames:
                return None
            frame = frames[-1]
            if frame.width * frame.height > self._max_pixels:
                raise MediaDecodeError(f"a picture of {frame.width}x{frame.height} pixels is too large")
            width, height = _cover(frame.width, frame.height, needed)
            picture = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            return np.ascontiguousarray(picture.to_ndarray())
        except (self._av.FFmpegError, ValueError) as error:
            raise MediaDecodeError(f"not decodable as HEVC: {error}") from error


def prepare_decoding() -> None:
    """Load all libraries for decoding and scaling, for processes that cannot open files later."""
    import av

    HevcDecoder()
    frame = av.VideoFrame(64, 64, "yuv420p")
    frame.reformat(width=32, height=32, format="rgb24", interpolation="AREA").to_ndarray()


def _cover(width: int, height: int, limit: tuple[int, int] | None) -> tuple[int, int]:
    """The smallest size of that shape with no side below the limit's."""
    scale = 1.0 if limit is None else max(limit[0] / width, limit[1] / height)
    if scale >= 1:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))


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
