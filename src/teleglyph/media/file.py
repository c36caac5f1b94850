"""Pictures and sound from files, streams and cameras: everything that FFmpeg opens, through PyAV.

One thread reads packets (:mod:`~teleglyph.media.packets`) and places them on one timeline.  The caller of
:meth:`FileSource.read` decodes the pictures; another thread decodes the sound.  Both wait for the same clock, so they
stay in sync.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError, MediaOpenError, UserError
from teleglyph.media.clock import MediaClock
from teleglyph.media.damage import Damage, DamagePolicy
from teleglyph.media.opening import Opened, described, open_media
from teleglyph.media.opus import Samples
from teleglyph.media.packets import LIVE_QUEUE, PICTURE, SOUND, Begin, Coded, Demuxer, PacketQueues, QueuePolicy, choose
from teleglyph.media.picture_chain import Decoded, Picture, PictureDecoder, PictureGraph
from teleglyph.media.sound_chain import SoundDecoder, SoundLine
from teleglyph.media.source import VideoSource
from teleglyph.media.streams import StreamInfo

_log = logging.getLogger(__name__)

_LATE_SOUND = 0.3
"""Seconds after which late sound is dropped."""
_STILL_SECONDS = 0.5
"""Seconds after which a still picture is returned again."""
_LATE_PICTURE, _MAX_SKIPPED = 0.5, 3
"""Pictures later than this (seconds) are skipped, except every fourth."""


class FileSound:
    """Decodes the sound of a film in a thread and delivers it on time.

    Args:
        queues: the source of its packets.
        clock: the film's.
        on_sound: called in the thread with pieces of 10 ms (mono, 48 kHz, float32).
        leads: the clock follows the sound, because there is no film.
    """

    def __init__(
        self,
        queues: PacketQueues,
        clock: MediaClock,
        on_sound: Callable[[Samples], None],
        damage: Damage,
        *,
        leads: bool,
    ) -> None:
        self.ended = threading.Event()
        self.leads = leads
        self._queues = queues
        self._clock = clock
        self._on_sound = on_sound
        self._damage = damage
        self._line = SoundLine()
        self._thread = threading.Thread(target=self._run, name="film sound", daemon=True)

    def start(self) -> None:
        """Start decoding."""
        self._thread.start()

    def close(self) -> None:
        """Stop decoding.  Close the queues and the clock first."""
        if self._thread.ident is None:
            self.ended.set()
        elif threading.current_thread() is not self._thread:
            self._thread.join(1.0)

    def _run(self) -> None:
        try:
            for time, samples in self._sound():
                self._play(self._line.add(time, samples))
            self._play(self._line.finish())
        except MediaDecodeError as error:
            _log.warning("Sound stopped early: %s", error)
            self._queues.abandon(SOUND)
        finally:
            self.ended.set()

    def _sound(self) -> Iterator[tuple[float | None, Samples]]:
        decoder: SoundDecoder | None = None
        begin: float | None = None
        while (item := self._queues.next_item(SOUND)) is not None:
            if isinstance(item, Begin):
                if decoder is not None:
                    yield from decoder.flush()
                decoder, begin = SoundDecoder(item.info, self._damage), item.time
            elif decoder is not None:
                for time, samples in decoder.decode(item):
                    yield begin if time is None else time, samples
                    begin = None
        if decoder is not None and not self._clock.is_closed:
            yield from decoder.flush()

    def _play(self, pieces: Iterator[tuple[float, Samples]]) -> None:
        for time, piece in pieces:
            if not self._clock.wait(time, leads=self.leads):
                return
            if self._clock.lateness(time) < _LATE_SOUND:
                self._on_sound(piece)


class FileSource:
    """The pictures of a file, at their times.

    A file with only one picture shows it until it is closed or its sound ends.  Sound without a picture plays while
    :meth:`read` waits.  The last picture stays until its own time and the sound are over.  The film starts with the
    first :meth:`read`.

    Args:
        opened: owned by the source.
        description: for users.
        loop: start again at the end.
        max_size: pictures are scaled down (never up) to fit into this width and height.
        is_live: pictures arrive in real time, as from a camera.
        on_sound: called with the sound, in a thread.
        clock: for tests.
        policy: how much damage to tolerate.

    Attributes:
        has_picture: whether there are pictures.
    """

    def __init__(
        self,
        opened: Opened,
        description: str,
        *,
        max_size: tuple[int, int],
        loop: bool = False,
        is_live: bool = False,
        on_sound: Callable[[Samples], None] | None = None,
        clock: MediaClock | None = None,
        policy: DamagePolicy | None = None,
    ) -> None:
        self.description = description
        chosen = choose(opened.container, wants_sound=on_sound is not None)
        self.has_picture = PICTURE in chosen
        self._is_live = is_live
        self._clock = clock or MediaClock()
        self._queues = PacketQueues(list(chosen), LIVE_QUEUE if is_live else QueuePolicy())
        self._damage, self._sound_damage = Damage(policy), Damage(policy)
        self._demuxer = Demuxer(
            opened, chosen, self._queues, self._clock, description, loop=loop, is_live=is_live, policy=policy
        )
        self._sound: FileSound | None = None
        if on_sound is not None and SOUND in chosen:
            leads = PICTURE not in chosen or chosen[PICTURE].is_cover
            self._sound = FileSound(self._queues, self._clock, on_sound, self._sound_damage, leads=leads)
        self._graph = PictureGraph(max_size)
        self._pictures = self._decode()
        self._lock = threading.Lock()
        self._packets = self._shown = self._skipped = 0
        self._end = 0.0
        self._last: Picture | None = None
        self._info: StreamInfo | None = chosen.get(PICTURE)
        self._is_started = False

    def read(self) -> NDArray[np.uint8] | None:
        picture = self.next_picture()
        return None if picture is None else picture.pixels

    def next_picture(self) -> Picture | None:
        """Like :meth:`read`, but with the picture's time."""
        with self._lock:
            self._start()
            picture = next(self._pictures, None)
        if picture is None:
            if self._is_still:
                return self._stay()
            self._rest()
            return None
        self._last = picture
        if not self._is_live and not self._clock.wait(picture.time, leads=True):
            return None
        return None if self._clock.is_closed else picture

    def close(self) -> None:
        self._clock.close()
        self._queues.close()
        self._demuxer.close()
        if self._sound is not None:
            self._sound.close()

    # --- internals ------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start reading and playing, once; called by the first read."""
        if not self._is_started and not self._clock.is_closed:
            self._is_started = True
            self._demuxer.start()
            if self._sound is not None:
                self._sound.start()

    def _decode(self) -> Iterator[Picture]:
        decoder: PictureDecoder | None = None
        while self.has_picture and (item := self._queues.next_item(PICTURE)) is not None:
            if isinstance(item, Begin):
                if decoder is not None:
                    yield from self._convert(decoder.flush(), decoder)
                decoder = PictureDecoder(item.info, item.time, self._damage)
            elif decoder is not None:
                self._packets += 1
                yield from self._convert(self._decoded(decoder, item), decoder)
                if decoder.info.is_cover:
                    self._queues.abandon(PICTURE)
                    break
        if decoder is not None and not self._clock.is_closed:
            yield from self._convert(decoder.flush(), decoder)
            yield from self._count(self._graph.flush())
            self._check_end(decoder)

    def _decoded(self, decoder: PictureDecoder, item: Coded) -> list[Decoded]:
        try:
            return decoder.decode(item)
        except MediaDecodeError as error:
            raise MediaDecodeError(f"{self.description} cannot be decoded any further: {error}.") from error

    def _convert(self, frames: list[Decoded], decoder: PictureDecoder) -> Iterator[Picture]:
        for decoded in frames:
            self._end = max(self._end, decoded.time + decoded.duration)
            if self._is_too_late(decoded.time):
                continue
            try:
                yield from self._count(self._graph.convert(decoded, decoder.aspect))
            except MediaDecodeError as error:
                self._damage.lost += 1
                decoder.failure = str(error)

    def _count(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        for picture in pictures:
            self._shown += 1
            yield picture

    def _is_too_late(self, time: float) -> bool:
        is_late = not (self._is_live or self._graph.holds_back) and self._clock.lateness(time) > _LATE_PICTURE
        self._skipped = self._skipped + 1 if is_late and self._skipped < _MAX_SKIPPED else 0
        return self._skipped > 0

    def _check_end(self, decoder: PictureDecoder) -> None:
        """Log damaged packets, after the last picture.

        Raises:
            MediaDecodeError: there were no pictures at all, or reading failed.
        """
        if self._queues.error is not None:
            raise self._queues.error
        if not self._shown:
            reason = decoder.failure or "it has no complete picture"
            if decoder.info.is_cover and self._sound is not None:
                self.has_picture = False
                _log.warning("Cover of %s could not be decoded: %s", self.description, reason)
                return
            raise MediaDecodeError(f"No picture of {self.description} could be decoded: {reason}.")
        notes = list(self._demuxer.notes)
        if self._damage.lost:
            notes.append(f"{self._damage.lost} damaged packets were left out")
        if notes:
            _log.info("%s ended: %s", self.description, ", ".join(notes))

    def _stay(self) -> Picture | None:
        """The only picture again, after a while; None when its sound has ended or the source is closed."""
        if self._sound is None:
            return self._last if self._clock.pause(_STILL_SECONDS) else None
        self._sound.leads = True
        return None if self._sound.ended.wait(_STILL_SECONDS) else self._last

    def _rest(self) -> None:
        """Wait for the end of the last picture and of the sound."""
        if self.has_picture and not self._is_live:
            self._clock.wait(self._end, leads=True)
        if self._sound is not None:
            self._sound.leads = True
            self._sound.ended.wait()
        if self._queues.error is not None and not self._clock.is_closed:
            raise self._queues.error

    @property
    def _is_still(self) -> bool:
        return (
            not self._clock.is_closed
            and self._shown == 1
            and (self._packets == 1 or (self._info is not None and self._info.is_still))
        )


def open_file(
    name: str,
    *,
    loop: bool = False,
    max_size: tuple[int, int] = (480, 270),
    on_sound: Callable[[Samples], None] | None = None,
    clock: MediaClock | None = None,
) -> VideoSource:
    """Open pictures from a file, from standard input (``-``), or from any other name that FFmpeg supports.

    Args:
        name: a path, or a URL with its ``scheme://``.
        loop: start again when picture and sound have ended.
        max_size: pictures are scaled down to fit into this width and height.
        on_sound: called with the sound at its time, in a thread (mono, 48 kHz, float32, 10 ms at once).  A file with
            sound only is refused without it.
        clock: for tests.

    Raises:
        MediaFileNotFoundError: the file does not exist or cannot be read.
        MediaOpenError: it has neither pictures nor sound that can be decoded.
    """
    if name == "-" and loop:
        raise UserError("Standard input cannot be looped. Leave --loop out, or name a file.")
    opened = open_media(name)
    description = described(name)
    try:
        streams = choose(opened.container, wants_sound=on_sound is not None)
        _check_streams(opened, streams, name, wants_sound=on_sound is not None)
        if loop and not opened.can_restart:
            raise UserError(f"'{name}' cannot be looped, because it can only be read once. Leave --loop out.")
    except BaseException:
        opened.close()
        raise
    return FileSource(opened, description, loop=loop, max_size=max_size, on_sound=on_sound, clock=clock)


def _check_streams(opened: Opened, streams: dict[str, StreamInfo], name: str, *, wants_sound: bool) -> None:
    if streams:
        return
    kinds = {stream.type for stream in opened.container.streams if stream.codec_context is not None}
    if "audio" in kinds and not wants_sound:
        raise MediaOpenError(
            f"'{name}' has no pictures, only sound, so there is nothing to show. You can play it in a call."
        )
    raise MediaOpenError(f"'{name}' has no picture or sound that FFmpeg can decode.")
