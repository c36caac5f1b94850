"""The board as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.play.board_text import draw_board
from teleglyph.client.play.four_in_a_row import COLUMNS, ROWS, Board


def played(columns: str) -> Board:
    board = Board()
    for column in columns:
        assert board.drop(int(column), board.turn)
    return board


@given(st.lists(st.integers(-1, COLUMNS), max_size=80))
def test_the_board_of_any_game_has_lines_of_equal_width(columns: list[int]) -> None:
    board = Board()
    for column in columns:
        board.drop(column, board.turn)
    for utf8 in (False, True):
        lines = draw_board(board, 3, color=False, utf8=utf8).split("\n")
        assert len(lines) == ROWS + 3
        assert {len(line) for line in lines} == {31}


@pytest.mark.parametrize("columns", [*range(40), 200])
@pytest.mark.parametrize("rows", [*range(12), 60])
@pytest.mark.parametrize("utf8", [False, True])
def test_the_board_fits_into_any_window_and_is_whole_from_7_by_6(columns: int, rows: int, utf8: bool) -> None:
    lines = draw_board(played("0011223"), 3, color=False, utf8=utf8, columns=columns, rows=rows).split("\n")
    assert max(map(len, lines)) <= columns
    if columns < 7 or rows < 6:
        assert lines == ["Enlarge the window."[:columns]]
        return
    assert len(lines) <= rows
    assert len({len(line) for line in lines}) == 1
    text = "".join(lines)
    assert (text.count("●" if utf8 else "X"), text.count("○" if utf8 else "O")) == (4, 3)
    assert ("v" in text) == (rows > 6)
    assert utf8 or text.isascii()


def test_colours_change_nothing_but_colours() -> None:
    board = played("0011223")
    painted = draw_board(board, 3, color=True, utf8=True, columns=20, rows=9)
    for escape in ("\x1b[91m", "\x1b[93m", "\x1b[0m"):
        assert escape in painted
        painted = painted.replace(escape, "")
    assert painted == draw_board(board, 3, color=False, utf8=True, columns=20, rows=9)
