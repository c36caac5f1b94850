"""Encoding and decoding Opus."""

import numpy as np
import pytest

from teleglyph.errors import MediaDecodeError
from teleglyph.media.opus import SAMPLE_RATE, SILENT_PACKET, OpusDecoder, OpusEncoder, packet_samples


def tone(frequency: float, samples: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(samples) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("frame", [120, 240, 480, 960, 1920, 2880])
def test_a_decoded_tone_has_its_pitch_and_level(frame: int) -> None:
    encoder, decoder = OpusEncoder(64_000), OpusDecoder()
    sent = tone(440, 48_000 // frame * frame)
    packets = [encoder.encode(sent[start : start + frame]) for start in range(0, len(sent), frame)]
    assert {packet_samples(packet) for packet in packets} == {frame}
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert len(heard) == len(sent)
    middle = heard[12_000:36_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert int(spectrum.argmax()) * 2 == 440
    assert middle.std() == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_silence_needs_no_packets_after_a_while() -> None:
    encoder = OpusEncoder()
    sizes = [len(encoder.encode(np.zeros(480, np.float32))) for _ in range(60)]
    assert all(size <= SILENT_PACKET for size in sizes[30:])


def test_a_gap_is_concealed_and_fades() -> None:
    encoder, decoder = OpusEncoder(64_000), OpusDecoder()
    sound = tone(440, 9600)
    for start in range(0, 9600, 480):
        decoder.decode(encoder.encode(sound[start : start + 480]))
    levels = [float(np.abs(decoder.conceal(480)).max()) for _ in range(40)]
    assert levels[0] > 0.15
    assert levels[-1] < levels[0] / 3


@pytest.mark.parametrize("junk", [b"\xff\xff\xff", b"\x03", bytes(range(3, 200))])
def test_bytes_that_are_not_a_packet_are_reported(junk: bytes) -> None:
    decoder = OpusDecoder()
    try:
        assert np.isfinite(decoder.decode(junk)).all()
    except MediaDecodeError as error:
        assert "not an Opus packet" in str(error)


def test_random_bytes_never_give_more_than_a_packet_can_hold() -> None:
    chance = np.random.default_rng(3)
    decoder = OpusDecoder()
    for _ in range(3000):
        junk = chance.bytes(int(chance.integers(1, 300)))
        assert 0 <= packet_samples(junk) <= 5760
        try:
            samples = decoder.decode(junk)
        except MediaDecodeError:
            continue
        assert len(samples) <= 5760
        assert np.isfinite(samples).all()


def test_frames_of_an_impossible_length_are_refused() -> None:
    with pytest.raises(ValueError, match="no frames of 100 samples"):
        OpusEncoder().encode(np.zeros(100, np.float32))
    assert packet_samples(b"") == 0
