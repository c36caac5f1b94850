"""Every sample at its time."""

import itertools

import numpy as np
import pytest

from teleglyph.media.sound_chain import PIECE, SoundLine


def play(parts: list[tuple[float | None, np.ndarray]]) -> tuple[np.ndarray, list[float]]:
    line = SoundLine()
    pieces = [piece for time, samples in parts for piece in line.add(time, samples)]
    pieces += line.finish()
    assert all(len(samples) == PIECE for _, samples in pieces)
    return np.concatenate([np.zeros(0, np.float32), *(samples for _, samples in pieces)]), [time for time, _ in pieces]


def ones(count: int) -> np.ndarray:
    return np.ones(count, np.float32)


def test_pieces_follow_each_other_without_a_gap() -> None:
    samples, times = play([(0.0, ones(1000)), (1000 / 48_000, ones(1000)), (None, ones(400))])
    assert np.allclose(np.diff(times), 0.01)
    assert samples.sum() == 2400
    assert samples[:2400].all()


@pytest.mark.parametrize("hole", [0.05, 2.0, 7.0, 100.0])
def test_a_hole_becomes_silence_and_moves_nothing(hole: float) -> None:
    samples, _ = play([(0.0, ones(480)), (0.01 + hole, ones(480))])
    start = round((0.01 + hole) * 48_000)
    assert samples[:480].all()
    assert not samples[480:start].any()
    assert samples[start : start + 480].all()


def test_sound_that_begins_late_begins_with_silence() -> None:
    samples, _ = play([(1.5, ones(480))])
    assert not samples[:72_000].any()
    assert samples[72_000:72_480].all()


def test_overlaps_are_cut() -> None:
    samples, _ = play([(0.0, ones(48_000)), (0.5, 2 * ones(48_000))])
    assert samples[:48_000].max() == 1
    assert samples[48_000:72_000].min() == 2
    assert not samples[72_000:].any()


def test_stamps_that_are_only_rounded_are_not_followed() -> None:
    generator = np.random.default_rng(1)
    parts = [(n * 1024 / 48_000 + generator.uniform(-0.03, 0.03), ones(1024)) for n in range(200)]
    samples, _ = play([(0.0, ones(1)), *parts])
    assert samples[: 200 * 1024].all()


def test_an_hour_without_sound_is_not_held_in_memory() -> None:
    line = SoundLine()
    list(line.add(0.0, ones(480)))
    first = list(itertools.islice(line.add(3600.0, ones(480)), 1000))
    assert len(first) == 1000
    assert len(line._rest) <= 2 * PIECE
