"""Opus (RFC 6716) through libopus: mono, 48 kHz, samples as float32.

The library is called with ctypes, which releases the GIL, and through a handle of our own: the package that brings it
has neither concealment nor buffers that are not copied.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teleglyph.errors import MediaDecodeError

Samples = NDArray[np.float32]

SAMPLE_RATE = 48_000
MAX_FRAME_SAMPLES = 5760
"""120 ms, the most that one Opus packet holds."""
MAX_PACKET = 1275
"""Bytes of the longest Opus frame."""
SILENT_PACKET = 2
"""A packet of at most so many bytes says that nothing is to be heard (discontinuous transmission).

The first one of a pause is sent, so that the listener can tell the pause from a packet that is late; the others need
not be.
"""

_AUDIO = 2049
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS, _SET_DTX = 4002, 4010, 4012, 4014, 4016
_RESET = 4028


@cache
def _library() -> ctypes.CDLL:
    from opuslib_next.api import libopus

    library = ctypes.CDLL(libopus._name)
    state, number, data = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    for name, result, arguments in (
        ("opus_encoder_create", state, (number, number, number, ctypes.POINTER(ctypes.c_int))),
        ("opus_encoder_destroy", None, (state,)),
        ("opus_encode_float", number, (state, ctypes.c_void_p, number, ctypes.c_void_p, number)),
        ("opus_decoder_create", state, (number, number, ctypes.POINTER(ctypes.c_int))),
        ("opus_decoder_destroy", None, (state,)),
        ("opus_decode_float", number, (state, data, number, ctypes.c_void_p, number, number)),
        ("opus_packet_get_nb_samples", number, (data, number, number)),
    ):
        function: Any = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class OpusEncoder:
    """Encodes one voice; for one thread at a time.

    Args:
        bitrate: bits a second.
        complexity: 0 to 10; CPU time for quality.
        loss_percent: losses that the in-band redundancy is made for; 0 makes none.
    """

    def __init__(self, bitrate: int = 32_000, complexity: int = 5, loss_percent: int = 5) -> None:
        self._state: int | None = None
        error = ctypes.c_int()
        self._state = _library().opus_encoder_create(SAMPLE_RATE, 1, _AUDIO, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"libopus made no encoder (error {error.value})")
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_FEC, int(loss_percent > 0)),
            (_SET_LOSS, loss_percent),
            (_SET_DTX, 1),
        ):
            self._control(request, value)
        self._buffer = ctypes.create_string_buffer(MAX_PACKET)

    def __del__(self) -> None:
        if self._state:
            _library().opus_encoder_destroy(self._state)

    def encode(self, samples: Samples) -> bytes:
        """One packet for 2.5, 5, 10, 20, 40 or 60 ms; see :data:`SILENT_PACKET`.

        Raises:
            ValueError: another number of samples.
        """
        samples = np.ascontiguousarray(samples, np.float32)
        size = _library().opus_encode_float(
            self._state, samples.ctypes.data, len(samples), ctypes.addressof(self._buffer), MAX_PACKET
        )
        if size < 0:
            raise ValueError(f"Opus has no frames of {len(samples)} samples (error {size})")
        return self._buffer.raw[:size]

    def reset(self) -> None:
        """Forget what was encoded before, as after a pause."""
        self._control(_RESET)

    def _control(self, request: int, value: int | None = None) -> None:
        arguments = [ctypes.c_void_p(self._state), ctypes.c_int(request)]
        if value is not None:
            arguments.append(ctypes.c_int(value))
        _library().opus_encoder_ctl(*arguments)


class OpusDecoder:
    """Decodes one voice and fills gaps in it; for one thread at a time."""

    def __init__(self) -> None:
        self._state: int | None = None
        error = ctypes.c_int()
        self._state = _library().opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"libopus made no decoder (error {error.value})")
        self._buffer = np.zeros(MAX_FRAME_SAMPLES, np.float32)

    def __del__(self) -> None:
        if self._state:
            _library().opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Samples:
        """The samples of a packet.

        Raises:
            MediaDecodeError: it is no Opus packet.
        """
        return self._decode(packet, len(packet), MAX_FRAME_SAMPLES)

    def conceal(self, samples: int) -> Samples:
        """Samples that go on as the voice was, in place of a packet that did not come; they fade with repetition."""
        return self._decode(None, 0, samples)

    def _decode(self, packet: bytes | None, size: int, samples: int) -> Samples:
        count = _library().opus_decode_float(self._state, packet, size, self._buffer.ctypes.data, samples, 0)
        if count < 0:
            raise MediaDecodeError(f"{size} bytes are no Opus packet (error {count})")
        return self._buffer[:count].copy()


def packet_samples(packet: bytes) -> int:
    """Samples that a packet stands for at 48 kHz, 0 if it is no Opus packet; looks at its first bytes only."""
    if not packet:
        return 0
    count: int = _library().opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE)
    return count if 0 < count <= MAX_FRAME_SAMPLES else 0
