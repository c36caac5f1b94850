"""The rules of four in a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.play.four_in_a_row import COLUMNS, DRAW, EMPTY, GUEST, HOST, Board


def played(columns: str) -> Board:
    board = Board()
    for column in columns:
        assert board.drop(int(column), board.turn)
    return board


@pytest.mark.parametrize(
    ("columns", "winner"),
    [
        ("0011223", HOST),
        ("0101010", HOST),
        ("60010203", GUEST),
        ("600102", EMPTY),
        ("001122", EMPTY),
    ],
)
def test_games_end_when_they_should(columns: str, winner: int) -> None:
    assert played(columns).winner == winner


def test_diagonals_win() -> None:
    rising = Board()
    for row, column in ((5, 0), (4, 1), (3, 2), (2, 3)):
        rising.cells[row * COLUMNS + column] = GUEST
    assert rising._has_four(3, 2, GUEST)
    assert rising._has_four(1, 4, GUEST)
    falling = Board()
    for row, column in ((2, 3), (3, 4), (4, 5), (5, 6)):
        falling.cells[row * COLUMNS + column] = HOST
    assert falling._has_four(4, 3, HOST)
    assert not falling._has_four(4, 3, GUEST)


def test_illegal_moves_are_refused() -> None:
    board = played("000000")
    assert not board.drop(0, board.turn), "the column is full"
    assert not board.drop(1, HOST + GUEST - board.turn), "it is the other player's turn"
    assert not board.drop(7, board.turn)
    assert not board.drop(-1, board.turn)
    over = played("0011223")
    assert not over.drop(6, over.turn)
    over.start_next_round()
    assert (over.winner, over.turn, sum(over.cells)) == (EMPTY, GUEST, 0)


@given(st.lists(st.integers(-1, COLUMNS), max_size=80))
def test_any_game_can_be_encoded_and_ends_with_at_most_42_stones(columns: list[int]) -> None:
    board = Board()
    for column in columns:
        before = sum(cell != EMPTY for cell in board.cells)
        done = board.drop(column, board.turn)
        assert sum(cell != EMPTY for cell in board.cells) == before + done
    assert Board.decode(board.encode()) == board
    assert (board.winner == DRAW) <= (EMPTY not in board.cells)


@pytest.mark.parametrize("data", [b"", bytes(45), bytes([1, 0, 0]) + bytes([9] * 42), bytes([1, 0, 0]) + bytes(41)])
def test_invalid_boards_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a board"):
        Board.decode(data)
