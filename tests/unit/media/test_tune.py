"""The sounds of the test patterns, measured."""

import numpy as np
import pytest

from teleglyph.media.pattern import PATTERNS, balls
from teleglyph.media.tune import TUNES, babble, knock, tick

RATE = 48_000


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_has_a_sound_below_full_scale_at_any_time(name: str) -> None:
    for start in (0.0, 1234.5, 43199.0):
        sound = TUNES[name](start, 8 * RATE)
        assert sound.dtype == np.float32
        assert 0.02 < np.abs(sound).max() < 0.7


@pytest.mark.parametrize("name", PATTERNS)
def test_pieces_join_without_a_seam(name: str) -> None:
    whole = TUNES[name](40_000.0, 4800)
    pieces = [TUNES[name](40_000.0 + number / 100, 480) for number in range(10)]
    assert np.allclose(np.concatenate(pieces), whole, atol=1e-4)


def test_the_face_is_silent_while_its_mouth_is_closed() -> None:
    times = np.arange(20 * RATE) / RATE
    sound = babble(0.0, len(times))
    is_closed = np.sin(times * 1.1) < -0.3
    assert np.abs(sound[is_closed]).max() == 0
    assert np.abs(sound[~is_closed]).max() > 0.05


def test_the_clock_ticks_once_a_second() -> None:
    sound = np.abs(tick(100.0, 5 * RATE)).reshape(5, -1)
    assert (sound[:, :240].max(axis=1) > 0.1).all()
    assert sound[:, RATE // 2 :].max() < 0.01


def test_a_ball_knocks_when_it_lands() -> None:
    landing = np.pi / 1.1 * 3
    before, after = knock(landing - 0.02, 960), knock(landing, 960)
    assert np.abs(after).max() > np.abs(before).max()
    low = balls(landing)[-20:].astype(int)
    assert (low[..., 0] > 100).any(), "the red ball is at the bottom of the picture then"
