"""Finds how to rotate and mirror a picture, from its display matrix."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    import av

_FIRST_UNKNOWN, _LAST_UNKNOWN = 28, 48
"""Kinds of side data that FFmpeg supports and PyAV does not; PyAV cannot read side data of frames that have one."""
_MASTERING_BYTES = 88


class Orientation(NamedTuple):
    """The signs of the display matrix.

    Attributes:
        a, b, c, d: the mapping of coordinates: x' = a x + c y, y' = b x + d y.
    """

    a: int
    b: int
    c: int
    d: int

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.a == 0

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """FFmpeg's filters for this orientation, with their arguments."""
        return _FILTERS[self]


UPRIGHT = Orientation(1, 0, 0, 1)

_FILTERS: dict[Orientation, tuple[tuple[str, str], ...]] = {
    UPRIGHT: (),
    Orientation(-1, 0, 0, 1): (("hflip", ""),),
    Orientation(-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    Orientation(1, 0, 0, -1): (("vflip", ""),),
    Orientation(0, 1, 1, 0): (("transpose", "cclock_flip"),),
    Orientation(0, 1, -1, 0): (("transpose", "clock"),),
    Orientation(0, -1, -1, 0): (("transpose", "clock_flip"),),
    Orientation(0, -1, 1, 0): (("transpose", "cclock"),),
}


class Presentation(NamedTuple):
    """How to show a frame, from its side data.

    Attributes:
        orientation: how to rotate and mirror it.
        peak: its brightest light in cd/m²; None if unknown.
    """

    orientation: Orientation = UPRIGHT
    peak: float | None = None


def presentation_of(frame: av.VideoFrame) -> Presentation:
    """Read a frame's side data."""
    data: Any
    try:
        data = frame.side_data
    except ValueError:
        data = _without_unknown(frame).side_data
    found = {item.type.name: bytes(item) for item in map(data.__getitem__, range(len(data)))}
    matrix, mastering = found.get("DISPLAYMATRIX"), found.get("MASTERING_DISPLAY_METADATA")
    return Presentation(
        UPRIGHT if matrix is None else orientation_of(matrix),
        None if mastering is None else _peak(mastering),
    )


def orientation_of(matrix: bytes) -> Orientation:
    """The nearest of the eight orientations.

    Args:
        matrix: nine 32-bit integers, in FFmpeg's layout.
    """
    if len(matrix) < 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
    if max(abs(a), abs(d)) >= max(abs(b), abs(c)):
        return Orientation(_sign(a), 0, 0, _sign(d))
    return Orientation(0, _sign(b), _sign(c), 0)


def _sign(value: int) -> int:
    return -1 if value < 0 else 1


def _peak(mastering: bytes) -> float | None:
    """The maximum luminance of FFmpeg's AVMasteringDisplayMetadata; None without one."""
    if len(mastering) < _MASTERING_BYTES:
        return None
    numerator, denominator = struct.unpack_from("=2i", mastering, 72)
    (has_luminance,) = struct.unpack_from("=i", mastering, 84)
    return numerator / denominator if has_luminance and denominator > 0 and numerator > 0 else None


def _without_unknown(frame: av.VideoFrame) -> av.VideoFrame:
    """The same frame without side data that PyAV does not support."""
    import av.filter

    graph = av.filter.Graph()
    source = last = graph.add(
        "buffer", video_size=f"{frame.width}x{frame.height}", pix_fmt=frame.format.name, time_base="1/1000"
    )
    for kind in range(_FIRST_UNKNOWN, _LAST_UNKNOWN):
        step = graph.add("sidedata", mode="delete", type=str(kind))
        last.link_to(step)
        last = step
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    source.push(frame)
    return cast("av.VideoFrame", sink.pull())
