"""Tones through a real server: everybody hears exactly the others, from a peer written from the specification alone."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import acip_peer as acip
from acip_peer import AcipPeer, PeerClosed
from conftest import ServerProcess
from films import make_film_with_sound
from teleglyph.media.opus import OpusDecoder, OpusEncoder

Connect = Callable[[ServerProcess], AcipPeer]
Samples = NDArray[np.float32]

AUDIO_BATCH, AUDIO_OPUS_BATCH, STREAM_AUDIO = 4000, 4001, 2
RATE, FRAME = 48_000, 960
TONES = (440.0, 660.0, 880.0)
EXPECTED = 20 * np.log10(0.2 / np.sqrt(3))
"""Three voices speak at once: each is scaled by 1/sqrt(3); the two that are heard stay below the compressor."""


def tone(frequency: float, seconds: float, level: float = 0.2) -> Samples:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def opus_batch(*frames: bytes, duration: int = 20, rate: int = RATE) -> bytes:
    sizes = struct.pack(f">{len(frames)}H", *map(len, frames))
    return struct.pack(">IIII", rate, duration, len(frames), 0) + sizes + b"".join(frames)


class Talker(threading.Thread):
    """Sends sound at its pace and collects what it hears, in packets of 20 ms."""

    def __init__(self, peer: AcipPeer, samples: Samples, clock: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.peer = peer
        self.heard: list[Samples] = []
        self.arrivals: list[float] = []
        self._samples = samples
        self._clock = clock
        self._encoder, self._decoder = OpusEncoder(64_000), OpusDecoder()
        peer.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))

    def run(self) -> None:
        receiver = threading.Thread(target=self._receive, daemon=True)
        receiver.start()
        started = time.monotonic()
        for number in range(len(self._samples) // FRAME):
            time.sleep(max(0.0, started + number * FRAME / RATE / self._clock - time.monotonic()))
            packet = self._encoder.encode(self._samples[number * FRAME : (number + 1) * FRAME])
            self.peer.send(AUDIO_OPUS_BATCH, opus_batch(packet))
        time.sleep(0.5)
        self.done = True
        receiver.join(10)

    done = False

    def _receive(self) -> None:
        try:
            while not self.done:
                for kind, payload in self.peer.packets(0.1):
                    if kind == AUDIO_OPUS_BATCH:
                        self._hear(payload)
                    if self.done:
                        return
        except (PeerClosed, OSError):
            return

    def _hear(self, payload: bytes) -> None:
        rate, duration, count, _ = struct.unpack_from(">IIII", payload)
        assert (rate, duration) == (RATE, 20)
        assert 1 <= count <= 8
        sizes = struct.unpack_from(f">{count}H", payload, 16)
        start = 16 + 2 * count
        for size in sizes:
            self.heard.append(self._decoder.decode(payload[start : start + size]))
            self.arrivals.append(time.monotonic())
            start += size

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.float32)


def talk(peers: Sequence[AcipPeer], sounds: Sequence[Samples], clocks: Sequence[float] = ()) -> list[Talker]:
    talkers = [
        Talker(peer, sound, clock)
        for peer, sound, clock in zip(peers, sounds, clocks or [1.0] * len(peers), strict=True)
    ]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join(60)
    return talkers


def level_of(sound: Samples, frequency: float) -> float:
    """Level of a tone in dB, 0 is full scale: the median of five parts, so that one hiccup does not count."""
    levels = []
    for part in np.split(sound[: len(sound) // 5 * 5], 5):
        window = np.hanning(len(part))
        spectrum = np.abs(np.fft.rfft(part * window)) / (window.sum() / 2)
        place = round(frequency * len(part) / RATE)
        levels.append(20 * np.log10(spectrum[max(0, place - 2) : place + 3].max() + 1e-9))
    return float(np.median(levels))


def middle(sound: Samples, seconds: float = 1.0) -> Samples:
    """A second out of the middle, without beginnings and ends."""
    assert len(sound) > 1.5 * seconds * RATE, f"only {len(sound) / RATE:.2f} s were heard"
    start = (len(sound) - int(seconds * RATE)) // 2
    return sound[start : start + int(seconds * RATE)]


def test_three_tones_each_listener_hears_the_two_others_and_not_its_own(
    server: ServerProcess, connect: Connect
) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    talkers = talk(peers, [tone(frequency, 3.0) for frequency in TONES])
    for listener, own in zip(talkers, TONES, strict=True):
        sound = middle(listener.sound)
        for frequency in TONES:
            level = level_of(sound, frequency)
            if frequency == own:
                assert level < EXPECTED - 40, f"{own} Hz hears itself at {level:.1f} dB"
            else:
                assert abs(level - EXPECTED) < 3, f"{frequency} Hz is heard at {level:.1f} dB"


def test_who_leads_ducks_the_others(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    loud, quiet = tone(TONES[0], 3.0, 0.4), tone(TONES[1], 3.0, 0.05)
    listener = talk(peers, [loud, quiet, np.zeros(3 * RATE, np.float32)])[2]
    sound = middle(listener.sound)
    # The quiet voice is 18 dB below the loud one, and ducked by 6 dB.
    difference = level_of(sound, TONES[0]) - level_of(sound, TONES[1])
    assert 21 < difference < 27, f"{difference:.1f} dB"


def test_noise_below_the_gate_is_not_heard(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    faint = tone(440, 2.0, 0.001)
    listener = talk(peers, [faint, np.zeros(2 * RATE, np.float32)])[1]
    assert not listener.heard or np.abs(listener.sound).max() < 0.001


@pytest.mark.parametrize("clock", [0.98, 1.02])
def test_a_clock_that_is_wrong_does_not_spoil_what_others_hear(
    server: ServerProcess, connect: Connect, clock: float
) -> None:
    peers = [connect(server).join(video=False) for _ in TONES]
    talkers = talk(peers, [tone(frequency, 3.0) for frequency in TONES], [clock, 1.0, 1.0])
    good = middle(talkers[2].sound)
    assert abs(level_of(good, TONES[1]) - EXPECTED) < 3
    assert level_of(good, TONES[2]) < EXPECTED - 40


def test_a_silent_room_sends_nothing(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    for peer in peers:
        peer.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    assert not [kind for kind, _ in peers[0].packets(1.0) if kind == AUDIO_OPUS_BATCH]


def test_uncompressed_sound_is_heard_too(server: ServerProcess, connect: Connect) -> None:
    peers = [connect(server).join(video=False) for _ in range(2)]
    listener = Talker(peers[1], np.zeros(3 * RATE, np.float32))
    listener.start()
    peers[0].send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    sound, started = tone(440, 3.0)[::3], time.monotonic()  # 16 kHz
    for number, start in enumerate(range(0, len(sound), 320)):
        time.sleep(max(0.0, started + number * 0.02 - time.monotonic()))
        samples = (sound[start : start + 320] * (2**31 - 1)).astype(">i4").tobytes()
        peers[0].send(AUDIO_BATCH, struct.pack(">IIII", 1, len(samples) // 4, 16_000, 1) + samples)
    listener.join(60)
    assert abs(level_of(middle(listener.sound), 440) - 20 * np.log10(0.2 / np.sqrt(1))) < 3


def test_sound_before_its_stream_is_started_is_refused_with_the_reason(server: ServerProcess, connect: Connect) -> None:
    peer = connect(server).join()
    peer.send(AUDIO_OPUS_BATCH, opus_batch(OpusEncoder().encode(np.zeros(FRAME, np.float32))))
    farewell = peer.wait_closed()
    assert any(b"before audio stream enabled" in payload for _, payload in farewell)


def test_hostile_sound_spoils_only_its_sender(server: ServerProcess, connect: Connect) -> None:
    attacker, talker, listener = (connect(server).join(video=False) for _ in range(3))
    attacker.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    stop = threading.Event()

    def attack() -> None:
        chance = np.random.default_rng(7)
        square = OpusEncoder(64_000).encode(np.sign(tone(50, 0.02, 1.0)))
        while not stop.is_set():
            for _ in range(20):
                attacker.send(AUDIO_OPUS_BATCH, opus_batch(chance.bytes(int(chance.integers(1, 400)))))
            attacker.send(AUDIO_OPUS_BATCH, opus_batch(*[b"\xff"] * 900))
            attacker.send(AUDIO_OPUS_BATCH, opus_batch(square, duration=20, rate=8000))
            attacker.send(AUDIO_BATCH, struct.pack(">IIII", 1, 5000, 48_000, 1) + b"\x7f\xff\xff\xff" * 5000)
            stop.wait(0.05)

    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    talkers = talk([talker, listener], [tone(440, 3.0), tone(880, 3.0)])
    stop.set()
    thread.join(10)
    for heard, other in ((talkers[1], 440.0), (talkers[0], 880.0)):
        assert level_of(middle(heard.sound), other) > -35
        gaps = np.diff(heard.arrivals[5:-5])
        assert len(heard.heard) > 120, "nearly three seconds were heard"
        assert np.median(gaps) < 0.03
    assert server.process.poll() is None


def test_a_films_flash_and_click_arrive_together(server: ServerProcess, connect: Connect, tmp_path: Path) -> None:
    film = make_film_with_sound(tmp_path / "film.mkv", 7.0)
    viewer = connect(server).join(video=False, columns=40, rows=20)
    viewer.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    decoder = OpusDecoder()
    flashes: list[float] = []
    clicks: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "teleglyph", "client", f"127.0.0.1:{server.port}", "--file", str(film)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    ) as client:
        was_bright = was_loud = False
        pinged = deadline = time.monotonic()
        deadline += 30
        while (len(flashes) < 5 or len(clicks) < 5) and time.monotonic() < deadline:
            for kind, payload in viewer.packets(0.2):
                now = time.monotonic()
                if kind == acip.ASCII_FRAME:
                    shades = [int(shade) for shade in re.findall(r"38;2;(\d+);", acip.frame_text(payload))]
                    is_bright = bool(shades) and max(shades) > 200
                    flashes += [now] if is_bright and not was_bright else []
                    was_bright = is_bright
                elif kind == AUDIO_OPUS_BATCH:
                    (count,) = struct.unpack_from(">I", payload, 8)
                    is_loud = bool(np.abs(decoder.decode(payload[16 + 2 * count :])).max() > 0.1)
                    clicks += [now] if is_loud and not was_loud else []
                    was_loud = is_loud
                if now - pinged > 0.4:
                    pinged = now
                    viewer.send(acip.PING)
        client.terminate()
        assert client.wait(10) == 0
    distances = [min(abs(flash - click) for click in clicks) for flash in flashes[:5]]
    assert len(distances) == 5
    assert sorted(distances)[2] < 0.06 + 0.02, "a packet of 20 ms is heard while it lasts"
