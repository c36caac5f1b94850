"""While one peer sends hostile sound, two others hear each other without a gap."""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

import acip_peer as acip
from acip_peer import AcipPeer, PeerClosedError
from conftest import ServerProcess
from talker import AUDIO_BATCH, AUDIO_OPUS_BATCH, RATE, STREAM_AUDIO, Samples, Talker, opus_batch, talk, tone
from teleglyph.media.opus import OpusEncoder

Connect = Callable[[ServerProcess], AcipPeer]
Attack = Callable[[AcipPeer, np.random.Generator], None]

SECONDS = 4.0
QUIET_PACKET = OpusEncoder().encode(np.zeros(960, np.float32))


def envelope(sound: Samples, frequency: float) -> Samples:
    """Level of a tone in dB of full scale, in steps of 10 ms: windows of 40 ms, which tell tones 50 Hz apart."""
    size, step = RATE // 25, RATE // 100
    window = np.hanning(size) * np.exp(-2j * np.pi * frequency * np.arange(size) / RATE)
    starts = np.arange(0, len(sound) - size, step)
    strengths = np.abs(sound[starts[:, None] + np.arange(size)] @ window) / (np.hanning(size).sum() / 2)
    return 20 * np.log10(strengths + 1e-9)  # type: ignore[no-any-return]


def noise(peer: AcipPeer, chance: np.random.Generator) -> None:
    """Random bytes where Opus belongs."""
    for _ in range(20):
        peer.send(AUDIO_OPUS_BATCH, opus_batch(chance.bytes(int(chance.integers(1, 400)))))


def burst(peer: AcipPeer, _chance: np.random.Generator) -> None:
    """Ten seconds of sound at once."""
    packet = OpusEncoder().encode(tone(2000, 0.02))
    for _ in range(50):
        peer.send(AUDIO_OPUS_BATCH, opus_batch(*[packet] * 10))


def square_wave(peer: AcipPeer, _chance: np.random.Generator) -> None:
    """Full scale, as loud as can be, and more of it than time passes."""
    samples = np.where(np.arange(4800) % 48 < 24, 0x7FFFFFFF, -0x80000000).astype(">i4").tobytes()
    peer.send(AUDIO_BATCH, struct.pack(">IIII", 1, 4800, RATE, 1) + samples)


def lies(peer: AcipPeer, _chance: np.random.Generator) -> None:
    """Rates and lengths that are not those of the packets."""
    packet = OpusEncoder().encode(tone(2000, 0.02))
    for rate, duration in ((8000, 20), (48_000, 60), (48_000, 5), (96_000, 10)):
        peer.send(AUDIO_OPUS_BATCH, opus_batch(packet, duration=duration, rate=rate))
    for rate in (1, 7999, 192_000, 0xFFFFFFFF):
        peer.send(AUDIO_BATCH, struct.pack(">IIII", 1, 480, rate, 1) + bytes(4 * 480))


def counts(peer: AcipPeer, _chance: np.random.Generator) -> None:
    """More frames than there are."""
    peer.send(AUDIO_OPUS_BATCH, struct.pack(">IIIIHH", RATE, 20, 2, 0, 3, 60_000) + b"abc")
    peer.send(AUDIO_OPUS_BATCH, struct.pack(">IIII", RATE, 20, 0xFFFFFFFF, 0))
    peer.send(AUDIO_BATCH, struct.pack(">IIII", 0xFFFFFFFF, 0xFFFFFFFF, RATE, 1))


@pytest.mark.alone
@pytest.mark.parametrize(
    "attack", [noise, square_wave, *(pytest.param(one, marks=pytest.mark.thorough) for one in (burst, lies, counts))]
)
def test_hostile_sound_leaves_no_gap_in_what_others_hear(
    server: ServerProcess, connect: Connect, attack: Attack
) -> None:
    stop = threading.Event()

    def keep_attacking() -> None:
        """Reconnect attackers that were disconnected, at most four times a second."""
        chance = np.random.default_rng(7)
        for number in itertools.count():
            if stop.wait(0.25 if number else 0):
                return
            with contextlib.suppress(PeerClosedError, OSError):
                attacker = connect(server).join(video=False)
                threading.Thread(target=drain, args=(attacker,), daemon=True).start()
                attacker.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
                while not stop.wait(0.05):
                    attack(attacker, chance)

    def drain(peer: AcipPeer) -> None:
        with contextlib.suppress(PeerClosedError, OSError):
            while True:
                peer.receive()

    talkers = [connect(server).join(video=False) for _ in range(2)]
    attacker = threading.Thread(target=keep_attacking, daemon=True)
    attacker.start()
    ann, bob = talk(talkers, [tone(440, SECONDS), tone(880, SECONDS)])
    stop.set()
    attacker.join(10)
    for listener, other in ((ann, 880.0), (bob, 440.0)):
        # The first half second belongs to the buffers, the last one to the silence after the end.
        levels = envelope(listener.sound, other)[50:-60]
        assert len(levels) > 100 * (SECONDS - 1.5), "all that was said was heard"
        # Three voices and one that leads: 20 log10(0.2 / sqrt(3)) - 6 dB = -24.7 dB, in the compressor up to 6 less.
        assert float(np.mean(levels < -36)) < 0.02, f"gaps in what was said: {np.sort(levels)[:20].round()}"
    assert server.process.poll() is None


def test_after_a_long_silence_a_voice_is_heard_at_once(server: ServerProcess, connect: Connect) -> None:
    speaker, listener = (connect(server).join(video=False) for _ in range(2))
    ear = Talker(listener, np.zeros(0, np.float32))
    receiver = threading.Thread(target=ear._receive, daemon=True)
    receiver.start()
    speaker.send(acip.STREAM_START, struct.pack(">I", STREAM_AUDIO))
    delays = []
    for pause in (0.5, 4.0):
        silent_until = time.monotonic() + pause
        while time.monotonic() < silent_until:
            speaker.send(AUDIO_OPUS_BATCH, opus_batch(QUIET_PACKET))
            speaker.send(acip.PING)
            listener.send(acip.PING)
            time.sleep(0.02)
        encoder, heard_before = OpusEncoder(64_000), len(ear.heard)
        spoken = time.monotonic()
        for number in range(30):
            time.sleep(max(0.0, spoken + number * 0.02 - time.monotonic()))
            speaker.send(AUDIO_OPUS_BATCH, opus_batch(encoder.encode(tone(440, 0.02))))
        time.sleep(0.3)
        loud = [
            when
            for sound, when in zip(ear.heard[heard_before:], ear.arrivals[heard_before:], strict=False)
            if np.abs(sound).max() > 0.05
        ]
        delays.append(loud[0] - spoken)
    ear.done = True
    receiver.join(5)
    assert abs(delays[1] - delays[0]) < 0.1, "the buffer does not grow with the silence"
