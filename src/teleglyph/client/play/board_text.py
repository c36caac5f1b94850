"""Draw a board as text."""

from __future__ import annotations

from teleglyph.client.play.four_in_a_row import COLUMNS, EMPTY, GUEST, HOST, ROWS, Board

MIN_COLUMNS, MIN_ROWS = COLUMNS, ROWS
_FULL_COLUMNS, _FULL_ROWS = 31, ROWS + 3
_COLORS = {HOST: "\x1b[91m", GUEST: "\x1b[93m"}
_RESET = "\x1b[0m"


def stone_glyph(player: int, *, utf8: bool) -> str:
    """The character of a player's stones, or of an empty cell."""
    return ("·●○" if utf8 else ".XO")[player]


def draw_board(
    board: Board, cursor: int, *, color: bool, utf8: bool, columns: int = _FULL_COLUMNS, rows: int = _FULL_ROWS
) -> str:
    """Draw a board as lines of equal width.

    Args:
        board: to draw.
        cursor: the marked column; -1 for none.
        color: draw stones in red and yellow.
        utf8: use characters outside ASCII for stones and edges.
        columns: available width.  The board is 31 by 9; in less space it loses its spacing, edges and numbers.
        rows: available height.  Below 7 by 6 there is a text instead.
    """
    step = next((step for step in (4, 2) if columns >= 7 * step + 3), 1)
    if columns < MIN_COLUMNS or rows < MIN_ROWS:
        return "Enlarge the window."[: max(0, columns)]
    stones = {player: stone_glyph(player, utf8=utf8) for player in (EMPTY, HOST, GUEST)}
    colors = _COLORS if color else {}
    has_edges = step > 1
    edge, gap = ("│" if utf8 else "|") if has_edges else "", " " * (step - 1)
    start, end = (f"{edge} ", f"{gap}{edge}") if has_edges else ("", "")

    def labels(names: str) -> str:
        if not has_edges:
            return names
        return " " + "".join(f" {name}{' ' * (step - 2)}" for name in names) + "  "

    lines = []
    for row in range(ROWS):
        cells = board.cells[row * COLUMNS : (row + 1) * COLUMNS]
        drawn = [f"{colors.get(cell, '')}{stones[cell]}" + (_RESET if cell in colors else "") for cell in cells]
        lines.append(start + gap.join(drawn) + end)
    if rows > ROWS:
        lines.insert(0, labels("".join("v" if column == cursor else " " for column in range(COLUMNS))))
    if rows > ROWS + 2 and has_edges:
        left, line, right = "└─┘" if utf8 else "+-+"
        lines.append(left + line * (COLUMNS * step + 1) + right)
    if rows > ROWS + 1:
        lines.append(labels("1234567"))
    return "\n".join(lines)
