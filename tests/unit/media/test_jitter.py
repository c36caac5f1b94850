"""The jitter buffer, with uneven arrival times and wrong clocks."""

import numpy as np
import pytest

from teleglyph.media.jitter import JitterBuffer
from teleglyph.media.opus import SAMPLE_RATE, OpusEncoder

FRAME, BLOCK = 960, 240


def packets(seconds: float, frequency: float = 440) -> list[bytes]:
    encoder = OpusEncoder(64_000)
    sound = (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(
        np.float32
    )
    return [encoder.encode(sound[start : start + FRAME]) for start in range(0, len(sound) - FRAME + 1, FRAME)]


class Playing:
    """Plays packets that come at given times, block by block."""

    def __init__(self, buffer: JitterBuffer) -> None:
        self.buffer = buffer
        self.levels: list[float] = []
        self._now = 0.0

    def play(self, sound: list[bytes], arrivals: list[float], seconds: float) -> np.ndarray:
        blocks, place = [], 0
        for number in range(int(seconds * SAMPLE_RATE / BLOCK)):
            now = number * BLOCK / SAMPLE_RATE
            while place < len(sound) and arrivals[place] <= now:
                self.buffer.push(sound[place], arrivals[place])
                place += 1
            block = self.buffer.pull(BLOCK)
            blocks.append(np.zeros(BLOCK, np.float32) if block is None else block)
            assert len(blocks[-1]) == BLOCK
            self.levels.append(self.buffer.level)
        return np.concatenate(blocks)


def arrivals(count: int, clock: float = 1.0, jitter: float = 0.0, seed: int = 1) -> list[float]:
    chance = np.random.default_rng(seed)
    times = np.arange(count) * FRAME / SAMPLE_RATE / clock + chance.uniform(0, jitter, count)
    return list(np.maximum.accumulate(times))


@pytest.mark.parametrize(("jitter", "bound"), [(0.0, 0.045), (0.03, 0.08), (0.08, 0.15)])
def test_jitter_is_removed_with_the_least_delay(jitter: float, bound: float) -> None:
    sound = packets(12)
    playing = Playing(JitterBuffer())
    heard = playing.play(sound, arrivals(len(sound), jitter=jitter), 12)[5 * SAMPLE_RATE : 11 * SAMPLE_RATE]
    assert max(playing.levels[1000:2200]) < bound
    assert playing.buffer.counters.late <= 3
    assert playing.buffer.counters.dropped == 0
    steps = np.abs(np.diff(heard))
    assert steps.max() < 1.5 * 0.3 * 2 * np.pi * 440 / SAMPLE_RATE, "no clicks"
    assert heard.std() == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("clock", [1.001, 0.999, 1.02, 0.98])
def test_a_wrong_clock_is_compensated(clock: float) -> None:
    sound = packets(40)
    playing = Playing(JitterBuffer())
    heard = playing.play(sound, arrivals(len(sound), clock=clock), 40 / max(1.0, clock) - 0.5)
    assert max(playing.levels) < 0.2
    assert playing.buffer.counters.dropped == 0
    middle = heard[30 * SAMPLE_RATE : 38 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() / 8 == pytest.approx(440 * clock, rel=0.005)


@pytest.mark.parametrize("clock", [1.001, pytest.param(0.999, marks=pytest.mark.thorough)])
def test_after_a_long_time_with_a_clock_that_is_a_thousandth_wrong_nothing_has_piled_up(clock: float) -> None:
    packet = packets(0.1)[2]
    buffer = JitterBuffer()
    levels, place = [], 0
    period = FRAME / SAMPLE_RATE / clock
    seconds = 1200
    for number in range(int(seconds / 0.02)):
        now = number * 0.02
        while place * period <= now:
            buffer.push(packet, place * period)
            place += 1
        buffer.pull(FRAME)
        levels.append(buffer.level)
    assert max(levels[len(levels) // 2 :]) < 0.06
    assert buffer.counters.dropped == 0
    assert buffer.counters.concealed_samples < 0.005 * seconds * SAMPLE_RATE


def test_a_short_gap_is_filled_and_a_long_one_is_silence() -> None:
    sound = packets(4)
    times = [number * 0.02 + (0.05 if number >= 100 else 0) for number in range(len(sound))]
    playing = Playing(JitterBuffer())
    heard = playing.play(sound, times, 4)
    assert playing.buffer.counters.late >= 1
    assert 0 < playing.buffer.counters.concealed_samples <= 0.06 * SAMPLE_RATE
    assert np.abs(heard[int(2.2 * SAMPLE_RATE) : int(3.8 * SAMPLE_RATE)]).reshape(-1, BLOCK).max(axis=1).min() > 0.2

    playing = Playing(JitterBuffer())
    heard = playing.play(sound[:100], arrivals(100), 4)
    assert np.abs(heard[int(2.3 * SAMPLE_RATE) :]).max() == 0
    assert playing.buffer.is_idle
    assert playing.buffer.pull(BLOCK) is None


def test_an_announced_pause_is_neither_a_gap_nor_jitter() -> None:
    encoder = OpusEncoder(64_000)
    speech = packets(0.2)
    silence = [encoder.encode(np.zeros(FRAME, np.float32)) for _ in range(40)]
    end = next(packet for packet in silence if len(packet) <= 2)
    buffer = JitterBuffer()
    now = 0.0
    for _ in range(20):
        for packet in [*speech, end]:
            buffer.push(packet, now)
            for _ in range(4):
                buffer.pull(BLOCK)
            now += FRAME / SAMPLE_RATE
        for _ in range(40):
            buffer.pull(BLOCK)
        now += 0.2
    assert buffer.counters.late == 0
    assert buffer.counters.concealed_samples == 0
    assert buffer.jitter < 0.001


def test_a_burst_is_shortened_instead_of_delayed() -> None:
    buffer = JitterBuffer()
    for packet in packets(5):
        buffer.push(packet, 0.0)
    assert buffer.level <= 0.4
    assert buffer.counters.dropped > 200


def test_packets_that_are_not_opus_are_counted_and_dropped() -> None:
    buffer = JitterBuffer()
    for junk in (b"", b"\xff", b"\x03\xff"):
        buffer.push(junk, 0.0)
    assert buffer.counters.undecodable == 3
    assert buffer.is_idle


def test_uncompressed_samples_are_unchanged() -> None:
    buffer = JitterBuffer()
    ramp = np.linspace(-0.5, 0.5, 4800, dtype=np.float32)
    buffer.push_samples(ramp, 0.0)
    waiting = 0
    while (first := buffer.pull(480)) is None:
        waiting += 480
    assert waiting <= 0.12 * SAMPLE_RATE, "it is not kept forever if nothing follows"
    second = buffer.pull(480)
    assert second is not None
    np.testing.assert_allclose(first[240:], ramp[240:480], atol=0.02)
    np.testing.assert_allclose(second, ramp[480:960], atol=0.02)
