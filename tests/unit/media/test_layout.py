from __future__ import annotations

import pytest

from teleglyph.media.layout import Placement, arrange, fit

WIDE = 16 / 9


@pytest.mark.parametrize(
    ("picture", "box", "size"),
    [
        ((480, 270), (80, 24), (80, 23)),
        ((480, 270), (120, 40), (120, 34)),
        ((480, 270), (200, 50), (178, 50)),
        ((360, 270), (80, 24), (64, 24)),
        ((320, 240), (110, 70), (110, 41)),
        ((270, 480), (80, 24), (27, 24)),
        ((80, 48), (80, 24), (80, 24)),
        ((8192, 1), (80, 24), (80, 1)),
        ((1, 8192), (80, 24), (1, 24)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
def test_a_picture_is_fitted_as_acip_peers_fit_it(
    picture: tuple[int, int], box: tuple[int, int], size: tuple[int, int]
) -> None:
    assert fit(picture[0] / picture[1], *box) == size


def test_one_picture_takes_the_screen_and_is_centred() -> None:
    assert arrange([WIDE], 120, 40) == (Placement(0, 3, 120, 34),)
    assert arrange([9 / 16], 80, 24) == (Placement(26, 0, 27, 24),)


def test_two_wide_pictures_are_side_by_side_on_a_wide_screen() -> None:
    assert arrange([WIDE, WIDE], 160, 24) == (Placement(0, 0, 80, 23), Placement(80, 0, 80, 23))


def test_two_wide_pictures_are_stacked_on_a_narrow_screen() -> None:
    assert arrange([WIDE, WIDE], 80, 46) == (Placement(0, 0, 80, 23), Placement(0, 23, 80, 23))


def test_an_incomplete_last_row_is_centred() -> None:
    first, second, third = arrange([WIDE] * 3, 160, 46)
    assert (first.y, second.y) == (0, 0)
    assert third == Placement(40, 23, 80, 23)


def test_the_rest_of_the_grid_is_divided_between_both_sides() -> None:
    places = arrange([1.0] * 3, 62, 10)
    assert places == (Placement(1, 0, 20, 10), Placement(21, 0, 20, 10), Placement(41, 0, 20, 10))


def test_nine_pictures_on_a_small_terminal_are_not_strips() -> None:
    places = arrange([WIDE] * 9, 80, 24)
    assert {(place.width, place.height) for place in places} == {(26, 7)}


def test_pictures_of_different_shapes_keep_them_in_equal_places() -> None:
    wide, tall = arrange([WIDE, 9 / 16], 160, 24)
    assert (wide.width, wide.height) == (80, 23)
    assert (tall.width, tall.height) == (27, 24)
    assert tall.x >= 80


def test_of_equally_good_grids_the_one_with_fewer_empty_places_wins() -> None:
    # Three squares cover 150 characters in one row of three, and in two rows of two with an empty place.
    assert [place.y for place in arrange([1.0] * 3, 30, 10)] == [2, 2, 2]


def test_of_otherwise_equal_grids_the_one_with_fewer_columns_wins() -> None:
    # Two squares cover 100 characters side by side and above each other.
    assert arrange([1.0] * 2, 20, 10) == (Placement(5, 0, 10, 5), Placement(5, 5, 10, 5))


def test_more_pictures_than_characters_share_the_last_one() -> None:
    places = arrange([WIDE] * 5, 2, 1)
    assert places == (Placement(0, 0, 1, 1), *[Placement(1, 0, 1, 1)] * 4)


def test_no_pictures_need_no_places() -> None:
    assert arrange([], 80, 24) == ()


@pytest.mark.parametrize(("columns", "rows"), [(0, 24), (80, 0), (-1, 5)])
def test_a_screen_without_characters_is_refused(columns: int, rows: int) -> None:
    with pytest.raises(ValueError, match=f"not {columns}x{rows}"):
        arrange([WIDE], columns, rows)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf")])
def test_a_picture_without_a_shape_is_refused(aspect: float) -> None:
    with pytest.raises(ValueError, match="aspect must be a positive number"):
        arrange([WIDE, aspect], 80, 24)
