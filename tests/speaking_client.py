"""Our own client in a call, with a test in place of its sound card."""

from __future__ import annotations

import asyncio
import time

from conftest import ServerProcess
from talker import RATE, Samples
from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.sound import CallSound
from teleglyph.wire.acip import Capabilities

BLOCK = 480
"""Samples of the sound card at once: 10 ms."""


class SpeakingClient:
    """A client whose sound card is this test."""

    def __init__(self, server: ServerProcess, name: str, sound: CallSound | None = None) -> None:
        self.sound = sound or CallSound()
        self.heard: list[Samples] = []
        self.joined = asyncio.Event()
        self._client = CallClient(
            Address("127.0.0.1", server.port),
            Credentials(name),
            Capabilities(20, 10, desired_fps=1, audio_codecs=0x103),
            events=CallEvents(joined=lambda _: self.joined.set()),
            sound=self.sound,
        )
        self._task = asyncio.create_task(self._client.run())

    async def live(self, said: Samples, mute_from: int | None = None) -> None:
        """Play samples into the microphone and record the speakers meanwhile, in blocks like a sound card's."""
        await self.joined.wait()
        await asyncio.sleep(0.2)
        started = time.monotonic()
        for number, start in enumerate(range(0, len(said) - BLOCK + 1, BLOCK)):
            await asyncio.sleep(max(0.0, started + number * BLOCK / RATE - time.monotonic()))
            if mute_from is not None and start == mute_from:
                self.sound.toggle_mute()
            self.sound.capture(said[start : start + BLOCK])
            self.heard.append(self.sound.fill(BLOCK))
        await self.leave()

    async def leave(self) -> None:
        """End the call."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
