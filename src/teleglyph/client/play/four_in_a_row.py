"""Four in a row: the rules, what travels, and how it looks."""

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
    """A game.

    Attributes:
        cells: from the top left, row by row: who has a stone there.
        turn: whose it is.
        winner: who has four in a row; DRAW if nobody can; EMPTY while the game goes on.
        has_guest: there is somebody to play against.
    """

    cells: bytearray = field(default_factory=lambda: bytearray(COLUMNS * ROWS))
    turn: int = HOST
    winner: int = EMPTY
    has_guest: bool = False

    def drop(self, column: int, who: int) -> bool:
        """Put a stone into a column; False, and nothing happens, if that cannot be."""
        if who != self.turn or self.winner != EMPTY or not 0 <= column < COLUMNS:
            return False
        free = [row for row in range(ROWS) if self.cells[row * COLUMNS + column] == EMPTY]
        if not free:
            return False
        self.cells[free[-1] * COLUMNS + column] = who
        if self._has_four(column, free[-1], who):
            self.winner = who
        elif EMPTY not in self.cells:
            self.winner = DRAW
        else:
            self.turn = HOST + GUEST - who
        return True

    def again(self) -> None:
        """Another game; who did not begin the last one begins."""
        stones = sum(cell != EMPTY for cell in self.cells)
        began = self.turn if (stones - (self.winner != EMPTY)) % 2 == 0 else HOST + GUEST - self.turn
        self.cells, self.winner, self.turn = bytearray(COLUMNS * ROWS), EMPTY, HOST + GUEST - began

    def _has_four(self, column: int, row: int, who: int) -> bool:
        def run(dx: int, dy: int) -> int:
            count, x, y = 0, column + dx, row + dy
            while 0 <= x < COLUMNS and 0 <= y < ROWS and self.cells[y * COLUMNS + x] == who:
                count, x, y = count + 1, x + dx, y + dy
            return count

        return any(1 + run(dx, dy) + run(-dx, -dy) >= 4 for dx, dy in _DIRECTIONS)

    def encode(self) -> bytes:
        """The whole state."""
        return bytes((self.turn, self.winner, self.has_guest)) + bytes(self.cells)

    @classmethod
    def decode(cls, data: bytes) -> Board:
        """A board from :meth:`encode`.

        Raises:
            ValueError: it is none.
        """
        if len(data) != _SIZE or max(data) > DRAW or data[0] not in (HOST, GUEST) or max(data[3:]) > GUEST:
            raise ValueError("that is no board of four in a row")
        return cls(bytearray(data[3:]), data[0], data[1], bool(data[2]))

    @staticmethod
    def stone(who: int, *, utf8: bool) -> str:
        """How somebody's stone looks."""
        return ("·●○" if utf8 else ".XO")[who]

    def draw(self, cursor: int, *, color: bool, utf8: bool, columns: int = 31, rows: int = ROWS + 3) -> str:
        """The board as lines of equal width.

        Args:
            cursor: the column that it is over; -1 for nowhere.
            color: stones are red and yellow.
            utf8: stones and edges may be other characters than ASCII.
            columns: the most that may be used.  The board is 31 by 9, and gives up its spacing, edges and numbers
                where there is less; below 7 by 6 there is a text instead.
            rows: the same for its height.
        """
        step = next((step for step in (4, 2) if columns >= 7 * step + 3), 1)
        if columns < COLUMNS or rows < ROWS:
            return "Enlarge the window."[: max(0, columns)]
        stones = {who: self.stone(who, utf8=utf8) for who in (EMPTY, HOST, GUEST)}
        paint = {HOST: "\x1b[91m", GUEST: "\x1b[93m"} if color else {}
        has_edges = step > 1
        edge, gap = ("│" if utf8 else "|") if has_edges else "", " " * (step - 1)
        start, end = (f"{edge} ", f"{gap}{edge}") if has_edges else ("", "")

        def labels(names: str) -> str:
            if not has_edges:
                return names
            return " " + "".join(f" {name}{' ' * (step - 2)}" for name in names) + "  "

        lines = []
        for row in range(ROWS):
            cells = self.cells[row * COLUMNS : (row + 1) * COLUMNS]
            shown = [f"{paint.get(cell, '')}{stones[cell]}" + ("\x1b[0m" if cell in paint else "") for cell in cells]
            lines.append(start + gap.join(shown) + end)
        if rows > ROWS:
            lines.insert(0, labels("".join("v" if column == cursor else " " for column in range(COLUMNS))))
        if rows > ROWS + 2 and has_edges:
            left, line, right = "└─┘" if utf8 else "+-+"
            lines.append(left + line * (COLUMNS * step + 1) + right)
        if rows > ROWS + 1:
            lines.append(labels("1234567"))
        return "\n".join(lines)

    @property
    def stones(self) -> int:
        """How many have been dropped."""
        return COLUMNS * ROWS - self.cells.count(EMPTY)

    @property
    def is_in_progress(self) -> bool:
        """Somebody has moved, and the game is not over."""
        return self.winner == EMPTY and any(self.cells)
