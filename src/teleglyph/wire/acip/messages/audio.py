"""Sound: batches of Opus frames or of raw samples (docs/protocol/messages.md#sound)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip.messages.base import Message
from teleglyph.wire.acip.packet_type import PacketType

MAX_OPUS_FRAMES = 1000
MAX_SAMPLES_PER_FRAME = 4096
SAMPLE_RATES = frozenset({8000, 16000, 24000, 32000, 44100, 48000, 96000, 192000})
MAX_CHANNELS = 8

_BATCH = struct.Struct(">IIII")
_NESTED = _BATCH.pack(48000, 20, 1, 0)
"""The header of a batch with one frame of 20 ms."""
_NESTED_HEADER = len(_NESTED) + 2
_SAMPLE_SIZE = 4


@dataclass(frozen=True, slots=True)
class OpusBatch(Message):
    """Opus frames of one stream, oldest first.

    Attributes:
        sample_rate: Hz; 48000 in practice.
        frame_duration: milliseconds of each frame; 20 in practice.
        frames: mono Opus packets.  A batch inside the batch is unwrapped: ascii-chat's server makes those when several
            wait.  A frame that exceeds the data is dropped with all after it.
    """

    type: ClassVar = PacketType.AUDIO_OPUS_BATCH
    sample_rate: int
    frame_duration: int
    frames: tuple[bytes, ...]

    def encode_payload(self) -> bytes:
        head = _BATCH.pack(self.sample_rate, self.frame_duration, len(self.frames), 0)
        sizes = struct.pack(f">{len(self.frames)}H", *map(len, self.frames))
        return b"".join((head, sizes, *self.frames))

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _BATCH.size:
            raise BadDataError("Failed to parse AUDIO_OPUS_BATCH packet")
        sample_rate, frame_duration, count, _ = _BATCH.unpack_from(payload)
        start = _BATCH.size + 2 * count
        if count > MAX_OPUS_FRAMES or start > len(payload):
            raise BadDataError("Failed to parse AUDIO_OPUS_BATCH packet")
        if count == 0:
            raise BadDataError("AUDIO_OPUS_BATCH frame_count cannot be zero")
        if start == len(payload):
            raise BadDataError("AUDIO_OPUS_BATCH opus data cannot be empty")
        samples = sample_rate * frame_duration // 1000
        if not 1 <= samples <= MAX_SAMPLES_PER_FRAME:
            valid = f"1-{MAX_SAMPLES_PER_FRAME}"
            raise BadDataError(f"AUDIO_OPUS_BATCH samples_per_frame out of range: {samples} (valid: {valid})")
        sizes = struct.unpack_from(f">{count}H", payload, _BATCH.size)
        return cls(sample_rate, frame_duration, tuple(_frames(payload, start, sizes)))


def _frames(payload: bytes, start: int, sizes: tuple[int, ...]) -> Iterator[bytes]:
    for size in sizes:
        frame = payload[start : start + size]
        if len(frame) < size:
            return
        start += size
        yield _unwrap(frame)


def _unwrap(frame: bytes) -> bytes:
    if not frame.startswith(_NESTED) or len(frame) < _NESTED_HEADER:
        return frame
    size = int.from_bytes(frame[len(_NESTED) : _NESTED_HEADER], "big")
    return frame[_NESTED_HEADER:] if len(frame) == _NESTED_HEADER + size else frame


@dataclass(frozen=True, slots=True)
class AudioBatch(Message):
    """Uncompressed sound.

    Attributes:
        sample_rate: Hz, one of ``SAMPLE_RATES``.
        channels: 1 to 8.
        samples: signed 32-bit big-endian integers, full scale 2147483647.
        batches: how many batches the sender combined.
    """

    type: ClassVar = PacketType.AUDIO_BATCH
    sample_rate: int
    channels: int
    samples: bytes
    batches: int = 1

    def encode_payload(self) -> bytes:
        count = len(self.samples) // _SAMPLE_SIZE
        return _BATCH.pack(self.batches, count, self.sample_rate, self.channels) + self.samples

    @classmethod
    def decode_payload(cls, payload: bytes) -> Self:
        if len(payload) < _BATCH.size:
            raise ProtocolError(f"AUDIO_BATCH payload size {len(payload)} (at least {_BATCH.size})")
        batches, count, sample_rate, channels = _BATCH.unpack_from(payload)
        if len(payload) != _BATCH.size + _SAMPLE_SIZE * count:
            raise ProtocolError(f"AUDIO_BATCH payload size {len(payload)} does not fit {count} samples")
        if sample_rate not in SAMPLE_RATES or not 1 <= channels <= MAX_CHANNELS:
            raise ProtocolError(f"AUDIO_BATCH with {channels} channels at {sample_rate} Hz is not supported")
        return cls(sample_rate, channels, payload[_BATCH.size :], batches)
