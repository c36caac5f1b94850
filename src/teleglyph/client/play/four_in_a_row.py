"""Four in a row: the rules, and the board as bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

COLUMNS: Final = 7
ROWS: Final = 6
EMPTY, HOST, GUEST, DRAW = 0, 1, 2, 3
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))
_SIZE = COLUMNS * ROWS + 3


@dataclass(slots=True)
class Board:
    """The state of a game.

    Attributes:
        cells: owners of the stones, row by row from the top left.
        turn: the player to move.
        winner: the player with four in a row; DRAW if the board is full; EMPTY during the game.
        has_guest: the host has an opponent.
    """

    cells: bytearray = field(default_factory=lambda: bytearray(COLUMNS * ROWS))
    turn: int = HOST
    winner: int = EMPTY
    has_guest: bool = False

    def drop(self, column: int, player: int) -> bool:
        """Drop a stone into a column; False if the move is not allowed."""
        if player != self.turn or self.winner != EMPTY or not 0 <= column < COLUMNS:
            return False
        free = [row for row in range(ROWS) if self.cells[row * COLUMNS + column] == EMPTY]
        if not free:
            return False
        self.cells[free[-1] * COLUMNS + column] = player
        if self._has_four(column, free[-1], player):
            self.winner = player
        elif EMPTY not in self.cells:
            self.winner = DRAW
        else:
            self.turn = HOST + GUEST - player
        return True

    def start_next_round(self) -> None:
        """Clear the board; the player who did not begin the last round begins."""
        stones = sum(cell != EMPTY for cell in self.cells)
        first = self.turn if (stones - (self.winner != EMPTY)) % 2 == 0 else HOST + GUEST - self.turn
        self.cells, self.winner, self.turn = bytearray(COLUMNS * ROWS), EMPTY, HOST + GUEST - first

    def _has_four(self, column: int, row: int, player: int) -> bool:
        def run(dx: int, dy: int) -> int:
            count, x, y = 0, column + dx, row + dy
            while 0 <= x < COLUMNS and 0 <= y < ROWS and self.cells[y * COLUMNS + x] == player:
                count, x, y = count + 1, x + dx, y + dy
            return count

        return any(1 + run(dx, dy) + run(-dx, -dy) >= 4 for dx, dy in _DIRECTIONS)

    def encode(self) -> bytes:
        """The state as bytes."""
        return bytes((self.turn, self.winner, self.has_guest)) + bytes(self.cells)

    @classmethod
    def decode(cls, data: bytes) -> Board:
        """Decode the bytes from :meth:`encode`.

        Raises:
            ValueError: the data is not a valid board.
        """
        if len(data) != _SIZE or max(data) > DRAW or data[0] not in (HOST, GUEST) or max(data[3:]) > GUEST:
            raise ValueError("not a board of four in a row")
        return cls(bytearray(data[3:]), data[0], data[1], bool(data[2]))

    @property
    def stones(self) -> int:
        """The number of dropped stones."""
        return COLUMNS * ROWS - self.cells.count(EMPTY)

    @property
    def is_in_progress(self) -> bool:
        """Whether the game has begun and is not over."""
        return self.winner == EMPTY and any(self.cells)
