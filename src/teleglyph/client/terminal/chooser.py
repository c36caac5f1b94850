"""A list on the whole screen, from which the user chooses with arrow keys or numbers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.output import ColorDepth

from teleglyph.client.terminal.capabilities import terminal_size
from teleglyph.client.terminal.toolkit_output import toolkit_output
from teleglyph.client.waiting import wait_for_first
from teleglyph.console import write_text
from teleglyph.printable import fit, in_ascii, width

_RESTORE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_MAX_DIGIT = 9
_GAP = 2
_PREFIX = 5
"""Columns for the mark of the selected row and its number."""


class Row(NamedTuple):
    """A row to choose from.

    Attributes:
        key: identifies it when the rows change.
        text: what it is.
        detail: more about it; left out in a narrow window.
    """

    key: Hashable
    text: str
    detail: str = ""


class Chooser:
    """Shows rows until the user chooses one or leaves.

    The selected row stays the same when other rows come or go.  If it goes itself, no row is selected until the user
    moves: Enter never chooses a row that has just slipped under the mark.

    Args:
        title: a line above the rows.
        help: a line below them.
        utf8: the terminal shows UTF-8; otherwise everything is ASCII.
    """

    def __init__(self, title: str, help: str, *, utf8: bool) -> None:
        self._title, self._help, self._utf8 = title, help, utf8
        self._note = ""
        self._rows: list[Row] = []
        self._selected: Hashable | None = None
        self._place = 0
        """Of the selected row, or of the one that has gone."""
        self._saved: list[Any] = termios.tcgetattr(0)
        self._was_blocking = os.get_blocking(0)
        self._app: Application[Hashable | None] = Application(
            layout=Layout(
                HSplit(
                    [
                        Window(FormattedTextControl(self._draw_title), height=2),
                        Window(
                            FormattedTextControl(
                                self._draw_rows,
                                focusable=True,
                                show_cursor=False,
                                get_cursor_position=lambda: Point(0, self._place),
                            )
                        ),
                        Window(FormattedTextControl(self._draw_foot), height=2),
                    ]
                )
            ),
            key_bindings=self._keys(),
            output=toolkit_output(),
            input=create_input(sys.stdin),
            # The selected row is in reverse video, which every terminal has.
            color_depth=ColorDepth.DEPTH_1_BIT,
            full_screen=True,
        )

    def show(self, rows: Sequence[Row], note: str = "") -> None:
        """Set the rows, and a line below them."""
        is_first = not self._rows
        self._rows, self._note = list(rows), note
        if is_first and rows:
            self._select(0)
        elif (place := self._find()) is not None:
            self._place = place
        else:
            self._selected, self._place = None, max(0, min(self._place, len(rows) - 1))
        self._app.invalidate()

    async def run(self, stop: asyncio.Event) -> Hashable | None:
        """Let the user choose.

        Args:
            stop: ends the choice when set.

        Returns:
            The key of the chosen row; None if the user left.
        """
        # The caller handles signals and exceptions.
        choosing = asyncio.create_task(self._app.run_async(handle_sigint=False, set_exception_handler=False))
        try:
            await wait_for_first(choosing, stop.wait())
            if not choosing.done():
                self._app.exit()
            with contextlib.suppress(EOFError):  # the terminal has gone
                return await choosing
            return None
        finally:
            os.set_blocking(0, self._was_blocking)

    def restore(self) -> None:
        """Restore the terminal at once, for a process that is about to end."""
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, self._saved)
            os.set_blocking(0, self._was_blocking)
            write_text(_RESTORE)

    # --- selecting ------------------------------------------------------------------------------------

    def _find(self) -> int | None:
        return next((place for place, row in enumerate(self._rows) if row.key == self._selected), None)

    def _select(self, place: int) -> None:
        if self._rows:
            self._place = max(0, min(place, len(self._rows) - 1))
            self._selected = self._rows[self._place].key

    def _move(self, steps: int) -> None:
        # Without a selected row, either key selects the one that is at its place now.
        self._select(self._place if self._find() is None else self._place + steps)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("up")
        @keys.add("k")
        @keys.add("c-p")
        def _(_event: KeyPressEvent) -> None:
            self._move(-1)

        @keys.add("down")
        @keys.add("j")
        @keys.add("c-n")
        def _(_event: KeyPressEvent) -> None:
            self._move(1)

        @keys.add("pageup")
        @keys.add("home")
        def _(_event: KeyPressEvent) -> None:
            self._select(0)

        @keys.add("pagedown")
        @keys.add("end")
        def _(_event: KeyPressEvent) -> None:
            self._select(len(self._rows) - 1)

        def choose_number(event: KeyPressEvent) -> None:
            if 1 <= int(event.data) <= len(self._rows):
                self._select(int(event.data) - 1)

        for digit in range(1, _MAX_DIGIT + 1):
            keys.add(str(digit))(choose_number)

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            if self._find() is not None:
                event.app.exit(result=self._selected)

        @keys.add("q")
        @keys.add("c-c")
        @keys.add("c-d")
        def _(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            # The shell reads from the same terminal meanwhile.
            os.set_blocking(0, self._was_blocking)
            event.app.suspend_to_background()

        return keys

    # --- drawing --------------------------------------------------------------------------------------

    def _line(self, text: str) -> str:
        return fit(text if self._utf8 else in_ascii(text), terminal_size(os.environ)[0] - 1)

    def _draw_title(self) -> str:
        return self._line(f" {self._title}")

    def _draw_foot(self) -> str:
        return f"{self._line(f' {self._note}')}\n{self._line(f' {self._help}')}"

    def _draw_rows(self) -> StyleAndTextTuples:
        widest = max((width(row.text) for row in self._rows), default=0)
        drawn: StyleAndTextTuples = []
        for place, row in enumerate(self._rows):
            is_selected = row.key == self._selected
            mark = ">" if is_selected else " "
            number = str(place + 1) if place < _MAX_DIGIT else " "
            padding = " " * (widest - width(row.text) + _GAP)
            text = f" {mark} {number} {row.text}{padding}{row.detail} "
            drawn.append(("reverse" if is_selected else "", self._line(text)))
            drawn.append(("", "\n"))
        return drawn
