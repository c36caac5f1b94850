"""Opus (RFC 6716) through libopus: mono, 48 kHz, samples as float32.

The library is called directly with ctypes, which releases the GIL: the Python package that contains it supports neither
concealment nor buffers without copying.
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
"""120 ms, the maximum of one Opus packet."""
MAX_PACKET = 1275
"""Bytes of the longest Opus frame."""
SILENT_PACKET = 2
"""A packet of at most this many bytes is silence (discontinuous transmission).

Only the first one of a pause needs to be sent, so that the listener can distinguish the pause from a late packet.
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
        bitrate: bits per second.
        complexity: 0 to 10; higher is better and slower.
        loss_percent: expected losses, for the in-band redundancy; 0 disables it.
    """

    def __init__(self, bitrate: int = 32_000, complexity: int = 5, loss_percent: int = 5) -> None:
        self._state: int | None = None
        error = ctypes.c_int()
        self._state = _library().opus_encoder_create(SAMPLE_RATE, 1, _AUDIO, ctypes.byref(error))
        if not self._state:
            raise MemoryError(f"Cannot create an Opus encoder: error {error.value}.")
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
        """Encode 2.5, 5, 10, 20, 40 or 60 ms as one packet; see :data:`SILENT_PACKET`.

        Raises:
            ValueError: the samples have another length.
        """
        samples = np.ascontiguousarray(samples, np.float32)
        size = _library().opus_encode_float(
            self._state, samples.ctypes.data, len(samples), ctypes.addressof(self._buffer), MAX_PACKET
        )
        if size < 0:
            raise ValueError(f"Opus has no frames of {len(samples)} samples (error {size})")
        return self._buffer.raw[:size]

    def reset(self) -> None:
        """Forget the previous sound, as after a pause."""
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
            raise MemoryError(f"Cannot create an Opus decoder: error {error.value}.")
        self._buffer = np.zeros(MAX_FRAME_SAMPLES, np.float32)

    def __del__(self) -> None:
        if self._state:
            _library().opus_decoder_destroy(self._state)

    def decode(self, packet: bytes) -> Samples:
        """The samples of a packet.

        Raises:
            MediaDecodeError: it is not an Opus packet.
        """
        return self._decode(packet, len(packet), MAX_FRAME_SAMPLES)

    def conceal(self, samples: int) -> Samples:
        """Samples that continue the voice in place of a missing packet; they fade with repetition."""
        return self._decode(None, 0, samples)

    def _decode(self, packet: bytes | None, size: int, samples: int) -> Samples:
        count = _library().opus_decode_float(self._state, packet, size, self._buffer.ctypes.data, samples, 0)
        if count < 0:
            raise MediaDecodeError(f"{size} bytes are not an Opus packet (error {count})")
        return self._buffer[:count].copy()


def packet_samples(packet: bytes) -> int:
    """The number of samples in a packet at 48 kHz, 0 if it is not an Opus packet; reads only its first bytes."""
    if not packet:
        return 0
    count: int = _library().opus_packet_get_nb_samples(packet, len(packet), SAMPLE_RATE)
    return count if 0 < count <= MAX_FRAME_SAMPLES else 0
