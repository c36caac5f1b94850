"""Turns packets into pictures: decodes them, and converts them with one filter graph to small upright RGB pictures."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError
from teleglyph.media.damage import Damage
from teleglyph.media.opening import MAX_PIXELS, ffmpeg_reason
from teleglyph.media.orientation import Orientation, presentation_of
from teleglyph.media.streams import StreamInfo
from teleglyph.media.tone import USUAL_PEAK, Transfer, cube, transfer_of

if TYPE_CHECKING:
    import av
    import av.filter

    from teleglyph.media.packets import Coded

_TICKS = 1_000_000
_HD_WIDTH, _HD_HEIGHT = 1280, 576
"""Unmarked pictures at least this wide, or higher than this, are BT.709; smaller ones are BT.601."""
_BT601, _BT709, _UNSPECIFIED, _RGB = 5, 1, 2, 0
_FULL_RANGE = 2
_ASPECTS = (1 / 32, 32.0)
_MIN_YADIF = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a film.

    Attributes:
        time: its presentation time, in seconds since the start.
        pixels: RGB, uint8, shape (height, width, 3), C-contiguous.
    """

    time: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame from a decoder, with its time and duration in seconds."""

    time: float
    duration: float
    frame: av.VideoFrame


def fit_pixels(width: float, height: float, limit: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture scaled down to fit into ``limit`` (width, height), in its shape."""
    scale = min(1.0, limit[0] / width, limit[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


class PictureDecoder:
    """Decodes one stream; counts and skips damaged packets.

    Args:
        info: the stream.
        begin: the start of its round, in seconds since the start.
        damage: counts over all rounds of a loop.

    Attributes:
        failure: the reason why the last damaged packet could not be decoded.
    """

    def __init__(self, info: StreamInfo, begin: float, damage: Damage) -> None:
        self.info = info
        self.failure = ""
        self._damage = damage
        self._next = begin
        self._last = -math.inf
        self._first_aspect: float | None = None

    def decode(self, coded: Coded) -> list[Decoded]:
        """The frames that a packet completes.

        Raises:
            MediaDecodeError: too many packets in a row gave no frame.
        """
        import av

        failure: Exception | None = None
        frames: list[av.VideoFrame] = []
        try:
            frames = self.info.decoder.decode(coded.packet)
        except (av.FFmpegError, ValueError, OSError) as error:
            failure = error
        if frames:
            self._damage.record_success()
        elif self._damage.record_failure(coded.time, coded.packet.size, failed=failure is not None):
            raise MediaDecodeError(f"its picture is damaged, {self._damage.in_a_row} packets in a row gave no frame")
        if failure is not None:
            self.failure = _reason(failure, self.info)
        return [self._timed(frame) for frame in frames]

    def flush(self) -> list[Decoded]:
        """The remaining frames."""
        import av

        with contextlib.suppress(av.FFmpegError, ValueError, OSError):
            return [self._timed(frame) for frame in self.info.decoder.decode(None)]
        return []

    @property
    def aspect(self) -> float:
        """Width by height of the current pixels: the container's value, until the stream's own value changes."""
        present = self.info.decoder.sample_aspect_ratio
        own = float(present) if present else 1.0
        if self._first_aspect is None:
            self._first_aspect = own
        aspect = self.info.aspect if own == self._first_aspect else own
        return aspect if _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0

    def _timed(self, frame: av.VideoFrame) -> Decoded:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = self._next if stamp is None or self.info.is_cover else float(stamp * self.info.time_base)
        time = max(time, self._last)
        duration = float(frame.duration * self.info.time_base) or self.info.step
        self._last, self._next = time, time + duration
        return Decoded(time, duration, frame)


def _reason(failure: Exception, info: StreamInfo) -> str:
    reason = ffmpeg_reason(failure)
    if info.decoder.width:
        return reason
    # Decoders refuse pictures over the bound with different errors.
    limit = f"its pictures have more than {MAX_PIXELS // 1_000_000} million pixels"
    return limit if getattr(failure, "errno", None) == errno.EINVAL else f"{reason}, or {limit}"


@dataclass(frozen=True, slots=True)
class _Shape:
    """The input format of a graph; another format needs another graph."""

    width: int
    height: int
    format: str
    aspect: float
    matrix: int
    range: int
    orientation: Orientation
    interlaced: bool
    transfer: Transfer | None
    peak: float
    has_alpha: bool


class PictureGraph:
    """Converts decoded frames to pictures of a maximum size.

    FFmpeg's filters, in this order: deinterlace frames that are flagged as interlaced; put transparent pictures on
    black; scale, before the conversion to RGB, to square pixels; convert HDR to SDR; rotate and mirror.  A frame with
    another size, format or orientation gets a new graph.

    Args:
        max_size: width and height.
    """

    def __init__(self, max_size: tuple[int, int]) -> None:
        self._max_size = max_size
        self._shape: _Shape | None = None
        self._graph: av.filter.Graph | None = None
        self._interlaced = False

    @property
    def holds_back(self) -> bool:
        """Whether a picture may only be ready after the next frame."""
        return self._interlaced

    def convert(self, decoded: Decoded, aspect: float) -> Iterator[Picture]:
        """The pictures that this frame completes.

        Raises:
            MediaDecodeError: FFmpeg cannot convert frames of this kind.
        """
        import av

        frame = decoded.frame
        shape = self._shape_of(frame, aspect)
        if shape != self._shape or self._graph is None:
            yield from self.flush()
            self._graph, self._shape = _build(shape, self._max_size), shape
        frame.pts, frame.time_base = round(decoded.time * _TICKS), Fraction(1, _TICKS)
        # The graph already handles these two, and the scaler would refuse some of their values.
        frame.color_trc = frame.color_primaries = _UNSPECIFIED
        try:
            self._graph.push(frame)
        except (av.FFmpegError, ValueError) as error:
            self._graph = None
            raise MediaDecodeError(f"a picture cannot be converted: {ffmpeg_reason(error)}") from error
        yield from self._pull()

    def flush(self) -> Iterator[Picture]:
        """The remaining pictures of the graph."""
        import av

        if self._graph is not None:
            with contextlib.suppress(av.FFmpegError):
                self._graph.push(None)
                yield from self._pull()
            self._graph = None

    def _pull(self) -> Iterator[Picture]:
        import av

        graph = self._graph
        while graph is not None:
            try:
                frame: Any = graph.pull()
            except (BlockingIOError, EOFError, av.FFmpegError):
                return
            yield Picture(float(frame.pts * frame.time_base), np.ascontiguousarray(frame.to_ndarray()))

    def _shape_of(self, frame: av.VideoFrame, aspect: float) -> _Shape:
        presentation = presentation_of(frame)
        is_interlaced = frame.interlaced_frame and min(frame.width, frame.height) >= _MIN_YADIF
        # One interlaced frame is enough: films mix both kinds, and the filter does not change progressive frames.
        self._interlaced = self._interlaced or is_interlaced
        kind = frame.format
        is_rgb = kind.is_rgb or kind.has_palette
        transfer = transfer_of(frame.color_trc, frame.color_primaries)
        return _Shape(
            frame.width,
            frame.height,
            kind.name,
            aspect,
            _RGB if is_rgb else _matrix_of(frame),
            _FULL_RANGE if is_rgb or kind.name.startswith("yuvj") else frame.color_range,
            presentation.orientation,
            self._interlaced,
            transfer,
            presentation.peak or USUAL_PEAK if transfer is Transfer.PQ else USUAL_PEAK,
            kind.has_palette or any(component.is_alpha for component in kind.components),
        )


def _matrix_of(frame: av.VideoFrame) -> int:
    if frame.colorspace not in (_UNSPECIFIED, _RGB):
        return int(frame.colorspace)
    return _BT709 if frame.width >= _HD_WIDTH or frame.height > _HD_HEIGHT else _BT601


def _build(shape: _Shape, max_size: tuple[int, int]) -> av.filter.Graph:
    import av

    with contextlib.suppress(av.FFmpegError, ValueError):
        return _linked(shape, max_size, with_colors=True)
    try:
        # The scaler does not support all matrices; wrong colours are better than no picture.
        return _linked(shape, max_size, with_colors=False)
    except (av.FFmpegError, ValueError) as error:
        raise MediaDecodeError(
            f"pictures of {shape.width}x{shape.height} in {shape.format} cannot be converted: {ffmpeg_reason(error)}"
        ) from error


def _linked(shape: _Shape, max_size: tuple[int, int], *, with_colors: bool) -> av.filter.Graph:
    import av.filter

    graph = av.filter.Graph()
    graph.threads = 1
    colors = {"colorspace": str(shape.matrix), "range": str(shape.range)} if with_colors else {}
    nodes = [
        graph.add(
            "buffer",
            video_size=f"{shape.width}x{shape.height}",
            pix_fmt=shape.format,
            time_base=f"1/{_TICKS}",
            **colors,
        )
    ]
    with contextlib.ExitStack() as files:
        for name, options in _filters(shape, max_size, files):
            nodes.append(graph.add(name, **options) if options else graph.add(name))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes)
        graph.configure()
    return graph


def _filters(
    shape: _Shape, max_size: tuple[int, int], files: contextlib.ExitStack
) -> Iterator[tuple[str, dict[str, str]]]:
    if shape.interlaced:
        yield "yadif", {"mode": "send_frame", "deint": "interlaced"}
    if shape.has_alpha:
        # Before scaling, so that the colours of invisible pixels do not bleed into their neighbours.
        yield "format", {"pix_fmts": "gbrap"}
        yield "premultiply", {"inplace": "1"}
    limit = (max_size[1], max_size[0]) if shape.orientation.swaps_sides else max_size
    width, height = fit_pixels(shape.width * shape.aspect, shape.height, limit)
    yield "scale", {"width": str(width), "height": str(height), "flags": "area"}
    if shape.transfer is not None:
        yield "format", {"pix_fmts": "gbrp16le"}
        yield "lut3d", {"file": files.enter_context(_table_file(cube(shape.transfer, shape.peak)))}
    for name, direction in shape.orientation.filters:
        yield name, {"dir": direction} if direction else {}
    yield "format", {"pix_fmts": "rgb24"}


@contextlib.contextmanager
def _table_file(text: str) -> Iterator[str]:
    """A temporary file for the filter's table, which is only read during set-up."""
    descriptor, name = tempfile.mkstemp(suffix=".cube")
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        yield name
    finally:
        os.unlink(name)
