"""How a sender follows the server's requests: size, rate and keyframes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from teleglyph.client.call.uplink import Codec, Uplink
from teleglyph.media.hevc import hevc_available
from teleglyph.net import Outbox
from teleglyph.wire.acip import HevcFrame, ImageFrame, Message, PictureRequest, StreamStart, StreamStop, encode
from teleglyph.wire.acip.packet import HEADER


class Source:
    """A camera of up to 100 pictures a second; how many it gave is counted, for the machine may be busy."""

    description = "a test"
    reads = 0

    def __init__(self) -> None:
        self._number = 0
        self._closed = False

    def read(self) -> np.ndarray | None:
        time.sleep(0.01)
        self._number += 1
        Source.reads += 1
        return None if self._closed else np.full((180, 320, 3), self._number % 256, np.uint8)

    def close(self) -> None:
        self._closed = True


class Line:
    """A connection that sends everything at once, and records when."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.outbox.on_ready = self._take
        self.pictures: list[tuple[float, ImageFrame | HevcFrame]] = []
        self.others: list[object] = []

    def send(self, message: Message) -> None:
        self.outbox.queue_control(encode(message))

    def _take(self) -> None:
        for item in self.outbox.next_batch():
            payload = item.data[HEADER.size :]
            kinds = {int(kind.type): kind for kind in (ImageFrame, HevcFrame, StreamStart, StreamStop)}
            message = kinds[int.from_bytes(item.data[8:10], "big")].decode_payload(payload)
            if isinstance(message, ImageFrame | HevcFrame):
                self.pictures.append((time.monotonic(), message))
            else:
                self.others.append(message)

    def sizes(self, count: int) -> set[tuple[int, int]]:
        """The sizes of the last ``count`` pictures."""
        return {(picture.width, picture.height) for _, picture in self.pictures[-count:]}

    async def more(self, count: int) -> int:
        """Wait for more pictures.

        Returns the number of naps of 10 ms until then.  A busy machine makes naps longer, and uplinks slower.
        """
        naps, enough = 0, len(self.pictures) + count
        while len(self.pictures) < enough:
            assert naps < 1000
            await asyncio.sleep(0.01)
            naps += 1
        return naps


def send(codec: Codec, work: Callable[[Uplink, Line], Awaitable[None]]) -> None:
    async def run() -> None:
        uplink, line = Uplink(Source, codec), Line()
        await uplink.open()
        uplink.joined(takes_requests=True)
        task = asyncio.create_task(uplink.send(line))  # type: ignore[arg-type]
        try:
            await work(uplink, line)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            uplink.close()

    asyncio.run(run())


def test_pictures_are_no_larger_than_they_are_seen() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        await line.more(3)
        assert line.sizes(100) == {(320, 180)}
        uplink.request(PictureRequest(80, 80, 17))
        # The shape stays, and neither side is smaller than what is seen.
        await line.more(5)
        assert line.sizes(3) == {(142, 80)}
        uplink.request(PictureRequest(4000, 3000, 17))
        await line.more(5)
        assert line.sizes(3) == {(320, 180)}

    send(Codec.RAW, work)


def test_pictures_are_sent_at_the_requested_rate_and_at_once_when_it_changes() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        uplink.request(PictureRequest(0, 0, 3000))
        await asyncio.sleep(1.0)
        assert len(line.pictures) <= 2
        uplink.request(PictureRequest(80, 45, 17))
        assert await line.more(1) < 50
        before, reads, since = len(line.pictures), Source.reads, time.monotonic()
        await asyncio.sleep(1.0)
        seconds, given = time.monotonic() - since, Source.reads - reads
        sent = len(line.pictures) - before
        # A machine too busy for the camera's 100 pictures a second has less time to send them, too.
        assert min(15.0, 0.15 * given) <= sent <= 32 * seconds

    send(Codec.RAW, work)


def is_keyframe(picture: ImageFrame | HevcFrame) -> bool:
    assert isinstance(picture, HevcFrame)
    return picture.keyframe


def keyframes(line: Line, start: int = 0) -> int:
    """How many of the pictures are keyframes, from a number on."""
    return sum(is_keyframe(picture) for _, picture in line.pictures[start:])


@pytest.mark.skipif(not hevc_available(), reason="this PyAV has no HEVC encoder")
def test_another_size_and_a_request_bring_a_keyframe() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        await line.more(10)
        assert keyframes(line) == 1
        asked = len(line.pictures)
        uplink.request(PictureRequest(80, 60, 17))
        await line.more(12)
        later = [picture for _, picture in line.pictures[asked:] if picture.width == 212]
        # Twice the size that is seen, because colours have half the resolution.
        assert (later[0].width, later[0].height, is_keyframe(later[0])) == (212, 120, True)
        assert not any(map(is_keyframe, later[1:]))
        asked = len(line.pictures)
        uplink.request(PictureRequest(80, 60, 17, keyframe=True))
        await line.more(10)
        assert keyframes(line, asked) == 1

    send(Codec.HEVC, work)


def test_a_server_without_requests_gets_everything_with_frequent_keyframes() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        uplink.request(PictureRequest(10, 10, 3000))
        uplink.joined(takes_requests=False)
        await line.more(6)
        assert line.sizes(3) == {(320, 180)}

    send(Codec.RAW, work)


class Script:
    """A source that gives some pictures at once and then stays as it is until it is closed, or ends."""

    description = "a script"

    def __init__(self, pictures: int, *, ends: bool = False, has_picture: bool = True) -> None:
        self.has_picture = has_picture
        self._left = pictures
        self._ends = ends
        self._closed = threading.Event()

    def read(self) -> np.ndarray | None:
        if self._left:
            self._left -= 1
            time.sleep(0.05)
            return np.full((180, 320, 3), self._left, np.uint8)
        if not self._ends:
            self._closed.wait()
        return None

    def close(self) -> None:
        self._closed.set()


class SlowLine(Line):
    """A connection whose writer sends only now and then, and records the order."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox.on_ready = lambda: None
        self.order: list[str] = []

    async def write(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            for item in self.outbox.next_batch():
                kinds = {int(kind.type): kind.__name__ for kind in (ImageFrame, HevcFrame, StreamStart, StreamStop)}
                self.order.append(kinds[int.from_bytes(item.data[8:10], "big")])


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_an_unchanged_picture_is_sent_rarely_and_at_once_on_request() -> None:
    async def work() -> None:
        uplink, line = Uplink(lambda: Script(1), Codec.RAW), Line()
        await uplink.open()
        uplink.joined(takes_requests=True)
        task = asyncio.create_task(uplink.send(line))  # type: ignore[arg-type]
        await until(lambda: len(line.pictures) == 1)
        await asyncio.sleep(1.0)
        assert len(line.pictures) == 1
        for request in (PictureRequest(0, 0, 17, keyframe=True), PictureRequest(80, 60, 17)):
            uplink.request(request)
            assert await line.more(1) < 100
        assert line.pictures[-1][1].width < 320
        await until(lambda: len(line.pictures) == 4)
        times = [at for at, _ in line.pictures]
        assert times[3] - times[2] > 1.5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        uplink.close()

    asyncio.run(work())


def test_after_a_film_the_stop_follows_the_last_picture_on_a_slow_connection_too() -> None:
    async def work() -> None:
        notices: list[str] = []
        uplink, line = Uplink(lambda: Script(3, ends=True), Codec.RAW), SlowLine()
        uplink.on_notice = notices.append
        await uplink.open()
        tasks = [asyncio.create_task(uplink.send(line)), asyncio.create_task(line.write())]  # type: ignore[arg-type]
        await until(lambda: "StreamStop" in line.order)
        await asyncio.sleep(0.2)
        assert line.order == ["StreamStart", *["ImageFrame"] * (len(line.order) - 2), "StreamStop"]
        assert "ImageFrame" in line.order
        assert not uplink.is_on
        assert notices == ["a script has ended."]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        uplink.close()

    asyncio.run(work())


@pytest.mark.parametrize("turns", range(6))
def test_leaving_wins_over_a_picture_that_arrives_at_the_same_time(turns: int) -> None:
    class Still(Source):
        picture = np.zeros((180, 320, 3), np.uint8)

        def read(self) -> np.ndarray | None:
            return None if super().read() is None else self.picture

    async def run() -> None:
        uplink, line = Uplink(Still, Codec.RAW), Line()
        await uplink.open()
        uplink.joined(takes_requests=True)
        uplink.request(PictureRequest(80, 45, 17))
        task = asyncio.create_task(uplink.send(line))  # type: ignore[arg-type]
        try:
            await until(lambda: bool(line.pictures))
            await asyncio.sleep(0.1)
            uplink.request(PictureRequest(80, 45, 17))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=2)
            assert task in done
        finally:
            while not task.done():
                task.cancel()
                await asyncio.sleep(0.05)
            uplink.close()

    asyncio.run(run())


def test_sound_alone_is_a_camera_that_is_off() -> None:
    async def work() -> None:
        uplink, line = Uplink(lambda: Script(0, has_picture=False), Codec.RAW), Line()
        await uplink.open()
        task = asyncio.create_task(uplink.send(line))  # type: ignore[arg-type]
        await asyncio.sleep(0.3)
        assert not uplink.is_on
        assert line.others == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        uplink.close()

    asyncio.run(work())
