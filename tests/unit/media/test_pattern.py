"""The animated participants."""

import numpy as np
import pytest

from teleglyph.media.pattern import PATTERNS


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_a_picture_that_moves_and_depends_on_time_alone(name: str) -> None:
    paint = PATTERNS[name]
    first, again, later = paint(10.0), paint(10.0), paint(11.3)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.flags.c_contiguous
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) >= 4


def test_the_patterns_have_at_least_three_shapes() -> None:
    shapes = {round(picture.shape[1] / picture.shape[0], 2) for picture in (paint(0.0) for paint in PATTERNS.values())}
    assert len(shapes) >= 3
