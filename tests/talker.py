"""Participants who speak and listen in real time, and measurements of what they hear."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import acip_peer as acip
from acip_peer import AcipPeer, PeerClosedError
from teleglyph.media.opus import OpusDecoder, OpusEncoder

Samples = NDArray[np.float32]

AUDIO_BATCH, AUDIO_OPUS_BATCH, STREAM_AUDIO = 4000, 4001, 2
RATE, FRAME = 48_000, 960


def tone(frequency: float, seconds: float, level: float = 0.2) -> Samples:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def opus_batch(*frames: bytes, duration: int = 20, rate: int = RATE) -> bytes:
    sizes = struct.pack(f">{len(frames)}H", *map(len, frames))
    return struct.pack(">IIII", rate, duration, len(frames), 0) + sizes + b"".join(frames)


class Talker(threading.Thread):
    """Sends sound in real time and records what it receives, in packets of 20 ms."""

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
            if self._has_stopped:
                break
            time.sleep(max(0.0, started + number * FRAME / RATE / self._clock - time.monotonic()))
            packet = self._encoder.encode(self._samples[number * FRAME : (number + 1) * FRAME])
            self.peer.send(AUDIO_OPUS_BATCH, opus_batch(packet))
        time.sleep(0.5)
        self.done = True
        receiver.join(10)

    done = False
    _has_stopped = False

    def stop(self) -> None:
        """Say no more, and wait for the end."""
        self._has_stopped = True
        self.join(10)

    def _receive(self) -> None:
        try:
            while not self.done:
                for kind, payload in self.peer.packets(0.1):
                    if kind == AUDIO_OPUS_BATCH:
                        self._hear(payload)
                    if self.done:
                        return
        except (PeerClosedError, OSError):
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
    """Level of a tone in dB of full scale: the median of five parts, so that one hiccup does not count."""
    levels = []
    for part in np.split(sound[: len(sound) // 5 * 5], 5):
        window = np.hanning(len(part))
        spectrum = np.abs(np.fft.rfft(part * window)) / (window.sum() / 2)
        place = round(frequency * len(part) / RATE)
        levels.append(20 * np.log10(spectrum[max(0, place - 2) : place + 3].max() + 1e-9))
    return float(np.median(levels))


def middle(sound: Samples, seconds: float = 1.0) -> Samples:
    """One second from the middle."""
    assert len(sound) > 1.5 * seconds * RATE, f"only {len(sound) / RATE:.2f} s were heard"
    start = (len(sound) - int(seconds * RATE)) // 2
    return sound[start : start + int(seconds * RATE)]
