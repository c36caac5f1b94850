"""The demuxer: a thread that reads a container and queues its packets, with one short queue per stream."""

from __future__ import annotations

import errno
import logging
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teleglyph.errors import MediaDecodeError, TeleglyphError
from teleglyph.media.clock import MediaClock
from teleglyph.media.damage import DamagePolicy
from teleglyph.media.opening import Opened, ffmpeg_reason
from teleglyph.media.streams import StreamInfo, choose_picture, choose_sound, skip_others
from teleglyph.media.timeline import RESTARTING, JumpPolicy, Timeline

if TYPE_CHECKING:
    from typing import Any

    import av.container

    Packet = av.Packet[Any]

_log = logging.getLogger(__name__)

_GONE = (errno.ENODEV, errno.ENXIO, errno.EBADF, errno.ENOENT)
_RETRY_SECONDS = 0.02
_RESTARTING_FORMATS = frozenset({"mpegts", "mpeg", "hls", "rtsp", "flv"})
_MIN_ROUND = 0.001
"""Seconds of the shortest file to loop: an empty one would be read again and again without pause."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of a stream, sent again for every round of a loop.

    Attributes:
        time: the start of the round, in seconds since the start.
    """

    info: StreamInfo
    time: float


@dataclass(frozen=True, slots=True)
class Coded:
    """A packet whose stamps count from the start of the film.

    Attributes:
        time: its presentation time, in seconds since the start.
    """

    packet: Packet
    time: float


Item = Begin | Coded


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How far the demuxer reads ahead: until every stream has enough, within a bound in bytes.

    Then it pauses until a stream has less than half of that, so that it does not wake up for every packet.

    Attributes:
        seconds, packets: a stream has enough with this many seconds and packets ...
        max_packets: ... or with this many packets of any length.
        max_bytes: of all streams together.
    """

    seconds: float = 1.0
    packets: int = 4
    max_packets: int = 400
    max_bytes: int = 16 << 20


LIVE_QUEUE = QueuePolicy(seconds=0.0, packets=2, max_packets=2)
"""For cameras, whose packets are late if they wait."""


class PacketQueues:
    """One queue per stream, with one bound for all.

    Args:
        lanes: the streams' names.
    """

    def __init__(self, lanes: list[str], policy: QueuePolicy) -> None:
        self.error: TeleglyphError | None = None
        """The error that ended the packets; None at their normal end."""
        self._policy = policy
        self._lanes: dict[str, deque[Item]] = {lane: deque() for lane in lanes}
        self._bytes = 0
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._is_filling = True

    def add(self, lane: str, item: Item) -> bool:
        """Wait for room and add an item, or drop it if its queue is abandoned.

        Returns:
            False when all queues are closed or abandoned.
        """
        with self._changed:
            while not self._closed and lane in self._lanes and not self._has_room():
                self._changed.wait()
            if self._closed or lane not in self._lanes:
                return not self._closed and bool(self._lanes)
            self._lanes[lane].append(item)
            self._bytes += item.packet.size if isinstance(item, Coded) else 0
            self._changed.notify_all()
        return True

    def next_item(self, lane: str) -> Item | None:
        """Wait for the next item and remove it; None at the end and when closed."""
        with self._changed:
            queue = self._lanes.get(lane, deque())
            while not queue and not (self._ended or self._closed):
                self._changed.wait()
            if self._closed or not queue:
                return None
            item = queue.popleft()
            self._bytes -= item.packet.size if isinstance(item, Coded) else 0
            self._changed.notify_all()
        return item

    def abandon(self, lane: str) -> None:
        """Drop a queue, because its consumer is gone."""
        with self._changed:
            for item in self._lanes.pop(lane, ()):
                self._bytes -= item.packet.size if isinstance(item, Coded) else 0
            self._changed.notify_all()

    def end(self, error: TeleglyphError | None = None) -> None:
        """Mark the end of all packets."""
        with self._changed:
            self._ended, self.error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Close all queues and end all waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        share = 1.0 if self._is_filling else 0.5
        enough = all(self._has(queue, share) for queue in self._lanes.values())
        self._is_filling = self._bytes < share * self._policy.max_bytes and not enough
        return self._is_filling

    def _has(self, queue: deque[Item], share: float) -> bool:
        """Whether a queue holds this share of the policy's amount."""
        policy = self._policy
        if len(queue) >= share * policy.max_packets:
            return True
        times = [item.time for item in (queue[0], queue[-1]) if isinstance(item, Coded)] if queue else []
        is_long = len(times) == 2 and times[1] - times[0] >= share * policy.seconds
        return is_long and len(queue) >= share * policy.packets


PICTURE, SOUND = "picture", "sound"


def choose(container: av.container.InputContainer, *, wants_sound: bool) -> dict[str, StreamInfo]:
    """Choose the streams to show and to play, by the names of their queues."""
    picture = choose_picture(container)
    film = picture if picture is not None and not picture.is_cover else None
    sound = choose_sound(container, film) if wants_sound else None
    return {lane: info for lane, info in ((PICTURE, picture), (SOUND, sound)) if info is not None}


class Demuxer:
    """Reads a container in a thread, as far ahead as the queues have room.

    Args:
        opened: owned by the demuxer.
        chosen: the streams, by the names of their queues.
        clock: ends pauses when the film is closed.
        description: for users.
        loop: start again at the end.
        is_live: a camera, whose errors may be temporary.
        policy: how many errors to tolerate.
    """

    def __init__(
        self,
        opened: Opened,
        chosen: dict[str, StreamInfo],
        queues: PacketQueues,
        clock: MediaClock,
        description: str,
        *,
        loop: bool = False,
        is_live: bool = False,
        policy: DamagePolicy | None = None,
    ) -> None:
        self.timeline = Timeline(_origin(chosen), _jumps(opened))
        self.notes: list[str] = []
        """Problems of the container, for the log."""
        self._opened = opened
        self._chosen = chosen
        self._queues = queues
        self._clock = clock
        self._description = description
        self._loop = loop and opened.can_restart
        self._is_live = is_live
        self._policy = policy or DamagePolicy()
        self._thread = threading.Thread(target=self._run, name=f"demuxer {description}", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def close(self, seconds: float = 0.5) -> None:
        """Stop reading.  Close the queues and the clock first.  A silent network address may take longer."""
        self._opened.interrupt()
        if self._thread.ident is None:
            self._opened.close()
        elif threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    # --- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        error: TeleglyphError | None = None
        try:
            while self._read_round() and self._loop and not self._clock.is_closed:
                self._opened.restart()
                self._chosen = choose(self._opened.container, wants_sound=SOUND in self._chosen)
                self.timeline.restart(_origin(self._chosen))
        except TeleglyphError as failure:
            error = failure
        except Exception as failure:  # a bug must not leave the others waiting
            _log.exception("Reading %s failed", self._description)
            error = MediaDecodeError(f"Reading {self._description} failed: {ffmpeg_reason(failure)}.")
        finally:
            self._queues.end(error)
            self._opened.close()

    def _read_round(self) -> bool:
        """Read the container once; returns whether it may be read again."""
        begin, packets = self.timeline.end, 0
        lanes = {info.index: (lane, info) for lane, info in self._chosen.items()}
        for lane, info in lanes.values():
            if not self._queues.add(lane, Begin(info, begin)):
                return False
        for packet in self._packets():
            lane, info = lanes[packet.stream_index]
            packets += not info.is_cover
            if not self._queues.add(lane, self._placed(packet, info, begin)):
                return False
        if not packets and not self._clock.is_closed:
            self._opened.explain_nothing()
        return packets > 1 and self.timeline.end - begin >= _MIN_ROUND

    def _placed(self, packet: Packet, info: StreamInfo, begin: float) -> Coded:
        if info.is_cover:
            packet.pts = packet.dts = None
            return Coded(packet, begin)
        base = info.time_base
        shown, decoded = (None if stamp is None else float(stamp * base) for stamp in (packet.pts, packet.dts))
        duration = float((packet.duration or 0) * base)
        time, offset = self.timeline.place(info.index, shown, decoded, duration, info.step)
        moved = round(offset / base)
        if packet.pts is not None:
            packet.pts = round(time / base)
        if packet.dts is not None:
            packet.dts += moved
        return Coded(packet, time)

    def _packets(self) -> Iterator[Packet]:
        """The packets of the chosen streams; skips errors as long as more packets follow."""
        import av

        streams = skip_others(self._opened.container, list(self._chosen.values()))
        packets = self._opened.container.demux(*streams)
        errors = 0
        while not self._clock.is_closed:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError, ValueError) as error:
                errors += not isinstance(error, BlockingIOError)
                if self._clock.is_closed or self._is_over(error, errors):
                    return
                if self._is_live and not self._clock.pause(_RETRY_SECONDS):
                    return
                packets = self._opened.container.demux(*streams)
                continue
            errors = 0
            if packet is None:
                return
            if packet.size:
                yield packet

    def _is_over(self, error: Exception, errors: int) -> bool:
        """Whether this error ends the container.

        Raises:
            MediaDecodeError: the camera is gone.
        """
        is_gone = getattr(error, "errno", None) in _GONE
        if not is_gone and errors <= self._policy.read_errors:
            return False
        reason = ffmpeg_reason(error)
        if self._is_live:
            raise MediaDecodeError(f"{self._description} stopped: {reason}. Check that it is connected.")
        self.notes = [f"the file is cut off ({reason})"]
        return True


def _origin(chosen: dict[str, StreamInfo]) -> float | None:
    return min((info.start for info in chosen.values() if info.start is not None), default=None)


def _jumps(opened: Opened) -> JumpPolicy:
    names = set(opened.container.format.name.split(","))
    return RESTARTING if names & _RESTARTING_FORMATS else JumpPolicy()
