"""Cleans a microphone's sound: removes the speakers' echo, reduces noise, and evens the level.

WebRTC's audio processing does the work.  It comes with the package ``livekit`` of the optional extra ``voice``, and
takes blocks of 10 ms of 16-bit samples.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from teleglyph.media.opus import SAMPLE_RATE, Samples

BLOCK = SAMPLE_RATE // 100
"""Samples per block: 10 ms."""
_SCALE = 32767.0
_CARD_MILLISECONDS = 20
"""Length of the sound card's two buffers; the echo canceller finds the rest of the delay by itself."""


def voice_available() -> bool:
    """Whether the optional extra is installed."""
    try:
        return importlib.util.find_spec("livekit.rtc") is not None
    except (ImportError, ValueError):
        return False


class VoiceProcessor:
    """Echo cancellation, noise suppression and gain control for one microphone and one set of speakers.

    :meth:`played` and :meth:`process` may be called by two different threads.

    Raises:
        ImportError: the extra is not installed, or its library cannot be loaded on this system.
    """

    def __init__(self) -> None:
        from livekit.rtc import AudioFrame, AudioProcessingModule

        self._frame = AudioFrame
        self._module = AudioProcessingModule(
            echo_cancellation=True, noise_suppression=True, high_pass_filter=True, auto_gain_control=True
        )
        self._module.set_stream_delay_ms(_CARD_MILLISECONDS)
        self._rest: Samples = np.zeros(0, np.float32)

    def played(self, samples: Samples) -> None:
        """Record what the speakers play, in any number of samples, as the echo to remove."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            block = self._frame(_to_bytes(samples[start : start + BLOCK]), SAMPLE_RATE, 1, BLOCK)
            self._module.process_reverse_stream(block)
        self._rest = samples[whole:]

    def process(self, samples: Samples) -> Samples:
        """Remove echo and noise from 10 ms of the microphone's sound.

        Raises:
            ValueError: the samples are not exactly one :data:`BLOCK`.
        """
        if len(samples) != BLOCK:
            raise ValueError(f"A block must have {BLOCK} samples, not {len(samples)}.")
        block = self._frame(_to_bytes(samples), SAMPLE_RATE, 1, BLOCK)
        self._module.process_stream(block)
        return np.frombuffer(block.data, np.int16).astype(np.float32) / np.float32(_SCALE)


def _to_bytes(samples: Samples) -> bytearray:
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return bytearray((np.clip(finite, -1.0, 1.0) * _SCALE).astype(np.int16).tobytes())
