"""Two of our clients talk through a real server process; the test plays the part of their sound cards."""

from __future__ import annotations

import asyncio
import subprocess
import time
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import ServerProcess
from speaking_client import BLOCK, SpeakingClient
from talker import RATE, Samples, level_of, tone
from teleglyph.call.sound import BLOCK as TICK
from teleglyph.call.sound import SHORT_FRAME, RoomSound, Voice
from teleglyph.client.call.sound import CallSound
from teleglyph.net import Outbox
from teleglyph.wire.acip import Message, OpusBatch, StreamStart
from teleglyph.wire.acip.packet import HEADER


def talk(server: ServerProcess, *sounds: Samples, mute_from: int | None = None) -> list[Samples]:
    """What each person hears while all speak; the first may mute itself at a sample."""

    async def run() -> list[Samples]:
        people = [SpeakingClient(server, f"person-{number}") for number in range(len(sounds))]
        lives = [
            person.live(sound, mute_from if number == 0 else None)
            for number, (person, sound) in enumerate(zip(people, sounds, strict=True))
        ]
        await asyncio.gather(*lives)
        return [np.concatenate(person.heard) for person in people]

    return asyncio.run(run())


class Line:
    """A connection that delivers messages at once."""

    def __init__(self, deliver: Callable[[OpusBatch], None]) -> None:
        self.outbox = Outbox()
        self.outbox.on_ready = self._take
        self._deliver = deliver

    def send(self, message: Message) -> None:
        assert isinstance(message, StreamStart)

    def _take(self) -> None:
        for item in self.outbox.next_batch():
            self._deliver(OpusBatch.decode_payload(item.data[HEADER.size :]))


class Simulated:
    """The time that clients and server see instead of the machine's."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)
        patch.setattr("teleglyph.client.call.sound.time", clock)
        patch.setattr("teleglyph.call.sound.time", clock)


async def converse(time: Simulated, *sounds: Samples) -> list[Samples]:
    """What each of some clients plays while each microphone hears something, through a server's mixer."""
    room = RoomSound()
    people = [CallSound() for _ in sounds]
    voices = [Voice(Line(person.receive).outbox, SHORT_FRAME) for person in people]
    heard: list[list[Samples]] = [[] for _ in sounds]
    for person, voice in zip(people, voices, strict=True):
        room.join(voice)
        person.start(Line(partial(room.receive, voice)))  # type: ignore[arg-type]
    for start in range(0, len(sounds[0]) - BLOCK + 1, BLOCK):
        for person, said in zip(people, sounds, strict=True):
            person.capture(said[start : start + BLOCK])
        await asyncio.sleep(0)
        for _ in range(BLOCK // TICK):
            for voice, packet in room._process(voices, 1):
                voice.outbox.queue_audio(packet, voice.frame / RATE)
            time.now += TICK / RATE
        for person, blocks in zip(people, heard, strict=True):
            blocks.append(person.fill(BLOCK))
    for person in people:
        person.stop()
    return [np.concatenate(blocks) for blocks in heard]


def test_each_client_gets_the_others_sound_and_not_its_own(server: ServerProcess) -> None:
    ann, bob = talk(server, tone(440, 3.0), tone(880, 3.0))
    for heard, own, other in ((ann, 440, 880), (bob, 880, 440)):
        # A busy machine makes gaps, which sound like noise: so the clearest half second counts.
        parts = [heard[start : start + RATE // 2] for start in range(RATE // 2, 5 * RATE // 2, RATE // 4)]
        clearest = min(parts, key=lambda part: level_of(part, 660))
        assert level_of(clearest, other) > -20
        assert level_of(clearest, own) < -60


def test_each_client_gets_the_others_sound_and_not_its_own_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = asyncio.run(converse(Simulated(monkeypatch), tone(440, 3.0), tone(880, 3.0)))
    for heard, own, other in ((ann, 440, 880), (bob, 880, 440)):
        middle = heard[RATE : 2 * RATE]
        assert level_of(middle, other) > -20
        assert level_of(middle, own) < -60


def test_a_muted_client_is_silent(server: ServerProcess) -> None:
    _, bob = talk(server, tone(440, 4.0), np.zeros(4 * RATE, np.float32), mute_from=2 * RATE)
    assert level_of(bob[RATE : RATE + RATE // 2], 440) > -20
    assert np.abs(bob[3 * RATE :]).max() < 0.01


def test_the_noise_of_a_quiet_room_is_not_sent(server: ServerProcess) -> None:
    noise = (0.0006 * np.random.default_rng(1).standard_normal(2 * RATE)).astype(np.float32)
    _, bob = talk(server, noise, np.zeros(2 * RATE, np.float32))
    assert np.abs(bob).max() < 0.001


def speech(path: Path) -> Samples:
    """A sentence by a speech synthesizer."""
    words = "The quick brown fox jumps over the lazy dog, while five wizards box at sixty frames a second."
    subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", str(path), words], check=True, timeout=60)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        spoken = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
        rate = file.getframerate()
    places = np.arange(int(len(spoken) * RATE / rate)) * rate / RATE
    return (0.5 * np.interp(places, np.arange(len(spoken)), spoken)).astype(np.float32)  # type: ignore[no-any-return]


def spectrogram(sound: Samples) -> NDArray[np.float64]:
    """Levels in dB, the uppermost 45 of them, of windows of 25 ms every 10 ms in 40 mel bands up to 8 kHz."""
    size, step = RATE // 40, RATE // 100
    starts = np.arange(0, len(sound) - size, step)
    power = np.abs(np.fft.rfft(sound[starts[:, None] + np.arange(size)] * np.hanning(size), axis=1)) ** 2
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    mel = 2595 * np.log10(1 + frequencies / 700)
    band = np.minimum((mel / 2840 * 40).astype(int), 40)
    bands = np.stack([power[:, band == number].sum(axis=1) for number in range(40) if (band == number).any()], 1)
    levels = 10 * np.log10(bands + 1e-12)
    return np.maximum(levels, levels.max() - 45)  # type: ignore[no-any-return]


def test_speech_arrives_as_it_was_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The correlation of two spectrograms at the delay that fits best: 0.95 is what Opus leaves of it once."""
    said = speech(tmp_path / "speech.wav")
    pause = np.zeros(RATE // 2, np.float32)
    silence = np.zeros(len(said) + len(pause), np.float32)
    _, heard = asyncio.run(converse(Simulated(monkeypatch), np.concatenate((said, pause)), silence))
    want, got = spectrogram(said), spectrogram(heard)
    scores = [
        float(np.corrcoef(want.ravel(), got[delay : delay + len(want)].ravel())[0, 1])
        for delay in range(min(40, len(got) - len(want)))
    ]
    backwards = float(np.corrcoef(want.ravel(), want[::-1].ravel())[0, 1])
    assert backwards < 0.5, "the measure tells speech from other speech"
    assert max(scores) > 0.9


def test_a_device_that_vanishes_is_reported_and_so_is_its_return(server: ServerProcess) -> None:
    async def run() -> list[str]:
        person = SpeakingClient(server, "ann")
        notices: list[str] = []
        person.sound.on_notice = notices.append
        assert person.sound.open(silent=True) == ""
        await person.joined.wait()
        card = person.sound._microphone._card
        assert card is not None
        card.close()  # as when a headset is unplugged: it delivers nothing any more
        deadline = time.monotonic() + 30
        while len(notices) < 2 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            assert person.sound.can_speak is (len(notices) != 1)
        await person.live(np.zeros(BLOCK, np.float32))
        person.sound.close()
        return notices

    gone, back = asyncio.run(run())
    assert gone == "The microphone is gone: the others cannot hear you."
    assert back == "The microphone is back."


def test_a_film_says_that_its_sound_is_sent_when_it_has_some(server: ServerProcess) -> None:
    async def run(*, has_sound: bool) -> list[str]:
        person = SpeakingClient(server, "ann", CallSound(film="holiday.mp4"))
        notices: list[str] = []
        person.sound.on_notice = notices.append
        await person.joined.wait()
        if has_sound:
            person.sound.capture(np.zeros(BLOCK, np.float32))
        await asyncio.sleep(1.5)
        await person.live(np.zeros(0, np.float32))
        return notices

    assert asyncio.run(run(has_sound=True)) == ["The sound of holiday.mp4 is sent instead of your microphone."]
    assert asyncio.run(run(has_sound=False)) == []
