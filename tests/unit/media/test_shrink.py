"""Scaling pictures down before they are sent."""

import numpy as np
import pytest

from reference_renderer import average
from teleglyph.media.shrink import shrink


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("size", "asked", "given"),
    [
        ((64, 36), (32, 18), (32, 18)),
        ((64, 36), (32, 9), (32, 18)),
        ((64, 36), (8, 18), (32, 18)),
        ((64, 36), (64, 10), (64, 36)),
        ((64, 36), (500, 10), (64, 36)),
        ((64, 36), (1, 1), (2, 1)),
        ((1, 300), (1, 10), (1, 300)),
        ((300, 1), (10, 1), (300, 1)),
    ],
)
def test_neither_side_gets_smaller_than_needed_and_neither_grows(
    size: tuple[int, int], asked: tuple[int, int], given: tuple[int, int]
) -> None:
    assert shrink(noise(*size), *asked).shape == (given[1], given[0], 3)


def test_every_pixel_is_the_mean_of_its_box() -> None:
    picture = noise(50, 30)
    assert shrink(picture, 20, 12).tolist() == [[list(color) for color in row] for row in average(picture, 20, 12)]


def test_a_picture_that_is_small_enough_is_passed_on() -> None:
    picture = noise(20, 10)
    assert shrink(picture, 20, 10) is picture
