"""Decoding compressed pictures, through PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError
from teleglyph.media.bitstream import MAX_PIXELS
from teleglyph.media.picture_codec import PictureCodec

if TYPE_CHECKING:
    import av

_PIXEL_FORMATS = ("yuv420p", "yuvj420p", "yuvj422p", "yuvj440p", "yuvj444p", "gray")
"""What the decoders make of the streams that gates let pass."""


class PictureDecoder:
    """Decodes one sender's stream; for one thread at a time.

    Args:
        codec: of the stream.
        max_pixels: larger pictures are refused before memory is allocated for them.
    """

    def __init__(self, codec: PictureCodec, max_pixels: int = MAX_PIXELS) -> None:
        import av

        self._av = av
        self._codec = codec
        self._max_pixels = max_pixels
        self._context: av.VideoCodecContext | None = None

    def open(self) -> av.VideoCodecContext:
        """Open the decoder, if it is not open yet.

        Raises:
            MediaDecodeError: this installation of PyAV does not have it.
        """
        if self._context is None:
            try:
                created = self._av.CodecContext.create(self._codec.decoder, "r")
            except ValueError as error:
                raise MediaDecodeError(f"This installation of PyAV has no decoder for {self._codec.label}.") from error
            context = cast("av.VideoCodecContext", created)
            context.thread_count = 1
            context.options = {"max_pixels": str(self._max_pixels)}
            context.open()
            self._context = context
        return self._context

    def decode(self, bitstream: bytes, needed: tuple[int, int] | None = None) -> NDArray[np.uint8] | None:
        """The newest picture after one encoder output: RGB, uint8, shape (height, width, 3); None if there is none yet.

        The stream's own colour range and matrix apply; without them, limited range and BT.601, for JPEG full range.
        The picture is scaled down (never up) until one side equals that of ``needed`` (width, height); neither side
        gets smaller.

        Raises:
            MediaDecodeError: the bytes are not valid, or the picture is too large.
        """
        try:
            frames = self.open().decode(self._av.Packet(bitstream))
            if not frames:
                return None
            frame = frames[-1]
            if frame.width * frame.height > self._max_pixels:
                raise MediaDecodeError(f"a picture of {frame.width}x{frame.height} pixels is too large")
            width, height = _cover(frame.width, frame.height, needed)
            picture = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            return np.ascontiguousarray(picture.to_ndarray())
        except (self._av.FFmpegError, ValueError) as error:
            raise MediaDecodeError(f"not decodable as {self._codec.label}: {error}") from error


def available_codecs() -> frozenset[PictureCodec]:
    """The codecs for which this installation of PyAV has decoders."""
    import av

    return frozenset(codec for codec in PictureCodec if codec.decoder in av.codecs_available)


def prepare_decoding() -> None:
    """Load all libraries for decoding and scaling, for processes that cannot open files later."""
    import av

    for codec in available_codecs():
        PictureDecoder(codec).open()
    for pixel_format in _PIXEL_FORMATS:
        frame = av.VideoFrame(64, 64, pixel_format)
        frame.reformat(width=32, height=32, format="rgb24", interpolation="AREA").to_ndarray()


def _cover(width: int, height: int, limit: tuple[int, int] | None) -> tuple[int, int]:
    """The smallest size of that shape with no side below the limit's."""
    scale = 1.0 if limit is None else max(limit[0] / width, limit[1] / height)
    if scale >= 1:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))
