"""The demuxer's short queues, and its tolerance of errors."""

import errno
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import pytest

from teleglyph.errors import MediaDecodeError
from teleglyph.media.clock import MediaClock
from teleglyph.media.opening import Opened
from teleglyph.media.packets import PICTURE, SOUND, Begin, Coded, Demuxer, PacketQueues, QueuePolicy
from teleglyph.media.streams import StreamInfo

POLICY = QueuePolicy(seconds=1.0, packets=4, max_packets=50, max_bytes=10_000)
INFO = StreamInfo(0, None, Fraction(1, 1000), None, 0.04)


def coded(seconds: float, size: int = 10) -> Coded:
    return Coded(av.Packet(size), seconds)


def fill(queues: PacketQueues, lane: str, items: list[Coded]) -> tuple[threading.Thread, list[int]]:
    """Put items from another thread; how many went in."""
    done = [0]

    def work() -> None:
        for item in items:
            if not queues.add(lane, item):
                return
            done[0] += 1

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, done


def wait_until_steady(done: list[int]) -> int:
    before = -1
    while before != done[0]:
        before = done[0]
        time.sleep(0.05)
    return before


@pytest.mark.parametrize(
    ("items", "most"),
    [
        ([coded(number * 0.1) for number in range(1000)], 12),
        ([coded(0.0) for _ in range(1000)], 50),
        ([coded(0.0, 3000) for _ in range(1000)], 4),
        ([coded(number * 60.0) for number in range(1000)], 4),
    ],
)
def test_the_demuxer_waits_when_there_is_enough(items: list[Coded], most: int) -> None:
    queues = PacketQueues([PICTURE], POLICY)
    thread, done = fill(queues, PICTURE, items)
    assert 1 < wait_until_steady(done) <= most
    for _ in range(5):
        assert queues.next_item(PICTURE) is not None
    assert wait_until_steady(done) <= most + 5
    queues.close()
    thread.join(20)
    assert not thread.is_alive()


def test_an_empty_stream_lets_the_other_continue_within_the_byte_limit() -> None:
    queues = PacketQueues([PICTURE, SOUND], POLICY)
    thread, done = fill(queues, PICTURE, [coded(number * 0.1, 100) for number in range(1000)])
    assert wait_until_steady(done) == 100
    queues.close()
    thread.join(20)


def test_an_abandoned_queue_does_not_block_the_others() -> None:
    queues = PacketQueues([PICTURE, SOUND], POLICY)
    thread, done = fill(queues, PICTURE, [coded(number * 0.1, 100) for number in range(1000)])
    wait_until_steady(done)
    queues.abandon(PICTURE)
    thread.join(20)
    assert done[0] == 1000
    assert queues.add(SOUND, coded(0.0))
    queues.abandon(SOUND)
    assert not queues.add(SOUND, coded(0.0))


def test_the_end_is_reported_after_all_packets() -> None:
    queues = PacketQueues([PICTURE], POLICY)
    queues.add(PICTURE, coded(0.0))
    queues.end(MediaDecodeError("Broken."))
    assert queues.next_item(PICTURE) is not None
    assert queues.next_item(PICTURE) is None
    assert str(queues.error) == "Broken."


class Device:
    """A container that gives packets and errors as a test says: numbers are errors."""

    def __init__(self, script: list[int | None]) -> None:
        self.streams: tuple[()] = ()
        self.format = SimpleNamespace(name="v4l2")
        self.is_closed = False
        self._script = iter(script)

    def demux(self, *_streams: object) -> Iterator[Any]:
        for number, step in enumerate(self._script):
            if step is not None:
                raise av.error.OSError(step, "no luck")
            packet = av.Packet(10)
            packet.pts = packet.dts = number * 40
            packet.time_base = Fraction(1, 1000)
            yield packet

    def close(self) -> None:
        self.is_closed = True


def read(script: list[int | None], *, is_live: bool) -> tuple[int, PacketQueues, Device, Demuxer]:
    device = Device(script)
    clock = MediaClock(now=lambda: 0.0, sleep=lambda _seconds, _closed: True)
    queues = PacketQueues([PICTURE], QueuePolicy(max_packets=100_000, seconds=1e9))
    opened = Opened(device, None, "device")  # type: ignore[arg-type]
    demuxer = Demuxer(opened, {PICTURE: INFO}, queues, clock, "camera 0: Toy", is_live=is_live)
    demuxer.start()
    items = list(iter(lambda: queues.next_item(PICTURE), None))
    demuxer.close()
    return sum(isinstance(item, Coded) for item in items), queues, device, demuxer


@pytest.mark.parametrize("passing", [errno.EIO, errno.EAGAIN, errno.EPROTO])
@pytest.mark.parametrize("is_live", [True, False])
def test_temporary_errors_do_not_end_a_stream(passing: int, is_live: bool) -> None:
    count, queues, device, _ = read([None, passing, None, *[passing] * 40, None, None], is_live=is_live)
    assert count == 4
    assert queues.error is None
    assert device.is_closed


@pytest.mark.parametrize("gone", [errno.ENODEV, errno.ENXIO])
def test_a_camera_that_was_unplugged_ends_at_once_with_a_sentence(gone: int) -> None:
    count, queues, device, _ = read([None, None, gone, *[None] * 10], is_live=True)
    assert count == 2
    assert "camera 0: Toy stopped" in str(queues.error)
    assert str(queues.error).endswith("Check that it is connected.")
    assert device.is_closed


def test_a_camera_that_always_fails_is_given_up() -> None:
    count, queues, _, _ = read([None, *[errno.EIO] * 10_000], is_live=True)
    assert count == 1
    assert isinstance(queues.error, MediaDecodeError)


def test_a_file_that_cannot_be_read_on_ends_with_a_note() -> None:
    count, queues, _, demuxer = read([None, None, *[errno.EIO] * 10_000], is_live=False)
    assert count == 2
    assert queues.error is None
    assert demuxer.notes == ["the file is cut off (Input/output error)"]


def test_every_stream_begins_with_its_properties() -> None:
    queues = PacketQueues([PICTURE], POLICY)
    device = Device([None])
    clock = MediaClock()
    demuxer = Demuxer(Opened(device, None, "x"), {PICTURE: INFO}, queues, clock, "x")  # type: ignore[arg-type]
    demuxer.start()
    assert queues.next_item(PICTURE) == Begin(INFO, 0.0)
    demuxer.close()
