"""HDR pictures on an SDR screen: PQ and HLG in BT.2020 colours become BT.709.

FFmpeg applies the result as a table (``lut3d``); this module computes it:

1. Signals become light, as ITU-R BT.2100 says for PQ and HLG.
2. The light is compressed by the curve of ITU-R BT.2390, section 5.4 (EETF).  It is applied to the brightest channel,
   so that hues stay.  Its target is 203 cd/m², which ITU-R BT.2408 takes for white.
3. A matrix turns BT.2020 into BT.709 (ITU-R BT.2087), and the gamma of ITU-R BT.1886 makes it a signal again.
"""

from __future__ import annotations

import enum
import functools

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float64]

_SIZE = 33
"""Steps of each channel in the table, the usual number; between them FFmpeg interpolates."""
_WHITE = 203.0
_PQ_MAX = 10_000.0
_HLG_PEAK = 1000.0
PEAKS = (300.0, 4000.0)
"""Between these the brightest light of a film is believed, in cd/m²."""
USUAL_PEAK = 1000.0
_GAMMA = 2.4
_M1, _M2 = 1305 / 8192, 2523 / 32
_C1, _C2, _C3 = 107 / 128, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_FROM_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


class Transfer(enum.Enum):
    """How a signal stands for light."""

    PQ = 16
    HLG = 18
    SDR = 0
    """In BT.2020 colours; the light is left as it is."""


def transfer_of(color_trc: int, primaries: int) -> Transfer | None:
    """What a frame needs, by FFmpeg's numbers for its transfer and primaries; None if it is to be left alone."""
    if color_trc in (Transfer.PQ.value, Transfer.HLG.value):
        return Transfer(color_trc)
    return Transfer.SDR if primaries == _BT2020_PRIMARIES else None


_BT2020_PRIMARIES = 9


@functools.lru_cache(4)
def cube(transfer: Transfer, peak: float = USUAL_PEAK) -> str:
    """The table in the format of ``.cube`` files, for signals in full range.

    Args:
        transfer: the film's transfer function.
        peak: the brightest light in the film, in cd/m²; counts for PQ only.
    """
    steps = np.linspace(0.0, 1.0, _SIZE)
    # Red changes fastest in these files.
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    table = convert(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer, peak)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in table)
    return f"LUT_3D_SIZE {_SIZE}\n{rows}\n"


def convert(signal: Light, transfer: Transfer, peak: float = USUAL_PEAK) -> Light:
    """Signals in BT.2020, 0 to 1, shape (n, 3), as signals in BT.709 for an SDR screen."""
    if transfer is Transfer.SDR:
        light = signal**_GAMMA
    else:
        nits = _pq_light(signal) if transfer is Transfer.PQ else _hlg_light(signal)
        light = _compress(nits, min(max(peak, PEAKS[0]), PEAKS[1]) if transfer is Transfer.PQ else _HLG_PEAK)
    bounded: Light = np.clip(light @ _FROM_2020.T, 0.0, 1.0) ** (1 / _GAMMA)
    return bounded


def _pq_light(signal: Light) -> Light:
    """The EOTF of PQ: cd/m²."""
    root = np.clip(signal, 0.0, 1.0) ** (1 / _M2)
    light: Light = _PQ_MAX * (np.maximum(root - _C1, 0.0) / (_C2 - _C3 * root)) ** (1 / _M1)
    return light


def _pq_signal(nits: Light) -> Light:
    """The inverse of :func:`_pq_light`."""
    power = (np.maximum(nits, 0.0) / _PQ_MAX) ** _M1
    signal: Light = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


def _hlg_light(signal: Light) -> Light:
    """The inverse OETF and the OOTF of HLG for a screen of 1000 cd/m²."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)
    luma = np.maximum(scene @ _LUMA_2020, 1e-9)[:, None]
    light: Light = _HLG_PEAK * luma**0.2 * scene
    return light


def _compress(nits: Light, peak: float) -> Light:
    """Light for a screen whose white is 1."""
    brightest = np.maximum(nits.max(axis=1), 1e-6)
    scale = _eetf(np.minimum(brightest, peak), peak) / brightest
    light: Light = nits * scale[:, None] / _WHITE
    return light


def _eetf(nits: Light, peak: float) -> Light:
    top = _pq_signal(np.array([peak]))[0]
    highest = _pq_signal(np.array([_WHITE]))[0] / top
    knee = 1.5 * highest - 0.5
    value = _pq_signal(nits) / top
    t = np.clip((value - knee) / (1 - knee), 0.0, 1.0)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * highest
    return _pq_light(np.where(value < knee, value, curve) * top)
