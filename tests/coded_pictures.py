"""Compressed pictures of every codec, as browsers would send them, made by PyAV's encoders."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from teleglyph.media.picture_codec import PictureCodec

os.environ.setdefault("SVT_LOG", "1")  # errors only

Pixels = NDArray[np.uint8]

_REAL_TIME = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
ENCODERS: dict[PictureCodec, tuple[str, str, dict[str, str]]] = {
    PictureCodec.HEVC: ("libx265", "yuv420p", {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}),
    PictureCodec.VP8: ("libvpx", "yuv420p", _REAL_TIME),
    PictureCodec.VP9: ("libvpx-vp9", "yuv420p", _REAL_TIME),
    PictureCodec.AV1: ("libsvtav1", "yuv420p", {"preset": "10", "crf": "20", "svtav1-params": "pred-struct=1"}),
    PictureCodec.H264: ("libx264", "yuv420p", {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}),
    PictureCodec.JPEG: ("mjpeg", "yuvj420p", {}),
}
_QUIET = {"libx265": ("x265-params", "log-level=none:repeat-headers=1:pools=1")}


def encode_pictures(
    codec: PictureCodec,
    pictures: list[Pixels],
    *,
    keyframe_interval: int = 1000,
    matrix: Colorspace | None = None,
    color_range: ColorRange | None = None,
    pixel_format: str = "",
    options: dict[str, str] | None = None,
) -> list[bytes]:
    """One encoder output for each picture (RGB, uint8, shape (height, width, 3)), or more if there are hidden ones."""
    name, usual_format, settings = ENCODERS[codec]
    context: Any = av.CodecContext.create(name, "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt = pixel_format or usual_format
    context.time_base = Fraction(1, 30)
    context.thread_count = 1
    if codec is not PictureCodec.AV1:
        context.bit_rate = 4_000_000
    context.gop_size = keyframe_interval
    context.options = {**settings, **(options or {}), **dict([_QUIET[name]] if name in _QUIET else [])}
    reformat: dict[str, Any] = {"format": context.pix_fmt}
    if matrix is not None:
        context.colorspace = reformat["dst_colorspace"] = matrix
    if color_range is not None:
        context.color_range = reformat["dst_color_range"] = color_range
    outputs = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(**reformat)
        frame.pts, frame.time_base = number, context.time_base
        outputs += context.encode(frame)
    return [bytes(packet) for packet in [*outputs, *context.encode(None)]]


def plain(color: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> Pixels:
    """A picture of one colour."""
    return np.full((size[1], size[0], 3), color, np.uint8)


def moving(count: int, size: tuple[int, int] = (64, 48)) -> list[Pixels]:
    """Pictures of a colourful pattern that moves to the right."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return [
        np.stack([(x * 3 + 8 * n) % 256, (y * 4) % 256, (x + y + 4 * n) % 256], axis=-1).astype(np.uint8)
        for n in range(count)
    ]
