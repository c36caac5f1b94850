"""Converts HDR pictures for an SDR screen: PQ and HLG in BT.2020 colours to BT.709.

FFmpeg applies the conversion as a table (``lut3d``), which this module computes:

1. Convert signals to light, with the functions of ITU-R BT.2100 for PQ and HLG.
2. Compress the light with the curve of ITU-R BT.2390, section 5.4 (EETF), applied to the brightest channel, so that
   hues stay.  The target is 203 cd/m², the white of ITU-R BT.2408.
3. Convert BT.2020 to BT.709 with a matrix (ITU-R BT.2087), and light to a signal with the gamma of ITU-R BT.1886.
"""

from __future__ import annotations

import enum
import functools

import numpy as np
from numpy.typing import NDArray

Light = NDArray[np.float64]

_SIZE = 33
"""Steps of each channel in the table, the usual number; FFmpeg interpolates between them."""
_WHITE = 203.0
_PQ_MAX = 10_000.0
_HLG_PEAK = 1000.0
PEAKS = (300.0, 4000.0)
"""The plausible range for the brightest light of a film, in cd/m²."""
USUAL_PEAK = 1000.0
_GAMMA = 2.4
_M1, _M2 = 1305 / 8192, 2523 / 32
_C1, _C2, _C3 = 107 / 128, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_FROM_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])


class Transfer(enum.Enum):
    """How a signal encodes light."""

    PQ = 16
    HLG = 18
    SDR = 0
    """In BT.2020 colours; the light is not compressed."""


def transfer_of(color_trc: int, primaries: int) -> Transfer | None:
    """The conversion for FFmpeg's numbers of transfer and primaries; None if a frame needs none."""
    if color_trc in (Transfer.PQ.value, Transfer.HLG.value):
        return Transfer(color_trc)
    return Transfer.SDR if primaries == _BT2020_PRIMARIES else None


_BT2020_PRIMARIES = 9


@functools.lru_cache(4)
def cube(transfer: Transfer, peak: float = USUAL_PEAK) -> str:
    """The table in the format of ``.cube`` files, for full-range signals.

    Args:
        transfer: the film's transfer function.
        peak: the brightest light in the film, in cd/m²; for PQ only.
    """
    steps = np.linspace(0.0, 1.0, _SIZE)
    # Red changes fastest in these files.
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    table = convert(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer, peak)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in table)
    return f"LUT_3D_SIZE {_SIZE}\n{rows}\n"


def convert(signal: Light, transfer: Transfer, peak: float = USUAL_PEAK) -> Light:
    """Convert signals in BT.2020 (0 to 1, shape (n, 3)) to signals in BT.709 for an SDR screen."""
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
