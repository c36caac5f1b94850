"""The codecs of compressed pictures."""

from __future__ import annotations

import enum


class PictureCodec(enum.IntEnum):
    """A codec; the numbers above 0 are those of CODED_PICTURE (docs/protocol/page.md#coded_picture)."""

    HEVC = 0
    VP8 = 1
    VP9 = 2
    AV1 = 3
    H264 = 4
    JPEG = 5

    @property
    def label(self) -> str:
        """The codec's name for people."""
        return "H.264" if self is PictureCodec.H264 else self.name

    @property
    def decoder(self) -> str:
        """FFmpeg's name of the decoder.  FFmpeg's own for AV1 needs a graphics card."""
        return _DECODERS.get(self, self.name.lower())

    @property
    def is_independent(self) -> bool:
        """Every picture is a keyframe."""
        return self is PictureCodec.JPEG


_DECODERS = {PictureCodec.AV1: "libdav1d", PictureCodec.JPEG: "mjpeg"}
