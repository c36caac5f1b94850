"""Sources that open slowly."""

import asyncio
import threading
import time

import pytest

from teleglyph.client.source import open_source
from teleglyph.client.waiting import unless_stopped
from teleglyph.errors import MediaOpenError
from teleglyph.media.source import VideoSource, open_pattern


def test_a_source_or_its_error_is_returned() -> None:
    async def work() -> None:
        source = await open_source(lambda: open_pattern("bars"))
        assert source.description == "test pattern bars"
        source.close()

        def fail() -> VideoSource:
            raise MediaOpenError("No.")

        with pytest.raises(MediaOpenError, match="No"):
            await open_source(fail)

    asyncio.run(work())


def test_the_user_can_leave_before_anything_is_open_and_it_is_closed_later() -> None:
    go, closed = threading.Event(), threading.Event()

    class Source:
        description = "late"

        def read(self) -> None:
            return None

        def close(self) -> None:
            closed.set()

    def opener() -> VideoSource:
        go.wait()
        return Source()

    async def work() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        assert await unless_stopped(open_source(opener), stop) is None

    started = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - started < 10
    assert not closed.is_set()
    go.set()
    assert closed.wait(20)
