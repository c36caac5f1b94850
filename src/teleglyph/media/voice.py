"""A microphone's sound made fit for a call: no echo of the loudspeakers, less noise, an even level.

The work is done by WebRTC's audio processing, which the package ``livekit`` of the optional extra ``voice`` brings;
without it there is none of this.  Blocks of that library are 10 ms of 16-bit samples.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from teleglyph.media.opus import SAMPLE_RATE, Samples

BLOCK = SAMPLE_RATE // 100
"""Samples that are processed at once: 10 ms."""
_SCALE = 32767.0
_CARD_MILLISECONDS = 20
"""What the two buffers of the sound card hold; the echo canceller finds the rest by itself."""


def voice_available() -> bool:
    """Whether the optional extra is installed."""
    try:
        return importlib.util.find_spec("livekit.rtc") is not None
    except (ImportError, ValueError):
        return False


class VoiceProcessor:
    """Echo cancellation, noise suppression and gain control for one microphone beside one set of loudspeakers.

    :meth:`played` and :meth:`process` may be called by different threads, each by one.

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
        """Take what the loudspeakers play, in any number of samples: the echo to look for."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            block = self._frame(_to_bytes(samples[start : start + BLOCK]), SAMPLE_RATE, 1, BLOCK)
            self._module.process_reverse_stream(block)
        self._rest = samples[whole:]

    def process(self, samples: Samples) -> Samples:
        """What the microphone's sound, 10 ms of it, is without echo and noise.

        Raises:
            ValueError: another number of samples than :data:`BLOCK`.
        """
        if len(samples) != BLOCK:
            raise ValueError(f"Voices are processed in blocks of {BLOCK} samples, not {len(samples)}")
        block = self._frame(_to_bytes(samples), SAMPLE_RATE, 1, BLOCK)
        self._module.process_stream(block)
        return np.frombuffer(block.data, np.int16).astype(np.float32) / np.float32(_SCALE)


def _to_bytes(samples: Samples) -> bytearray:
    finite = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    return bytearray((np.clip(finite, -1.0, 1.0) * _SCALE).astype(np.int16).tobytes())
