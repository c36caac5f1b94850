"""The sounds of the test patterns in :mod:`teleglyph.media.pattern`.

Each sound is a pure function of the time of day, like its picture, so that both are in step: the face babbles while its
lips move, the clock ticks with its hand, the balls knock when they land, the colours hum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from teleglyph.media.opus import SAMPLE_RATE, Samples

Tune = Callable[[float, int], Samples]
"""Returns a number of samples from a time in seconds on: mono, 48 kHz, float32, between -1 and 1."""

_VOWELS = ((730, 1090), (530, 1840), (390, 1990), (570, 840), (440, 1020))
"""First and second formant in Hz of some English vowels (Peterson and Barney, 1952)."""


def _times(start: float, count: int) -> NDArray[np.float64]:
    return start + np.arange(count) / SAMPLE_RATE


def babble(start: float, count: int) -> Samples:
    """Vowels, one for every time that the face opens its mouth."""
    time = _times(start, count)
    opening = np.abs(np.sin(time * 7)) * (np.sin(time * 1.1) > -0.3)
    syllable = np.floor(time * 7 / np.pi).astype(np.int64)
    formants = np.array(_VOWELS, np.float64)[(syllable * 7 + syllable // 3) % len(_VOWELS)]
    pitch = 110.0
    sound = np.zeros(count)
    for number in range(1, 24):
        distance = (number * pitch - formants) / np.array([90.0, 120.0])
        strength = 0.05 + np.exp(-np.square(distance)).sum(axis=1)
        # Vibrato: the phase is the integral of a frequency that rises and falls by 4 % every two seconds.
        phase = 2 * np.pi * number * pitch * (time - 0.04 / np.pi * np.cos(np.pi * time))
        sound += strength * np.sin(phase) / np.sqrt(number)
    return (0.08 * opening * sound).astype(np.float32)


def tick(start: float, count: int) -> Samples:
    """A short knock every second, two pitches in turn."""
    time = _times(start, count)
    since = time % 1.0
    pitch = np.where(np.floor(time) % 2 == 0, 1250.0, 950.0)
    return (0.25 * np.exp(-since * 120) * np.sin(2 * np.pi * pitch * since)).astype(np.float32)


def knock(start: float, count: int) -> Samples:
    """A knock for each ball that lands, each ball of its own pitch."""
    time = _times(start, count)
    sound = np.zeros(count)
    for index, pitch in enumerate((392.0, 523.25, 659.25)):
        speed = 1.1 + 0.2 * index
        # A ball touches the ground where the sine of its height is zero.
        since = (time * speed + index) % np.pi / speed
        sound += np.exp(-since * 25) * np.sin(2 * np.pi * pitch * since)
    return (0.12 * sound).astype(np.float32)


def hum(start: float, count: int) -> Samples:
    """A soft chord that comes and goes."""
    time = _times(start, count)
    sound = np.zeros(count)
    for pitch, sway in ((146.83, 0.31), (220.0, 0.23), (277.18, 0.17)):
        sound += np.sin(2 * np.pi * pitch * time) * (0.5 + 0.5 * np.sin(2 * np.pi * sway * time))
    return (0.02 * sound).astype(np.float32)


TUNES: dict[str, Tune] = {"face": babble, "plasma": hum, "clock": tick, "balls": knock}
"""The sounds of :data:`teleglyph.media.pattern.PATTERNS`, by name."""
