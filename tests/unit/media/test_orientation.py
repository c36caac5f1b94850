"""Display matrices."""

import struct

import pytest

from teleglyph.media.orientation import UPRIGHT, Orientation, orientation_of


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("scale", [1, 1 << 15, 1 << 16, 3 << 16])
def test_the_size_of_a_matrix_does_not_matter(scale: int) -> None:
    for orientation in ((1, 0, 0, 1), (-1, 0, 0, 1), (0, 1, -1, 0), (0, -1, -1, 0)):
        assert orientation_of(matrix(*(scale * value for value in orientation))) == Orientation(*orientation)


def test_other_angles_become_the_nearest_quarter() -> None:
    assert orientation_of(matrix(60_000, 20_000, -20_000, 60_000)) == UPRIGHT
    assert orientation_of(matrix(20_000, 60_000, -60_000, 20_000)) == Orientation(0, 1, -1, 0)


def test_a_broken_matrix_turns_nothing() -> None:
    assert orientation_of(b"") == UPRIGHT
    assert orientation_of(bytes(36)) == UPRIGHT


def test_every_orientation_has_its_filters() -> None:
    signs = (-1, 1)
    every = [Orientation(a, 0, 0, d) for a in signs for d in signs]
    every += [Orientation(0, b, c, 0) for b in signs for c in signs]
    assert len({orientation.filters for orientation in every}) == 8
    assert [orientation.swaps_sides for orientation in every] == [False] * 4 + [True] * 4
