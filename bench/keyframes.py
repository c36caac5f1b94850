"""Keyframes of every codec that CODED_PICTURE has."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from teleglyph.wire.acip import Codec

_REAL_TIME = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    Codec.VP8: ("libvpx", _REAL_TIME),
    Codec.VP9: ("libvpx-vp9", _REAL_TIME),
    Codec.AV1: ("libsvtav1", {"preset": "10", "crf": "40", "svtav1-params": "pred-struct=1"}),
    Codec.H264: ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    Codec.JPEG: ("mjpeg", {}),
}


def keyframe(codec: Codec, picture: NDArray[np.uint8]) -> bytes:
    """A picture (RGB, uint8, shape (height, width, 3)) as a keyframe."""
    name, options = _ENCODERS[codec]
    context: Any = av.CodecContext.create(name, "w")
    context.height, context.width = picture.shape[:2]
    context.pix_fmt = "yuvj420p" if codec is Codec.JPEG else "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = options
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=context.pix_fmt)
    frame.pts, frame.time_base = 0, context.time_base
    return bytes([*context.encode(frame), *context.encode(None)][0])
