"""Sound levels: a noise gate and a meter."""

from __future__ import annotations

import math

_GATE_OPEN, _GATE_CLOSE = 10 ** (-48 / 20), 10 ** (-54 / 20)
"""Peaks that open the gate and keep it open, 1.0 at full scale."""
_GATE_HOLD_SECONDS = 0.4
_METER_DECAY, _METER_SECONDS = 0.85, 0.01
"""In that time a meter falls to that part of its level."""
_METER_FLOOR = -60.0
"""Decibels of full scale at which a meter shows nothing."""
_METER_CELLS = 5


class NoiseGate:
    """Blocks a room's noise; a voice opens the gate, and pauses between words keep it open."""

    def __init__(self) -> None:
        self._is_open = False
        self._open_until = 0.0

    def passes(self, peak: float, now: float) -> bool:
        """Whether samples with this peak are sent at this time, in seconds."""
        if peak > (_GATE_CLOSE if self._is_open else _GATE_OPEN):
            self._is_open, self._open_until = True, now + _GATE_HOLD_SECONDS
        elif now > self._open_until:
            self._is_open = False
        return self._is_open


class LevelMeter:
    """A level that rises at once and decays with time, even without new samples."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def add(self, peak: float, now: float) -> None:
        """Add the peak of some samples, 1.0 at full scale, at a time in seconds."""
        self._level, self._at = max(peak, self.level(now)), now

    def level(self, now: float) -> float:
        """The level at a time."""
        return self._level * math.pow(_METER_DECAY, max(0.0, now - self._at) / _METER_SECONDS)

    def bar(self, now: float) -> str:
        """The level at a time as a bar of five characters."""
        decibels = 20 * math.log10(max(self.level(now), 1e-6))
        filled = round(_METER_CELLS * max(0.0, decibels - _METER_FLOOR) / -_METER_FLOOR)
        return "#" * filled + "." * (_METER_CELLS - filled)
