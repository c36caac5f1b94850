"""Chooses the streams of a container to show and to play."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from teleglyph.media.opening import DECODER_OPTIONS
from teleglyph.media.timeline import usable_rate

if TYPE_CHECKING:
    import av.container
    from av.stream import Stream

_DECODER_THREADS = 2
_PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000", "ppm"})
_SOUND_STEP = 0.02


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream's properties before its first packet; stays valid when its container is closed.

    Attributes:
        index: in its container.
        decoder: PyAV's codec context, not opened yet.
        time_base: the unit of its stamps, in seconds.
        start: its first stamp in seconds; None if unknown.
        step: the usual interval of its packets in seconds.
        aspect: width by height of its pixels.
        is_cover: a cover picture of a sound file, not a film.
        is_still: the file declares only one picture.
    """

    index: int
    decoder: Any = field(repr=False)
    time_base: Fraction
    start: float | None
    step: float
    aspect: float = 1.0
    is_cover: bool = False
    is_still: bool = False


def choose_picture(container: av.container.InputContainer) -> StreamInfo | None:
    """The film (FFmpeg's choice among several), or else the cover; None if there is neither."""
    decodable = [stream for stream in container.streams.video if stream.codec_context is not None]
    films = [stream for stream in decodable if not _is_cover(stream)]
    # A picture codec beside a film codec is a thumbnail that its container does not mark as one.
    films = [stream for stream in films if stream.codec_context.name not in _PICTURE_CODECS] or films
    if not films:
        return _picture_info(decodable[0], is_cover=True) if decodable else None
    best = container.streams.best("video")
    return _picture_info(best if best in films else max(films, key=_size), is_cover=False)


def choose_sound(container: av.container.InputContainer, picture: StreamInfo | None) -> StreamInfo | None:
    """The sound stream that belongs to the picture; None without one."""
    decodable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not decodable:
        return None
    related = None if picture is None else container.streams[picture.index]
    best = container.streams.best("audio", related=related)
    stream = best if best in decodable else decodable[0]
    return StreamInfo(stream.index, _decoder(stream), _time_base(stream), _start(stream), _SOUND_STEP)


def skip_others(container: av.container.InputContainer, chosen: list[StreamInfo]) -> list[Stream]:
    """Make the demuxer skip all other streams; returns the chosen ones."""
    from av.stream import Discard

    wanted = {info.index for info in chosen}
    for stream in container.streams:
        if stream.index not in wanted:
            stream.discard = Discard.all
    return [stream for stream in container.streams if stream.index in wanted]


def _is_cover(stream: Stream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _size(stream: Any) -> tuple[bool, int]:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.default), stream.codec_context.width * stream.codec_context.height


def _picture_info(stream: Any, *, is_cover: bool) -> StreamInfo:
    rate = usable_rate(*(_fraction(getattr(stream, name)) for name in ("average_rate", "guessed_rate", "base_rate")))
    return StreamInfo(
        stream.index,
        _decoder(stream),
        _time_base(stream),
        None if is_cover else _start(stream),
        1 / rate,
        aspect=_fraction(stream.sample_aspect_ratio) or 1.0,
        is_cover=is_cover,
        is_still=is_cover or stream.frames == 1 or stream.container.format.name.endswith("_pipe"),
    )


def _decoder(stream: Any) -> Any:
    context = stream.codec_context
    context.thread_count = _DECODER_THREADS
    context.options = dict(DECODER_OPTIONS)
    return context


def _time_base(stream: Any) -> Fraction:
    return stream.time_base or Fraction(1, 1_000_000)


def _start(stream: Any) -> float | None:
    return None if stream.start_time is None else float(stream.start_time * _time_base(stream))


def _fraction(value: Fraction | None) -> float | None:
    return float(value) if value else None
