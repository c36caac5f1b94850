"""The window of a table: the board in the middle, and the status line."""

from __future__ import annotations

import os
import re
import signal
from types import TracebackType
from typing import Self

from teleglyph.client.play.board_text import draw_board, stone_glyph
from teleglyph.client.play.four_in_a_row import EMPTY, Board
from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.client.terminal.screen import Screen
from teleglyph.media.frame_text import check_frame
from teleglyph.media.modes import ColorLevel
from teleglyph.printable import width

_COLORS = re.compile("\x1b\\[[0-9]*m")


class TableView:
    """Draws a table while it is entered.

    Args:
        terminal: shows the table.
        me: our side, HOST or GUEST.
    """

    def __init__(self, terminal: Terminal, me: int) -> None:
        self._terminal, self._me = terminal, me
        self._screen = Screen(*terminal_size(os.environ), synchronized=terminal.synchronized)

    def __enter__(self) -> Self:
        self._screen.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.leave()

    def draw_board(self, board: Board, cursor: int) -> None:
        """Draw the board, with a cursor above a column if it is our turn."""
        is_mine = board.turn == self._me and board.winner == EMPTY
        columns, rows = self._screen.picture_size
        text = draw_board(
            board,
            cursor if is_mine else -1,
            color=self._terminal.color != ColorLevel.NONE,
            utf8=self._terminal.utf8,
            columns=columns,
            rows=rows,
        )
        lines = text.split("\n")
        margin = " " * max(0, (columns - width(_COLORS.sub("", lines[0]))) // 2)
        top = "\n" * max(0, (rows - len(lines)) // 2)
        drawn = top + "\n".join(margin + line for line in lines)
        if (frame := check_frame(drawn.encode(), columns, rows)) is not None:
            self._screen.draw_frame(frame)

    def draw_status(self, *fields: str) -> None:
        """Draw the status line.

        Args:
            fields: the most important ones first; a narrow window drops the last ones.
        """
        columns, _ = self._screen.picture_size
        fitting = list(fields)
        while len(fitting) > 1 and width(" | ".join(fitting)) + 1 > columns:
            fitting.pop()
        line = " | ".join(fitting)
        if not self._terminal.utf8:
            line = line.encode("ascii", "replace").decode()
        self._screen.set_status(f" {line}" if width(line) < columns else line)

    @property
    def stone(self) -> str:
        """The character of our stones."""
        return stone_glyph(self._me, utf8=self._terminal.utf8)

    def resize(self) -> None:
        """Adapt to the size of the window; draw everything again after this."""
        self._screen.resize(*terminal_size(os.environ))

    def suspend(self) -> None:
        """Return the terminal to the shell until the program continues."""
        self._screen.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._screen.enter()
        self.resize()
