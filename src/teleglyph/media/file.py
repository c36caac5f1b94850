"""Pictures from files, streams and devices: whatever FFmpeg opens, through PyAV."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError, MediaFileNotFound, MediaOpenError, UserError
from teleglyph.media.opus import SAMPLE_RATE, Samples
from teleglyph.media.source import Pacer, VideoSource

if TYPE_CHECKING:
    import av
    import av.container

_log = logging.getLogger(__name__)

_STILL_INTERVAL = 0.5
"""Seconds between two readings of a picture that does not move."""
_DECODER_THREADS = 2
_SOUND_PIECE = 480
_GAP = 2.0
"""Seconds that a time stamp may jump before it counts as a new beginning."""


class FileSound:
    """Decodes the sound of a film in a thread, at the times that its pictures are shown.

    Args:
        container: the same film, opened a second time; belongs to the sound from now on.
        on_sound: gets pieces of sound when they are due.
    """

    def __init__(self, container: av.container.InputContainer, on_sound: Callable[[Samples], None]) -> None:
        self._container = container
        self._on_sound = on_sound
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self, pacer: Pacer, *, loop: bool) -> None:
        """Follow the pictures' times from now on."""
        self._thread = threading.Thread(target=self._run, args=(pacer, loop), name="film sound", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; the pacer has to be closed before."""
        self._closed = True
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def _run(self, pacer: Pacer, loop: bool) -> None:
        import av

        try:
            rounds = pacer.rounds
            while not self._closed:
                self._play(pacer, rounds)
                if not loop:
                    return
                while pacer.rounds == rounds and not pacer.is_closed:
                    pacer.follow(math.inf, rounds)
                if pacer.is_closed:
                    return
                rounds = pacer.rounds
                self._container.seek(0)
        except av.FFmpegError as error:
            _log.warning("the sound of the film breaks off: %s", error)
        finally:
            self._container.close()

    def _play(self, pacer: Pacer, rounds: int) -> None:
        """Once through the film, or until its pictures begin again."""
        import av

        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE, frame_size=_SOUND_PIECE)
        played = 0
        offset: float | None = None
        for frame in self._container.decode(audio=0):
            if offset is None:
                offset = frame.time or 0.0
            for piece in resampler.resample(frame):
                if not pacer.follow(offset + played / SAMPLE_RATE, rounds):
                    return
                samples = piece.to_ndarray().reshape(-1).astype(np.float32)
                played += len(samples)
                self._on_sound(samples)


class FileSource:
    """Decodes a container's first picture stream at its own pace.

    Args:
        container: open; belongs to the source from now on.
        description: for people.
        loop: begin again at the end.
        max_size: pictures are scaled down to fit into this width and height, never up.
        live: pictures come in real time by themselves, as from a camera.
        sound: what goes with the pictures; belongs to the source from now on.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        description: str,
        *,
        loop: bool = False,
        max_size: tuple[int, int],
        live: bool = False,
        sound: FileSound | None = None,
    ) -> None:
        self.description = description
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.codec_context.thread_count = _DECODER_THREADS
        self._loop = loop
        self._live = live
        self._max_size = max_size
        self._pacer = Pacer()
        self._lock = threading.Lock()
        self._frames = self._decode()
        self._decoded = 0
        self._last_time = 0.0
        self._only: av.VideoFrame | None = None
        self._still: NDArray[np.uint8] | None = None
        self._sound = sound
        if sound is not None:
            sound.start(self._pacer, loop=loop)

    def read(self) -> NDArray[np.uint8] | None:
        if self._still is not None:
            return self._still if self._pacer.wait(self._last_time + _STILL_INTERVAL) and self._rest() else None
        with self._lock:
            frame = self._next_frame()
            if frame is None:
                return self._still
            pixels = self._convert(frame)
        return pixels if self._live or self._pacer.wait(self._time_of(frame)) else None

    def close(self) -> None:
        self._pacer.close()
        if self._sound is not None:
            self._sound.close()
        # A read that is under way holds the lock; its thread closes the container by coming back here.
        if self._lock.acquire(timeout=1.0):
            try:
                self._container.close()
            finally:
                self._lock.release()

    # --- internals ------------------------------------------------------------------------------------

    def _rest(self) -> bool:
        self._pacer.resume()
        self._last_time = 0.0
        return True

    def _next_frame(self) -> av.VideoFrame | None:
        """The next frame; None at the end, where ``_still`` holds the only picture of a container that has but one."""
        if self._pacer.is_closed:
            return None
        frame = next(self._frames, None)
        if frame is None and self._decoded == 1 and self._only is not None:
            self._still = self._convert(self._only)
        elif frame is None and self._loop and self._decoded:
            self._begin_again()
            frame = next(self._frames, None)
        if frame is not None:
            self._decoded += 1
            self._only = frame if self._decoded == 1 else None
        return frame

    def _decode(self) -> Iterator[av.VideoFrame]:
        import av

        try:
            yield from self._container.decode(self._stream)
        except (EOFError, StopIteration):
            return
        except (av.FFmpegError, OSError, ValueError) as error:
            if not self._pacer.is_closed:
                raise MediaDecodeError(f"{self.description} cannot be decoded any further: {error}") from error

    def _begin_again(self) -> None:
        import av

        try:
            self._container.seek(0)
        except av.FFmpegError as error:
            raise MediaDecodeError(f"{self.description} cannot be started again: {error}") from error
        self._frames = self._decode()
        self._pacer.restart()

    def _time_of(self, frame: av.VideoFrame) -> float:
        rate = float(self._stream.average_rate or 25)
        seconds = frame.time if frame.time is not None else self._last_time + 1 / rate
        if not -_GAP < seconds - self._last_time < _GAP:
            self._pacer.resume()
        self._last_time = seconds
        return seconds

    def _convert(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        aspect = float(self._stream.sample_aspect_ratio or 1) or 1.0
        width, height = fit_pixels(frame.width * aspect, frame.height, self._turned(frame))
        picture = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
        pixels = picture.to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4) if frame.rotation else pixels)

    def _turned(self, frame: av.VideoFrame) -> tuple[int, int]:
        """The largest size before the picture is turned upright."""
        width, height = self._max_size
        return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def fit_pixels(width: float, height: float, limit: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture scaled down to fit into ``limit`` (width, height), in its shape."""
    scale = min(1.0, limit[0] / width, limit[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def open_file(
    name: str,
    *,
    loop: bool = False,
    max_size: tuple[int, int] = (480, 270),
    on_sound: Callable[[Samples], None] | None = None,
) -> VideoSource:
    """Pictures from a file, from anything else that FFmpeg can open by name, or from standard input (``-``).

    Args:
        name: a path, or a URL.
        loop: begin again at the end.
        max_size: pictures are scaled down to fit into this width and height.
        on_sound: gets the sound that goes with the pictures at its time, in a thread (mono, 48 kHz, float32).  Standard
            input cannot be read twice, so its sound is left out.

    Raises:
        MediaFileNotFound: there is no such file, or it may not be read.
        MediaOpenError: it holds no pictures that FFmpeg knows.
    """
    if name == "-" and loop:
        raise UserError("Standard input cannot be looped: leave --loop out, or name a file")
    container = open_container("pipe:0" if name == "-" else name, name)
    if not container.streams.video:
        container.close()
        raise MediaOpenError(f"'{name}' has no pictures, only sound or data")
    description = "standard input" if name == "-" else Path(name).name or name
    sound = None
    if on_sound is not None and container.streams.audio and name != "-":
        sound = FileSound(open_container(name, name), on_sound)
    return FileSource(container, description, loop=loop, max_size=max_size, sound=sound)


def open_container(
    url: str, name: str, *, format: str | None = None, options: Mapping[str, str] | None = None
) -> av.container.InputContainer:
    """Open something with FFmpeg; ``name`` is what the user calls it.

    Raises:
        MediaFileNotFound: there is no such file, or it may not be read.
        MediaOpenError: FFmpeg does not know what it holds.
    """
    import av

    try:
        return av.open(url, mode="r", format=format, options=dict(options or {}))
    except FileNotFoundError as error:
        raise MediaFileNotFound(f"There is no file '{name}'") from error
    except PermissionError as error:
        raise MediaFileNotFound(f"The file '{name}' may not be read: check its permissions") from error
    except IsADirectoryError as error:
        raise MediaFileNotFound(f"'{name}' is a directory: name a file in it") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            if Path(name).is_dir():
                raise MediaFileNotFound(f"'{name}' is a directory: name a file in it") from error
        reason = getattr(error, "strerror", None) or error
        raise MediaOpenError(f"'{name}' cannot be opened as a picture or film: {reason}") from error
