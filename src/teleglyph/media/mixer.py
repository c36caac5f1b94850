"""Computes all mixes at once: one sum, minus each listener's own voice.

The stages and their numbers are those of docs/sound.md#the-mix.  Gains change smoothly within a block, and coefficients
match the block size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teleglyph.media.opus import SAMPLE_RATE, Samples

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MixerSettings:
    """Levels in dBFS, times in milliseconds."""

    gate_open: float = -50.0
    """The gate opens for a voice above this peak ..."""
    gate_close: float = -56.0
    """... and closes below this one."""
    gate_attack: float = 2.0
    gate_release: float = 150.0
    speaking: float = -60.0
    """Voices above this count as speaking: n of them are scaled by 1/sqrt(n)."""
    duck_above: float = -45.0
    """Voices above this are ducked while another one leads."""
    lead: float = 6.0
    """Voices at most this many dB below the loudest also lead."""
    duck: float = -6.0
    """Gain of ducked voices, in dB."""
    duck_attack: float = 10.0
    duck_release: float = 200.0
    threshold: float = -10.0
    """Level from which each mix is compressed."""
    ratio: float = 4.0
    knee: float = 2.0
    compressor_attack: float = 10.0
    compressor_release: float = 100.0
    clip_from: float = 0.7
    """Level of samples from which the soft limiter works."""
    clip_steepness: float = 3.0


class Mixer:
    """State of a room's mix; for one thread at a time.

    Args:
        block: samples mixed at a time.
        settings: levels and times.
    """

    def __init__(self, block: int = 240, settings: MixerSettings | None = None) -> None:
        self.block = block
        self.settings = settings or MixerSettings()
        self._ramp = (np.arange(1, block + 1, dtype=np.float32) / block)[None, :]
        self._places = 0
        self.used: set[int] = set()
        """Numbers of the rows in use."""
        self._envelope, self._gate_gain, self._duck_gain, self._mix_envelope, self._mix_gain, self._gain = (
            np.zeros(0, np.float32) for _ in range(6)
        )
        self._is_open = np.zeros(0, bool)

    @property
    def places(self) -> int:
        """Number of rows for :meth:`mix`."""
        return self._places

    def add(self) -> int:
        """Add a participant; returns the number of its row."""
        place = next((place for place in range(self._places) if place not in self.used), self._places)
        if place == self._places:
            self._places += 1
            for name in ("_envelope", "_gate_gain", "_duck_gain", "_mix_envelope", "_mix_gain", "_gain", "_is_open"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate((old, np.zeros(1, old.dtype))))
        self.used.add(place)
        self._envelope[place] = self._gate_gain[place] = self._mix_envelope[place] = self._gain[place] = 0
        self._duck_gain[place] = self._mix_gain[place] = 1
        self._is_open[place] = False
        return place

    def remove(self, place: int) -> None:
        """Free a row."""
        self.used.discard(place)

    def mix(self, blocks: Samples) -> Samples:
        """Mix everybody's sound but their own, for each participant.

        Args:
            blocks: float32, shape (places, block); rows of silent participants are zero.  NaN counts as silence, and
                larger values as full scale.

        Returns:
            The mixes, in the same shape.
        """
        voices = np.nan_to_num(blocks, nan=0.0, posinf=1.0, neginf=-1.0)
        np.clip(voices, -1.0, 1.0, out=voices)
        gain = self._voice_gains(np.abs(voices).max(axis=1, initial=0.0))
        voices *= self._gain[:, None] + (gain - self._gain)[:, None] * self._ramp
        self._gain = gain
        mixes = voices.sum(axis=0)[None, :] - voices
        return self._limit(mixes)

    # --- voices ---------------------------------------------------------------------------------------

    def _voice_gains(self, peaks: Vector) -> Vector:
        settings = self.settings
        attack, release = self._keep(settings.duck_attack), self._keep(settings.duck_release)
        keep = np.where(peaks > self._envelope, attack, release)
        self._envelope = (keep * self._envelope + (1 - keep) * peaks).astype(np.float32)
        opens, stays_open = peaks > _amplitude(settings.gate_open), peaks > _amplitude(settings.gate_close)
        self._is_open = np.where(self._is_open, stays_open, opens)
        self._gate_gain = self._glide(
            self._gate_gain, self._is_open.astype(np.float32), settings.gate_attack, settings.gate_release
        )
        loudest = float(self._envelope.max(initial=0.0))
        leads = self._envelope >= loudest * _amplitude(-settings.lead)
        is_ducked = (self._envelope > _amplitude(settings.duck_above)) & ~leads
        target = np.where(is_ducked, np.float32(_amplitude(settings.duck)), np.float32(1))
        self._duck_gain = self._glide(self._duck_gain, target, settings.duck_release, settings.duck_attack)
        crowd = max(1, int((self._envelope > _amplitude(settings.speaking)).sum()))
        return (self._gate_gain * self._duck_gain / np.float32(math.sqrt(crowd))).astype(np.float32)

    def _glide(self, gain: Vector, target: Vector, rising: float, falling: float) -> Vector:
        keep = np.where(target > gain, self._keep(rising), self._keep(falling))
        return (keep * gain + (1 - keep) * target).astype(np.float32)

    def _keep(self, milliseconds: float) -> float:
        """The part of a value left after one block, for a time constant."""
        return math.exp(-self.block / (milliseconds / 1000 * SAMPLE_RATE))

    # --- mixes ----------------------------------------------------------------------------------------

    def _limit(self, mixes: Samples) -> Samples:
        settings = self.settings
        peaks = np.abs(mixes).max(axis=1, initial=0.0)
        keep = np.where(
            peaks > self._mix_envelope, self._keep(settings.compressor_attack), self._keep(settings.compressor_release)
        )
        self._mix_envelope = (keep * self._mix_envelope + (1 - keep) * peaks).astype(np.float32)
        level = 20 * np.log10(np.maximum(self._mix_envelope, np.float32(1e-6)))
        over = (level - settings.threshold).astype(np.float32)
        gain = np.power(10, self._reduction(over) / 20).astype(np.float32)
        mixes *= self._mix_gain[:, None] + (gain - self._mix_gain)[:, None] * self._ramp
        self._mix_gain = gain
        limit, steepness = settings.clip_from, settings.clip_steepness
        loud = np.abs(mixes) > limit
        if loud.any():
            bent = limit + (1 - limit) * np.tanh((np.abs(mixes[loud]) - limit) * steepness)
            mixes[loud] = np.sign(mixes[loud]) * bent
        return mixes

    def _reduction(self, over: Vector) -> Vector:
        """Gain in dB for levels above the threshold in dB, with a soft knee."""
        slope, knee = 1 / self.settings.ratio - 1, self.settings.knee
        bent = slope * (over + knee / 2) ** 2 / (2 * knee)
        above = np.where(over >= knee / 2, slope * over, bent)
        return np.where(over <= -knee / 2, np.float32(0), above).astype(np.float32)


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
