"""The layout of any number of pictures of any shapes on any screen."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleglyph.media.layout import Placement, arrange, fit

aspects = st.one_of(
    st.sampled_from([16 / 9, 4 / 3, 1.0, 9 / 16, 2.35]),
    st.floats(0.05, 20.0),
)
mixed = st.lists(aspects, min_size=1, max_size=40)
equal = st.builds(lambda aspect, count: [aspect] * count, aspects, st.integers(1, 256))
pictures = st.one_of(mixed, equal)
sides = st.one_of(st.integers(1, 12), st.integers(1, 300))


def covered(places: tuple[Placement, ...]) -> int:
    return sum(place.width * place.height for place in places)


@settings(max_examples=300, deadline=None)
@given(pictures=pictures, columns=sides, rows=sides)
def test_pictures_stay_on_the_screen_and_do_not_overlap(pictures: list[float], columns: int, rows: int) -> None:
    places = arrange(pictures, columns, rows)
    assert len(places) == len(pictures)
    taken: set[tuple[int, int]] = set()
    for place in places[: columns * rows]:
        assert place.x >= 0
        assert place.y >= 0
        assert place.width >= 1
        assert place.height >= 1
        assert place.x + place.width <= columns
        assert place.y + place.height <= rows
        cells = {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}
        assert not cells & taken
        taken |= cells
    assert all(place == places[columns * rows - 1] for place in places[columns * rows :])


@settings(max_examples=300, deadline=None)
@given(pictures=pictures, columns=sides, rows=sides)
def test_no_other_grid_covers_more(pictures: list[float], columns: int, rows: int) -> None:
    pictures = pictures[: columns * rows]
    area = covered(arrange(pictures, columns, rows))
    for grid_columns in range(1, min(len(pictures), columns) + 1):
        grid_rows = -(-len(pictures) // grid_columns)
        if grid_rows <= rows:
            fitted = [fit(aspect, columns // grid_columns, rows // grid_rows) for aspect in pictures]
            assert sum(width * height for width, height in fitted) <= area


@settings(max_examples=300, deadline=None)
@given(pictures=pictures, columns=sides, rows=sides)
def test_pictures_keep_their_shape(pictures: list[float], columns: int, rows: int) -> None:
    for aspect, place in zip(pictures, arrange(pictures, columns, rows), strict=True):
        ideal_width, ideal_height = place.height * aspect * 2, place.width / 2 / aspect
        assert (
            abs(place.width - ideal_width) <= 0.5 + 1e-9
            or abs(place.height - ideal_height) <= 0.5 + 1e-9
            or (place.width == 1 and ideal_width < 1)
            or (place.height == 1 and ideal_height < 1)
        )


@settings(max_examples=200, deadline=None)
@given(pictures=equal, columns=sides, rows=sides)
def test_equal_pictures_are_in_reading_order(pictures: list[float], columns: int, rows: int) -> None:
    places = arrange(pictures, columns, rows)
    assert list(places) == sorted(places, key=lambda place: (place.y, place.x))
    assert len({(place.width, place.height) for place in places}) == 1


@settings(max_examples=200, deadline=None)
@given(pictures=mixed, columns=st.integers(40, 300), rows=st.integers(40, 300))
def test_different_pictures_keep_their_order(pictures: list[float], columns: int, rows: int) -> None:
    places = arrange(pictures, columns, rows)
    for before, after in itertools.pairwise(places):
        assert after.x >= before.x + before.width or after.y >= before.y + before.height


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 16, 30, 100, 256])
def test_pictures_of_a_usual_shape_cover_half_the_screen(count: int) -> None:
    places = arrange([16 / 9] * count, 160, 45)
    assert covered(places) >= 0.5 * 160 * 45
