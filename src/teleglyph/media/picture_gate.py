"""Gates between senders and decoders: what a stream may ask of its decoder."""

from __future__ import annotations

from teleglyph.media.av1_gate import Av1Gate
from teleglyph.media.gate import PictureGate
from teleglyph.media.h264_parameters import H264Gate
from teleglyph.media.hevc_parameters import HevcGate
from teleglyph.media.jpeg_header import JpegGate
from teleglyph.media.picture_codec import PictureCodec
from teleglyph.media.vp8_header import Vp8Gate
from teleglyph.media.vp9_header import Vp9Gate

_GATES: dict[PictureCodec, type[PictureGate]] = {
    PictureCodec.HEVC: HevcGate,
    PictureCodec.VP8: Vp8Gate,
    PictureCodec.VP9: Vp9Gate,
    PictureCodec.AV1: Av1Gate,
    PictureCodec.H264: H264Gate,
    PictureCodec.JPEG: JpegGate,
}


def open_gate(codec: PictureCodec, max_pixels: int) -> PictureGate:
    """A gate for a new stream, which lets pictures of at most so many pixels pass."""
    return _GATES[codec](max_pixels)


def starts_with_keyframe(codec: PictureCodec, bitstream: bytes) -> bool:
    """Whether decoding can begin with this encoder output, according to its bits and not to its sender's claims."""
    return _GATES[codec].starts_with_keyframe(bitstream)
