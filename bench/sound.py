"""Measures the latency and cost of a room's sound: only the mix, and with decoding and encoding, for growing rooms.

Run ``python -m bench.sound``.  Everybody speaks at once, the worst case.  The baseline of the mix is the simple way
with NumPy: sum all other voices, one after the other, for every listener.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np

from bench.report import print_table
from bench.server import ServerProcess, percentile
from teleglyph.call.sound import BLOCK, TICK_SECONDS, RoomSound, Voice
from teleglyph.client.address import Address
from teleglyph.client.call.client import CallClient, CallEvents
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.sound import CallSound
from teleglyph.media.mixer import Mixer
from teleglyph.media.opus import SAMPLE_RATE, OpusEncoder
from teleglyph.net import Outbox
from teleglyph.wire.acip import Capabilities, OpusBatch

_TICKS = 400


def voices(count: int, samples: int) -> np.ndarray:
    """A tone for each voice, as float32 of the shape (count, samples)."""
    places = np.arange(samples) / SAMPLE_RATE
    return np.stack([0.1 * np.sin(2 * np.pi * (200 + 17 * index) * places) for index in range(count)]).astype(
        np.float32
    )


def mix_microseconds(count: int) -> float:
    mixer = Mixer(BLOCK)
    for _ in range(count):
        mixer.add()
    sound = voices(count, BLOCK * 10)
    started = time.perf_counter()
    for tick in range(_TICKS):
        start = tick % 10 * BLOCK
        mixer.mix(sound[:, start : start + BLOCK])
    return 1e6 * (time.perf_counter() - started) / _TICKS


def pairwise_microseconds(count: int) -> float:
    sound = voices(count, BLOCK)
    rounds = max(1, 4000 // (count * count))
    started = time.perf_counter()
    for _ in range(rounds):
        for listener in range(count):
            mix = np.zeros(BLOCK, np.float32)
            for voice in range(count):
                if voice != listener:
                    mix += sound[voice]
    return 1e6 * (time.perf_counter() - started) / rounds


def room_microseconds(count: int) -> float:
    """Time one tick of a whole room: decoding, mixing, encoding."""
    room = RoomSound()
    people = [Voice(Outbox()) for _ in range(count)]
    seconds = 2.0
    packets = []
    for sound in voices(count, int(seconds * SAMPLE_RATE)):
        encoder = OpusEncoder()
        packets.append([encoder.encode(sound[start : start + 960]) for start in range(0, len(sound), 960)])
    ticks = int(seconds / TICK_SECONDS)
    spent = 0.0
    for tick in range(ticks):
        if tick % 4 == 0:
            for person, own in zip(people, packets, strict=True):
                person.inbox.append((OpusBatch(SAMPLE_RATE, 20, (own[tick // 4],)), tick * TICK_SECONDS))
        started = time.perf_counter()
        room._process(people, 1)
        spent += time.perf_counter() - started
    return 1e6 * spent / ticks


class _Person:
    """A client whose sound card is this benchmark."""

    def __init__(self, port: int, name: str) -> None:
        self.sound = CallSound()
        self.joined = asyncio.Event()
        client = CallClient(
            Address("127.0.0.1", port),
            Credentials(name),
            Capabilities(20, 10, desired_fps=1, audio_codecs=0x103),
            events=CallEvents(joined=lambda _: self.joined.set()),
            sound=self.sound,
        )
        self.task = asyncio.create_task(client.run())


async def mouth_to_ear(port: int, clicks: int) -> list[float]:
    """Milliseconds from a block of one client's microphone to the block of another client's speakers that plays it."""
    ann, bob = _Person(port, "ann"), _Person(port, "bob")
    await asyncio.gather(ann.joined.wait(), bob.joined.wait())
    await asyncio.sleep(0.3)
    loud = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(480) / SAMPLE_RATE)).astype(np.float32)
    nothing = np.zeros(480, np.float32)
    delays, clicked, started = [], 0.0, time.monotonic()
    for number in range(clicks * 61):
        await asyncio.sleep(max(0.0, started + number / 100 - time.monotonic()))
        is_click = number % 61 < 10
        if number % 61 == 0:
            clicked = time.monotonic()
        ann.sound.capture(loud if is_click else nothing)
        bob.sound.capture(nothing)
        heard = np.abs(bob.sound.fill(480)).max()
        if clicked and heard > 0.1:
            delays.append(1000 * (time.monotonic() - clicked))
            clicked = 0.0
    for person in (ann, bob):
        person.task.cancel()
    await asyncio.gather(ann.task, bob.task, return_exceptions=True)
    return sorted(delays)


def delay_table() -> None:
    server = ServerProcess()
    try:
        delays = asyncio.run(mouth_to_ear(server.port, 60))
    finally:
        server.stop()
    print_table(
        "Mouth to ear on this machine, blocks of 10 ms, sound cards not included",
        ["clicks heard", "p50 ms", "p99 ms", "aim p50 / p99"],
        [[f"{len(delays)} of 60", f"{percentile(delays, 0.5):.0f}", f"{percentile(delays, 0.99):.0f}", "60 / 90"]],
    )


def main() -> None:
    delay_table()
    rows = []
    for count in (2, 8, 32, 64):
        mix, pairwise, room = mix_microseconds(count), pairwise_microseconds(count), room_microseconds(count)
        rows.append(
            [
                str(count),
                f"{mix:.0f}",
                f"{mix / count:.1f}",
                f"{1e-4 * mix / TICK_SECONDS:.1f}",
                f"{pairwise / mix:.1f}",
                f"{1e-4 * room / TICK_SECONDS:.1f}",
                f"{1e-4 * room / TICK_SECONDS / count:.2f}",
            ]
        )
    print_table(
        "A room's sound, everybody speaking, ticks of 5 ms",
        ["people", "mix µs", "µs each", "mix CPU %", "x pairwise", "with codecs CPU %", "CPU % each"],
        rows,
    )


if __name__ == "__main__":
    main()
