"""``teleglyph server`` and SIGHUP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from teleglyph.cli import server
from teleglyph.cli.lifecycle import run
from teleglyph.server.app import Server
from teleglyph.server.config import ServerConfig

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")


@pytest.mark.parametrize("is_early", [True, False])
def test_a_starting_server_reloads_and_continues(monkeypatch: pytest.MonkeyPatch, is_early: bool) -> None:
    calls: list[str] = []
    was_stopped: list[bool] = []
    has_started = asyncio.Event()

    class RecordingServer(Server):
        async def start(self) -> None:
            if is_early:
                await hang_up()
            await super().start()
            if not is_early:
                await hang_up()
            calls.append("started")
            has_started.set()

        async def reload(self) -> list[str]:
            calls.append("reload")
            return await super().reload()

    async def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.3)

    async def serve(stop: asyncio.Event) -> int:
        serving = asyncio.create_task(server._serve(ServerConfig(addresses=("127.0.0.1",), port=0, http=False), stop))
        await has_started.wait()
        was_stopped.append(stop.is_set())
        if not stop.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
        return await serving

    monkeypatch.setattr(server, "Server", RecordingServer)
    assert run(serve) == 0
    assert calls == ["reload", "started"]
    assert was_stopped == [False]
