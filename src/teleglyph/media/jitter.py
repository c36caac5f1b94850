"""The jitter buffer: turns packets with uneven arrival times into a steady stream of samples.

ACIP does not number sound packets and loses none; only their arrival times and the speed of the sender's clock vary.
The buffer holds as much sound as the recent jitter requires, conceals short gaps, and plays slightly faster or slower
to keep its level.  Time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from teleglyph.errors import MediaDecodeError
from teleglyph.media.opus import (
    MAX_FRAME_SAMPLES,
    SAMPLE_RATE,
    SILENT_PACKET,
    OpusDecoder,
    Samples,
    packet_samples,
)

_CONCEAL_STEP = 480
_FADE = 240
_CEILING_SECONDS = 0.25
"""Sound that exceeds the target level by more than this is dropped instead of played faster."""
_MAX_SECONDS = 1.0
_PAUSE_SECONDS = 0.3
"""A gap of this length is a pause of the speaker, not jitter of the network."""
_BASE_LEAK = 0.03
"""Seconds per second at which the shortest delay is forgotten: more than the error of any sender's clock."""
_PEAK_LEAK = 0.01
_SMOOTHING_SAMPLES = SAMPLE_RATE / 4
_DEAD_BAND = 0.004
_MARGIN = 0.004
_SPEED_PER_SURPLUS = 0.3
"""Change of speed for each second of surplus: a surplus of 20 ms is played 0.6 % faster, which is inaudible."""
_DRIFT_PER_SURPLUS = 0.02
"""Change of the drift, per second, for each second of surplus.  The drift approaches the error of the sender's clock.
With the number above, the control loop is close to critically damped."""
_MAX_DRIFT, _MAX_SPEED_CHANGE = 0.025, 0.03
_NO_DRIFT = 0.0003
_DRIFT_PER_GAP = 0.001
"""A gap says more about the sender's clock than a level, which cannot fall below 0."""


@dataclass(frozen=True, slots=True)
class JitterLimits:
    """Limits on waiting sound, in seconds."""

    shortest: float = 0.02
    longest: float = 0.12
    concealed: float = 0.06
    """Longest gap that is concealed."""


@dataclass(slots=True)
class JitterCounters:
    """Counters of one voice."""

    packets: int = 0
    undecodable: int = 0
    dropped: int = 0
    """Packets dropped because too much sound waited."""
    late: int = 0
    """Times that sound was due and had not arrived."""
    concealed_samples: int = 0


class JitterBuffer:
    """One voice: packets in, samples out; for one thread at a time."""

    def __init__(self, limits: JitterLimits | None = None) -> None:
        self.limits = limits or JitterLimits()
        self.counters = JitterCounters()
        self._decoder: OpusDecoder | None = None
        self._queue: deque[tuple[bytes | Samples, int]] = deque()
        self._queued = 0
        self._ready: Samples = np.zeros(0, np.float32)
        self._position = 0.0
        """Position of the next sample in ``_ready``; may be between two samples."""
        self._playing = False
        self._fade_in = False
        self._was_silent = True
        self._gap = 0
        self._last: float | None = None
        self._paused = False
        self._sent = 0.0
        self._base = 0.0
        self._peak = 0.0
        self._frame = 0.0
        self._smooth_level = 0.0
        self._drift = 0.0
        self._waited = 0

    # --- in -------------------------------------------------------------------------------------------

    def push(self, packet: bytes, now: float) -> None:
        """Add an Opus packet that arrived at ``now`` (seconds)."""
        samples = packet_samples(packet)
        if samples == 0:
            self.counters.undecodable += 1
            return
        self._push(packet, samples, now)

    def push_samples(self, samples: Samples, now: float) -> None:
        """Add samples (float32, mono, 48 kHz) that arrived at ``now`` (seconds)."""
        for start in range(0, len(samples), MAX_FRAME_SAMPLES):
            part = samples[start : start + MAX_FRAME_SAMPLES]
            self._push(part, len(part), now)

    def _push(self, sound: bytes | Samples, samples: int, now: float) -> None:
        self.counters.packets += 1
        self._measure(samples / SAMPLE_RATE, now)
        self._paused = isinstance(sound, bytes) and len(sound) <= SILENT_PACKET
        self._queue.append((sound, samples))
        self._queued += samples
        if self._queued > _MAX_SECONDS * SAMPLE_RATE or self.level > self.target + _CEILING_SECONDS:
            self._drop()

    def _measure(self, seconds: float, now: float) -> None:
        """Update the jitter: how much later than the fastest packets this one arrived."""
        if self._last is None or self._paused or now - self._last > _PAUSE_SECONDS:
            self._sent, self._base = 0.0, now
        else:
            passed = now - self._last
            self._base += _BASE_LEAK * passed
            self._peak = max(0.0, self._peak - _PEAK_LEAK * passed)
        delay = now - self._sent
        self._base = min(self._base, delay)
        self._peak = max(self._peak, min(delay - self._base, self.limits.longest))
        self._sent += seconds
        self._last = now
        self._frame = seconds

    def _drop(self) -> None:
        wanted = int(self.target * SAMPLE_RATE)
        while self._queued > wanted and len(self._queue) > 1:
            self._queued -= self._queue.popleft()[1]
            self.counters.dropped += 1
        self._smooth_level = self.level

    # --- out ------------------------------------------------------------------------------------------

    @property
    def level(self) -> float:
        """Seconds of sound in the buffer."""
        return (self._queued + max(0.0, len(self._ready) - self._position)) / SAMPLE_RATE

    @property
    def target(self) -> float:
        """Seconds of sound that should be in the buffer: the recent jitter, one packet, and a margin."""
        return min(self.limits.longest, max(self.limits.shortest, self._peak + self._frame + _MARGIN))

    @property
    def jitter(self) -> float:
        """Recent delay of the slowest packets relative to the fastest, in seconds."""
        return self._peak

    @property
    def is_idle(self) -> bool:
        """Whether nothing is playing and nothing is queued."""
        return not self._playing and self._queued == 0

    def pull(self, count: int) -> Samples | None:
        """The next ``count`` samples; None while nothing is playing."""
        if not self._playing:
            self._waited += count if self._queued else 0
            if self._queued == 0 or (self.level < self.target and self._waited < self.target * SAMPLE_RATE):
                return None
            self._playing, self._fade_in, self._gap, self._waited = True, True, 0, 0
            self._smooth_level = self._peak + self._frame / 2 + _MARGIN
        speed = self._speed(count)
        while len(self._ready) - self._position < speed * count + 1 and self._playing:
            self._refill()
        samples = self._resample(count, speed)
        if self._fade_in:
            self._fade_in = False
            samples[:_FADE] *= np.linspace(0, 1, len(samples[:_FADE]), dtype=np.float32)
        return samples

    def _speed(self, count: int) -> float:
        left = self.level - count / SAMPLE_RATE
        self._smooth_level += (1 - math.exp(-count / _SMOOTHING_SAMPLES)) * (left - self._smooth_level)
        surplus = self._smooth_level - (self._peak + self._frame / 2 + _MARGIN)
        self._drift += _DRIFT_PER_SURPLUS * surplus * count / SAMPLE_RATE
        self._drift = max(-_MAX_DRIFT, min(_MAX_DRIFT, self._drift))
        if abs(surplus) < _DEAD_BAND and abs(self._drift) < _NO_DRIFT:
            return 1.0
        change = self._drift + _SPEED_PER_SURPLUS * surplus
        return 1.0 + max(-_MAX_SPEED_CHANGE, min(_MAX_SPEED_CHANGE, change))

    def _refill(self) -> None:
        """Decode or conceal at least one more sample, or stop playing."""
        if self._queue:
            sound, samples = self._queue.popleft()
            self._queued -= samples
            self._gap = 0
            self._was_silent = isinstance(sound, bytes) and len(sound) <= SILENT_PACKET
            self._append(self._decode(sound, samples))
            return
        if self._gap == 0 and not self._was_silent:
            self.counters.late += 1
            self._drift = max(-_MAX_DRIFT, self._drift - _DRIFT_PER_GAP)
        if self._was_silent or self._gap >= self.limits.concealed * SAMPLE_RATE:
            self._playing = False
            return
        filler = self._conceal(_CONCEAL_STEP)
        if self._gap + _CONCEAL_STEP >= self.limits.concealed * SAMPLE_RATE:
            filler *= np.linspace(1, 0, len(filler), dtype=np.float32)
        self._gap += _CONCEAL_STEP
        self.counters.concealed_samples += _CONCEAL_STEP
        self._append(filler)

    def _decode(self, sound: bytes | Samples, samples: int) -> Samples:
        if not isinstance(sound, bytes):
            return sound
        if self._decoder is None:
            self._decoder = OpusDecoder()
        try:
            return self._decoder.decode(sound)
        except MediaDecodeError:
            self.counters.undecodable += 1
            return self._conceal(samples)

    def _conceal(self, samples: int) -> Samples:
        """Replacement for missing samples; silence if there is no voice to continue."""
        if self._decoder is None or samples % 120:
            return np.zeros(samples, np.float32)
        return self._decoder.conceal(samples)

    def _append(self, samples: Samples) -> None:
        """Add samples, and drop those already played."""
        whole = min(int(self._position), len(self._ready))
        self._ready = np.concatenate((self._ready[whole:], samples))
        self._position -= whole

    def _resample(self, count: int, speed: float) -> Samples:
        if len(self._ready) < self._position + speed * count + 1:
            # The voice has stopped within these samples: return the rest, padded with silence.
            rest = self._ready[int(self._position) :][:count]
            self._ready, self._position = np.zeros(0, np.float32), 0.0
            return np.concatenate((rest, np.zeros(count - len(rest), np.float32)))
        if speed == 1.0 and self._position.is_integer():
            start = int(self._position)
            samples = self._ready[start : start + count].copy()
        else:
            places = self._position + speed * np.arange(count)
            index = places.astype(np.int64)
            part = (places - index).astype(np.float32)
            samples = self._ready[index] * (1 - part) + self._ready[index + 1] * part
        self._position += speed * count
        return samples
