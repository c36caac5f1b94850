"""Places the pictures of a call on the screen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CHARACTER_ASPECT = 0.5
"""Width of a character cell divided by its height."""


class Placement(NamedTuple):
    """A rectangle in character cells, from the top left corner of the screen."""

    x: int
    y: int
    width: int
    height: int


class _Grid(NamedTuple):
    """A division of the screen into equal cells."""

    grid_columns: int
    grid_rows: int
    cell_width: int
    cell_height: int


def fit(aspect: float, width: int, height: int) -> tuple[int, int]:
    """The largest size in characters that shows a whole undistorted picture within a box, at least 1x1.

    Args:
        aspect: width of the picture divided by its height.
        width: columns of the box.
        height: rows of the box.
    """
    columns_at_full_height = _round(height * aspect / CHARACTER_ASPECT)
    if columns_at_full_height <= width:
        return max(1, columns_at_full_height), height
    return width, min(height, max(1, _round(width * CHARACTER_ASPECT / aspect)))


def arrange(aspects: Sequence[float], columns: int, rows: int, label_rows: int = 0) -> tuple[Placement, ...]:
    """Lay pictures out in the grid that shows them largest.

    The best grid covers the largest area with fitted pictures; of equal ones, it has the fewest empty tiles, then the
    fewest columns.  Pictures keep their order, row by row.  Each is centred in its tile, and the last row on the
    screen.  If there are more pictures than characters, the last ones share the last character.

    Args:
        aspects: width divided by height of each picture, in pixels.
        columns: width of the screen in characters.
        rows: height of the screen in characters.
        label_rows: rows to keep free under each picture; in a tile without more rows, the picture uses one of them.

    Raises:
        ValueError: a size or an aspect is not positive, or is infinite.
    """
    if columns < 1 or rows < 1:
        raise ValueError(f"A screen must have at least one column and one row, not {columns}x{rows}.")
    if not all(0 < aspect < math.inf for aspect in aspects):
        raise ValueError("A picture's aspect must be a positive number.")
    if not aspects:
        return ()
    shapes = Counter(aspects)
    grid = max(_grids(len(aspects), columns, rows), key=lambda grid: _score(grid, shapes, label_rows))
    return tuple(_placements(grid, aspects, columns, rows, label_rows))


def crop(places: Sequence[Placement]) -> tuple[tuple[Placement, ...], int, int]:
    """Move one or more placements to the top left corner; also returns the size of the box around them."""
    left = min(place.x for place in places)
    top = min(place.y for place in places)
    moved = tuple(place._replace(x=place.x - left, y=place.y - top) for place in places)
    return moved, max(p.x + p.width for p in moved), max(p.y + p.height for p in moved)


def _round(value: float) -> int:
    """Round half up, as ascii-chat's programs do."""
    return int(value + 0.5)


def _grids(pictures: int, columns: int, rows: int) -> Iterator[_Grid]:
    """Every grid with a tile of at least one character for each picture, or for as many as possible."""
    places = min(pictures, columns * rows)
    for grid_columns in range(1, min(places, columns) + 1):
        grid_rows = -(-places // grid_columns)
        if grid_rows <= rows:
            yield _Grid(grid_columns, grid_rows, columns // grid_columns, rows // grid_rows)


def _score(grid: _Grid, shapes: Counter[float], label_rows: int) -> tuple[int, int, int]:
    """The sort key of a grid, better ones last: covered characters, then fewer tiles, then fewer columns."""
    covered = 0
    for aspect, count in shapes.items():
        width, height = fit(aspect, grid.cell_width, max(1, grid.cell_height - label_rows))
        covered += count * width * height
    return covered, -grid.grid_columns * grid.grid_rows, -grid.grid_columns


def _placements(grid: _Grid, aspects: Sequence[float], columns: int, rows: int, label_rows: int) -> Iterator[Placement]:
    places = grid.grid_columns * grid.grid_rows
    top = (rows - grid.grid_rows * grid.cell_height) // 2
    for index, aspect in enumerate(aspects):
        row, column = divmod(min(index, columns * rows - 1), grid.grid_columns)
        is_last_row = row == grid.grid_rows - 1
        empty = max(0, places - len(aspects)) if is_last_row else 0
        left = (columns - (grid.grid_columns - empty) * grid.cell_width) // 2
        width, height = fit(aspect, grid.cell_width, max(1, grid.cell_height - label_rows))
        yield Placement(
            left + column * grid.cell_width + (grid.cell_width - width) // 2,
            top + row * grid.cell_height + max(0, grid.cell_height - label_rows - height) // 2,
            width,
            height,
        )
