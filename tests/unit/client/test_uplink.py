"""What a sender makes of the server's requests: size, rate and keyframes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from teleglyph.client.uplink import Codec, Uplink
from teleglyph.media.hevc import hevc_available
from teleglyph.net import Outbox
from teleglyph.wire import HevcFrame, ImageFrame, PictureRequest, StreamStart, StreamStop
from teleglyph.wire.packet import HEADER

pytestmark = pytest.mark.alone


class Source:
    """A camera of 100 pictures a second."""

    description = "a test"

    def __init__(self) -> None:
        self._number = 0
        self._closed = False

    def read(self) -> np.ndarray | None:
        time.sleep(0.01)
        self._number += 1
        return None if self._closed else np.full((180, 320, 3), self._number % 256, np.uint8)

    def close(self) -> None:
        self._closed = True


class Line:
    """A connection that takes everything at once, and notes when."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.outbox.on_ready = self._take
        self.pictures: list[tuple[float, ImageFrame | HevcFrame]] = []
        self.others: list[object] = []

    def _take(self) -> None:
        for item in self.outbox.take():
            payload = item.data[HEADER.size :]
            kinds = {int(kind.type): kind for kind in (ImageFrame, HevcFrame, StreamStart, StreamStop)}
            message = kinds[int.from_bytes(item.data[8:10], "big")].decode_payload(payload)
            if isinstance(message, ImageFrame | HevcFrame):
                self.pictures.append((time.monotonic(), message))
            else:
                self.others.append(message)

    def sizes(self, since: float) -> set[tuple[int, int]]:
        return {(picture.width, picture.height) for at, picture in self.pictures if at >= since}


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
        await asyncio.sleep(0.3)
        assert line.sizes(0) == {(320, 180)}
        uplink.request(PictureRequest(80, 80, 17))
        await asyncio.sleep(0.3)
        # The shape stays, and no side is smaller than what is seen.
        assert line.sizes(time.monotonic() - 0.1) == {(142, 80)}
        uplink.request(PictureRequest(4000, 3000, 17))
        await asyncio.sleep(0.3)
        assert line.sizes(time.monotonic() - 0.1) == {(320, 180)}

    send(Codec.RAW, work)


def test_pictures_come_as_often_as_they_are_seen_and_at_once_when_that_changes() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        uplink.request(PictureRequest(0, 0, 3000))
        await asyncio.sleep(1.0)
        assert len(line.pictures) <= 2
        asked = time.monotonic()
        uplink.request(PictureRequest(80, 45, 17))
        while not line.sizes(asked):
            assert time.monotonic() - asked < 1.0
            await asyncio.sleep(0.01)
        assert time.monotonic() - asked < 0.5
        before = len(line.pictures)
        await asyncio.sleep(1.0)
        assert 15 <= len(line.pictures) - before <= 32

    send(Codec.RAW, work)


@pytest.mark.skipif(not hevc_available(), reason="this PyAV has no HEVC encoder")
def test_another_size_and_a_request_bring_a_keyframe() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        await asyncio.sleep(0.6)
        assert [picture.keyframe for _, picture in line.pictures].count(True) == 1
        asked = time.monotonic()
        uplink.request(PictureRequest(80, 60, 17))
        await asyncio.sleep(0.6)
        later = [picture for at, picture in line.pictures if at >= asked and picture.width == 212]
        # Twice the size that is seen, because colours have half the resolution.
        assert (later[0].width, later[0].height, later[0].keyframe) == (212, 120, True)
        assert not any(picture.keyframe for picture in later[1:])
        asked = time.monotonic()
        uplink.request(PictureRequest(80, 60, 17, keyframe=True))
        await asyncio.sleep(0.4)
        assert [picture.keyframe for at, picture in line.pictures if at >= asked].count(True) == 1

    send(Codec.HEVC, work)


def test_a_server_that_asks_for_nothing_gets_everything_with_frequent_keyframes() -> None:
    async def work(uplink: Uplink, line: Line) -> None:
        uplink.request(PictureRequest(10, 10, 3000))
        uplink.joined(takes_requests=False)
        await asyncio.sleep(0.5)
        assert line.sizes(time.monotonic() - 0.2) == {(320, 180)}

    send(Codec.RAW, work)
