"""Two of our clients talk through a real server process, driven where a sound card would drive them."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from numpy.typing import NDArray

from conftest import ServerProcess
from teleglyph.client.address import Address
from teleglyph.client.call import CallClient, CallEvents, Credentials
from teleglyph.client.sound import CallSound
from teleglyph.wire import Capabilities

RATE, BLOCK = 48_000, 480
Samples = NDArray[np.float32]


def tone(frequency: float, seconds: float) -> Samples:
    return (0.2 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def level_of(sound: Samples, frequency: float) -> float:
    """Level of a tone in dB, 0 is full scale: the median of five parts, so that one hiccup does not count."""
    levels = []
    for part in np.split(sound[: len(sound) // 5 * 5], 5):
        window = np.hanning(len(part))
        spectrum = np.abs(np.fft.rfft(part * window)) / (window.sum() / 2)
        place = round(frequency * len(part) / RATE)
        levels.append(20 * np.log10(spectrum[max(0, place - 2) : place + 3].max() + 1e-9))
    return float(np.median(levels))


class Person:
    """A client whose sound card is this test."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.sound = CallSound()
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
        """Say something, and keep what is heard meanwhile, block by block as a sound card would."""
        await self.joined.wait()
        await asyncio.sleep(0.2)
        started = time.monotonic()
        for number, start in enumerate(range(0, len(said) - BLOCK + 1, BLOCK)):
            await asyncio.sleep(max(0.0, started + number * BLOCK / RATE - time.monotonic()))
            if mute_from is not None and start == mute_from:
                self.sound.toggle_mute()
            self.sound.captured(said[start : start + BLOCK])
            self.heard.append(self.sound.fill(BLOCK))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def talk(server: ServerProcess, *sounds: Samples, mute_from: int | None = None) -> list[Samples]:
    """What each of some people hears while each says something; the first may mute itself at a sample."""

    async def run() -> list[Samples]:
        people = [Person(server, f"person-{number}") for number in range(len(sounds))]
        lives = [
            person.live(sound, mute_from if number == 0 else None)
            for number, (person, sound) in enumerate(zip(people, sounds, strict=True))
        ]
        await asyncio.gather(*lives)
        return [np.concatenate(person.heard) for person in people]

    return asyncio.run(run())


def test_each_hears_the_other_and_not_itself(server: ServerProcess) -> None:
    ann, bob = talk(server, tone(440, 3.0), tone(880, 3.0))
    for heard, own, other in ((ann, 440, 880), (bob, 880, 440)):
        middle = heard[RATE : 2 * RATE]
        assert level_of(middle, other) > -20
        assert level_of(middle, own) < -60


def test_who_is_muted_is_not_heard_any_more(server: ServerProcess) -> None:
    _, bob = talk(server, tone(440, 4.0), np.zeros(4 * RATE, np.float32), mute_from=2 * RATE)
    assert level_of(bob[RATE : RATE + RATE // 2], 440) > -20
    assert np.abs(bob[3 * RATE :]).max() < 0.01


def test_the_noise_of_a_quiet_room_is_not_sent(server: ServerProcess) -> None:
    noise = (0.0006 * np.random.default_rng(1).standard_normal(2 * RATE)).astype(np.float32)
    _, bob = talk(server, noise, np.zeros(2 * RATE, np.float32))
    assert np.abs(bob).max() < 0.001
