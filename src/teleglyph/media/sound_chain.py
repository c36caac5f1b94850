"""Turns packets into sound: decodes, resamples, and puts every sample at its time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from teleglyph.errors import MediaDecodeError
from teleglyph.media.damage import Damage
from teleglyph.media.opus import SAMPLE_RATE, Samples
from teleglyph.media.streams import StreamInfo

if TYPE_CHECKING:
    import av
    import av.filter

    from teleglyph.media.packets import Coded

PIECE = 480
"""Samples per piece: 10 ms."""
_TOLERANCE = round(0.04 * SAMPLE_RATE)
"""Samples by which a stamp may be off and still be ignored: stamps are often rounded, and every step is audible."""
_MAX_RATE = 768_000


class SoundDecoder:
    """Decodes one stream to mono at 48 kHz; counts and skips damaged packets.

    Streams may change their rate, their channels and their format at any time.

    Args:
        info: the stream.
        damage: counts over all rounds of a loop.
    """

    def __init__(self, info: StreamInfo, damage: Damage) -> None:
        self.info = info
        self._damage = damage
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, str, str, int] | None = None

    def decode(self, coded: Coded) -> Iterator[tuple[float | None, Samples]]:
        """The sound that a packet completes, with its time in seconds since the start, None if unknown.

        Raises:
            MediaDecodeError: too many packets in a row gave no sound.
        """
        import av

        failure: Exception | None = None
        frames: list[av.AudioFrame] = []
        try:
            frames = self.info.decoder.decode(coded.packet)
        except (av.FFmpegError, ValueError, OSError) as error:
            failure = error
        if frames:
            self._damage.record_success()
        elif self._damage.record_failure(coded.time, coded.packet.size, failed=failure is not None):
            raise MediaDecodeError(f"it is damaged, {self._damage.in_a_row} packets in a row gave no sound")
        for frame in frames:
            yield from self._resample(frame)

    def flush(self) -> Iterator[tuple[float | None, Samples]]:
        """The remaining sound."""
        import av

        with contextlib.suppress(av.FFmpegError, ValueError, OSError):
            for frame in self.info.decoder.decode(None):
                yield from self._resample(frame)
        yield from self._end_graph()

    def _resample(self, frame: av.AudioFrame) -> Iterator[tuple[float | None, Samples]]:
        import av

        channels = len(frame.layout.channels)
        if not (0 < frame.sample_rate <= _MAX_RATE and channels and frame.samples):
            return
        shape = (frame.sample_rate, frame.format.name, frame.layout.name, channels)
        if shape != self._shape:
            yield from self._end_graph()
        frame.time_base = self.info.time_base
        try:
            if self._graph is None:
                self._graph, self._shape = _build(frame, self.info.time_base), shape
            self._graph.push(frame)
        except (av.FFmpegError, ValueError):
            self._graph = None
            return
        yield from self._pull()

    def _end_graph(self) -> Iterator[tuple[float | None, Samples]]:
        import av

        if self._graph is not None:
            with contextlib.suppress(av.FFmpegError):
                self._graph.push(None)
                yield from self._pull()
            self._graph = None

    def _pull(self) -> Iterator[tuple[float | None, Samples]]:
        import av

        graph = self._graph
        while graph is not None:
            try:
                frame: Any = graph.pull()
            except (BlockingIOError, EOFError, av.FFmpegError):
                return
            samples = np.nan_to_num(frame.to_ndarray().reshape(-1), nan=0.0, posinf=1.0, neginf=-1.0)
            time = None if frame.pts is None else float(frame.pts * frame.time_base)
            yield time, samples.astype(np.float32)


def _build(frame: av.AudioFrame, time_base: Fraction) -> av.filter.Graph:
    import av.filter

    graph = av.filter.Graph()
    graph.threads = 1
    layout, channels = frame.layout.name, len(frame.layout.channels)
    source = {"sample_rate": str(frame.sample_rate), "sample_fmt": frame.format.name, "time_base": str(time_base)}
    mix = []
    if " " in layout:
        # For channels without positions the filter can neither parse a layout nor choose a mix.
        source["channels"] = str(channels)
        mix = [graph.add("pan", "mono|c0=" + "+".join(f"{1 / channels:.6f}*c{one}" for one in range(channels)))]
    else:
        source["channel_layout"] = layout
    graph.link_nodes(
        graph.add("abuffer", **source),
        *mix,
        graph.add("aresample", str(SAMPLE_RATE)),
        graph.add("aformat", sample_fmts="flt", channel_layouts="mono", sample_rates=str(SAMPLE_RATE)),
        graph.add("abuffersink"),
    ).configure()
    return graph


class SoundLine:
    """Divides sound into pieces of 10 ms, each at its time: fills gaps with silence and cuts overlaps.

    The line starts with the film, even if its sound begins later.
    """

    def __init__(self) -> None:
        self._position = 0
        self._rest: Samples = np.zeros(0, np.float32)

    def add(self, time: float | None, samples: Samples) -> Iterator[tuple[float, Samples]]:
        """Add sound that begins at a time, and yield the complete pieces with their times.

        Args:
            time: in seconds since the start; None continues the previous sound.
            samples: mono, at the sample rate of calls.
        """
        end = self._position + len(self._rest)
        gap = 0 if time is None else round(time * SAMPLE_RATE) - end
        if gap > _TOLERANCE:
            yield from self._silence(gap)
        elif gap < -_TOLERANCE:
            samples = samples[-gap:]
        self._rest = np.concatenate((self._rest, samples))
        yield from self._whole()

    def finish(self) -> Iterator[tuple[float, Samples]]:
        """The last piece, padded with silence."""
        if len(self._rest):
            missing = PIECE - len(self._rest) % PIECE
            self._rest = np.concatenate((self._rest, np.zeros(missing % PIECE, np.float32)))
            yield from self._whole()

    def _silence(self, count: int) -> Iterator[tuple[float, Samples]]:
        # In small parts, because a gap may be hours long.
        while count > 0:
            part = min(count, PIECE)
            self._rest = np.concatenate((self._rest, np.zeros(part, np.float32)))
            yield from self._whole()
            count -= part

    def _whole(self) -> Iterator[tuple[float, Samples]]:
        while len(self._rest) >= PIECE:
            piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
            time = self._position / SAMPLE_RATE
            self._position += PIECE
            yield time, piece
