"""Our client with a server that knows no screens, like ascii-chat's: text frames, and no messages it would refuse."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.uplink import Codec, Uplink
from teleglyph.media.frame_text import SafeFrame
from teleglyph.server import app, call_admission
from teleglyph.server.config import ServerConfig
from teleglyph.wire.acip import Capabilities, Feature, ViewFlag, ViewSettings


class Source:
    """One plain picture, again and again."""

    description = "a test"

    def __init__(self) -> None:
        self._closed = False

    def read(self) -> np.ndarray | None:
        time.sleep(0.03)
        return None if self._closed else np.full((90, 160, 3), 250, np.uint8)

    def close(self) -> None:
        self._closed = True


async def until(frames: list[SafeFrame], text: bytes, count: int) -> None:
    """Wait until the newest frame contains a character this many times."""
    deadline = time.monotonic() + 10
    while not frames or frames[-1].count(text) < count:
        assert time.monotonic() < deadline, frames[-1:]
        await asyncio.sleep(0.05)


def test_text_frames_arrive_and_no_screen_messages_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_admission, "_FEATURES", Feature.NONE)

    async def scenario() -> None:
        server = app.Server(ServerConfig(addresses=("127.0.0.1",), port=0, http=False))
        await server.start()
        frames: list[SafeFrame] = []
        uplink = Uplink(Source, Codec.RAW)
        await uplink.open()
        client = CallClient(
            Address("127.0.0.1", server.bound[0][1]),
            Credentials("Ann"),
            Capabilities(40, 12),
            uplink,
            CallEvents(frame=frames.append),
            settings=ViewSettings(4, ViewFlag.NAMES),
        )
        task = asyncio.create_task(client.run())
        try:
            await until(frames, b"M", 300)
            # The server closes connections that send what it does not know.
            own = Capabilities(60, 20, palette_type=6, palette_custom="abc")
            client.update(own, ViewSettings(5, spotlight=1))
            client.acknowledge(1)
            await until(frames, b"\n", 19)
            assert not task.done()
            assert not any(b"Ann" in frame for frame in frames)  # type: ignore[comparison-overlap]
            # Nor a custom palette, for which ascii-chat's server closes the connection.
            assert b"M" in frames[-1]  # type: ignore[comparison-overlap]
            assert b"c" not in frames[-1]  # type: ignore[comparison-overlap]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            uplink.close()
            await server.stop()

    asyncio.run(scenario())
