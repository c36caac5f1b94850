"""AUDIO_OPUS_BATCH and AUDIO_BATCH."""

from __future__ import annotations

import struct

import pytest

from teleglyph.errors import BadDataError, ProtocolError
from teleglyph.wire.acip import AudioBatch, OpusBatch

FRAMES = (b"first", b"second!")


def opus(count: int = 1, sizes: tuple[int, ...] = (1,), data: bytes = b"x", rate: int = 48000, ms: int = 20) -> bytes:
    return struct.pack(f">IIII{len(sizes)}H", rate, ms, count, 0, *sizes) + data


def audio(count: int, data: bytes, rate: int = 48000, channels: int = 1) -> bytes:
    return struct.pack(">IIII", 1, count, rate, channels) + data


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (bytes(15), "Failed to parse AUDIO_OPUS_BATCH packet"),
        (opus(1001, (1,) * 1001, bytes(1001)), "Failed to parse AUDIO_OPUS_BATCH packet"),
        (opus(2, (1,), b"x"), "Failed to parse AUDIO_OPUS_BATCH packet"),
        (opus(0xFFFFFFFF, (1,), b"x"), "Failed to parse AUDIO_OPUS_BATCH packet"),
        (opus(0, (), b"x"), "AUDIO_OPUS_BATCH frame_count cannot be zero"),
        (opus(1, (0,), b""), "AUDIO_OPUS_BATCH opus data cannot be empty"),
        (opus(rate=49), "AUDIO_OPUS_BATCH samples_per_frame out of range: 0 (valid: 1-4096)"),
        (opus(ms=0), "AUDIO_OPUS_BATCH samples_per_frame out of range: 0 (valid: 1-4096)"),
        (opus(rate=4097, ms=1000), "AUDIO_OPUS_BATCH samples_per_frame out of range: 4097 (valid: 1-4096)"),
    ],
)
def test_a_wrong_batch_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(BadDataError) as caught:
        OpusBatch.decode_payload(payload)
    assert str(caught.value) == reason


@pytest.mark.parametrize(("rate", "ms"), [(50, 20), (4096, 1000), (48000, 20)])
def test_frame_lengths_are_accepted_up_to_their_limits(rate: int, ms: int) -> None:
    assert OpusBatch.decode_payload(opus(rate=rate, ms=ms)) == OpusBatch(rate, ms, (b"x",))


def test_a_thousand_frames_are_accepted() -> None:
    assert OpusBatch.decode_payload(opus(1000, (1,) * 1000, b"x" * 1000)).frames == (b"x",) * 1000


def test_a_frame_that_exceeds_the_data_is_dropped_with_all_after_it() -> None:
    payload = opus(4, (2, 9, 1, 0), b"abcdef")
    assert OpusBatch.decode_payload(payload).frames == (b"ab",)


def test_bytes_after_the_last_frame_are_ignored() -> None:
    assert OpusBatch.decode_payload(opus(1, (1,), b"xyz")).frames == (b"x",)


def test_nested_batches_are_unpacked() -> None:
    inner = tuple(OpusBatch(48000, 20, (frame,)).encode_payload() for frame in FRAMES)
    batch = OpusBatch.decode_payload(OpusBatch(48000, 20, (*inner, b"plain")).encode_payload())
    assert batch == OpusBatch(48000, 20, (*FRAMES, b"plain"))


@pytest.mark.parametrize("cut", [1, 5, 6])
def test_a_nested_batch_of_a_wrong_size_stays_a_frame(cut: int) -> None:
    inner = OpusBatch(48000, 20, (b"first",)).encode_payload()[:-cut]
    assert OpusBatch.decode_payload(OpusBatch(48000, 20, (inner,)).encode_payload()).frames == (inner,)


def test_raw_samples_are_unchanged() -> None:
    assert AudioBatch.decode_payload(audio(2, b"abcdefgh", 44100, 2)) == AudioBatch(44100, 2, b"abcdefgh")


def test_a_raw_batch_may_be_empty() -> None:
    assert AudioBatch.decode_payload(audio(0, b"")).samples == b""


@pytest.mark.parametrize(
    "payload",
    [
        bytes(15),
        audio(2, bytes(7)),
        audio(2, bytes(9)),
        audio(0x40000000, b""),
        audio(1, bytes(4), rate=44101),
        audio(1, bytes(4), rate=0),
        audio(1, bytes(4), channels=0),
        audio(1, bytes(4), channels=9),
    ],
)
def test_a_wrong_raw_batch_ends_the_session_without_a_reason(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="AUDIO_BATCH") as caught:
        AudioBatch.decode_payload(payload)
    assert not isinstance(caught.value, BadDataError)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 8])
def test_every_rate_and_number_of_channels_is_accepted(rate: int, channels: int) -> None:
    assert AudioBatch.decode_payload(audio(1, b"abcd", rate, channels)).sample_rate == rate
