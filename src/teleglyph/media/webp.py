"""Converts animated WebP, which FFmpeg's demuxer does not support, to a film for FFmpeg.

FFmpeg decodes each frame as a single picture.  The container is described in the WebP Container Specification,
https://developers.google.com/speed/webp/docs/riff_container.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_HEAD = struct.Struct("<4sI4s4sIB")
HEAD_BYTES = _HEAD.size
_ANIMATED, _HAS_ALPHA = 0x02, 0x10
_FRAME_HEAD = 16
_DISPOSE, _NO_BLEND = 0x01, 0x02
_MAX_CHUNK = 64 << 20
_MAX_CANVAS = 1 << 24
"""Pixels; the format allows 2^32, but each whole frame is held in memory."""
_MILLISECOND = Fraction(1, 1000)


class ByteSource(Protocol):
    """The source of the file."""

    name: str

    def read(self, size: int) -> bytes:
        """Some of the next bytes; empty at the end."""


def is_animated(head: bytes) -> bool:
    """Whether a file with these first bytes is an animated WebP."""
    if len(head) < HEAD_BYTES:
        return False
    riff, _, webp, chunk, _, flags = _HEAD.unpack(head[:HEAD_BYTES])
    return (riff, webp, chunk) == (b"RIFF", b"WEBP", b"VP8X") and bool(flags & _ANIMATED)


class WebpInput:
    """An animated WebP as the bytes of a Matroska film, converted while they are read.

    Args:
        source: the file, at its start.
    """

    def __init__(self, source: ByteSource) -> None:
        self.name = "animation.mkv"
        self._source = source
        self._parts: Iterator[bytes] = self._films_bytes()
        self._ready = b""

    def read(self, size: int) -> bytes:
        """The next bytes; empty at the end."""
        while not self._ready:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._ready = part
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def _films_bytes(self) -> Iterator[bytes]:
        import av

        sink = _Sink()
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            return
        with av.open(sink, "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.height, stream.width = first[0].shape[:2]
            stream.pix_fmt = "bgr0"
            stream.codec_context.time_base = _MILLISECOND
            time = 0
            frame: tuple[NDArray[np.uint8], int] | None = first
            while frame is not None:
                pixels, duration = frame
                picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                picture.pts, picture.time_base, picture.duration = time, _MILLISECOND, duration
                for packet in stream.encode(picture):
                    packet.duration = round(duration * _MILLISECOND / packet.time_base)
                    container.mux(packet)
                yield sink.drain()
                time += duration
                frame = next(frames, None)
        yield sink.drain()

    def _frames(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
        """The composed pictures on black, with their durations in milliseconds."""
        import av

        self._exactly(12)
        canvas = np.zeros((0, 0, 3), np.uint8)
        for name, data in self._chunks():
            if name == b"VP8X" and len(data) >= 10:
                width, height = _three(data, 4) + 1, _three(data, 7) + 1
                if width * height > _MAX_CANVAS:
                    return
                canvas = np.zeros((height, width, 3), np.uint8)
            elif name == b"ANMF" and len(data) > _FRAME_HEAD:
                left, top, duration, flags = 2 * _three(data, 0), 2 * _three(data, 3), _three(data, 12), data[15]
                try:
                    part = _decode(data[_FRAME_HEAD:])
                except (av.FFmpegError, ValueError):
                    part = np.zeros((0, 0, 4), np.uint8)  # damaged: keep the previous picture
                place = canvas[top : top + part.shape[0], left : left + part.shape[1]]
                _draw(place, part[: place.shape[0], : place.shape[1]], blend=not flags & _NO_BLEND)
                yield canvas.copy(), duration
                if flags & _DISPOSE:
                    place[:] = 0

    def _chunks(self) -> Iterator[tuple[bytes, bytes]]:
        while len(head := self._exactly(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if size > _MAX_CHUNK:
                return
            yield name, self._exactly(size + size % 2)[:size]

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (more := self._source.read(size - len(data))):
            data += more
        return bytes(data)


class _Sink:
    """Collects FFmpeg's output."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def drain(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _three(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 3], "little")


def _decode(chunks: bytes) -> NDArray[np.uint8]:
    """A frame's chunks as RGBA."""
    import av

    extended = chunks.startswith(b"ALPH")
    if extended:
        width, height = _lossy_size(chunks)
        head = bytes((_HAS_ALPHA, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = b"VP8X" + struct.pack("<I", len(head)) + head + chunks
    file = b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
    context = av.CodecContext.create("webp", "r")
    context.options = {"max_pixels": str(_MAX_CANVAS)}
    frames = [*context.decode(av.Packet(file)), *context.decode(None)]
    if not frames:
        raise ValueError("The frame has no picture.")
    pixels: NDArray[np.uint8] = np.asarray(frames[0].to_ndarray(format="rgba"), np.uint8)
    return pixels


def _lossy_size(chunks: bytes) -> tuple[int, int]:
    """Width and height of the VP8 chunk after the alpha chunk; they follow its start code."""
    size = struct.unpack_from("<I", chunks, 4)[0]
    start = 8 + size + size % 2 + 8 + 6
    width, height = struct.unpack_from("<HH", chunks + bytes(4), start) if len(chunks) > start else (1, 1)
    return max(1, width & 0x3FFF), max(1, height & 0x3FFF)


def _draw(place: NDArray[np.uint8], part: NDArray[np.uint8], *, blend: bool) -> None:
    """Draw RGBA over the existing pixels, or replace them."""
    alpha = part[..., 3:].astype(np.uint16)
    below = place.astype(np.uint16) * (255 - alpha) if blend else 0
    place[:] = (part[..., :3] * alpha + below + 127) // 255
