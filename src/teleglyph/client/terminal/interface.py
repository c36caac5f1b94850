"""The terminal while a command draws on it: screen, keys, size, status line and help."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.client.terminal.display import Display
from teleglyph.client.terminal.keyboard import Keyboard
from teleglyph.client.terminal.screen import Screen
from teleglyph.client.terminal.text_box import help_pages, wrap_lines
from teleglyph.printable import width

_STATUS_SECONDS = 0.5
_MESSAGE_SECONDS = 5.0
_BOX_MARGIN = 4
"""Columns of a box that its text does not get."""
_MAX_STEPS = 8
"""As many as there are colour depths, modes or palettes, and more."""
_KEY_NAMES = {"up": "Up", "down": "Down", "left": "Left", "right": "Right", "space": "Space"}


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class KeyAction:
    """What a key does.

    Attributes:
        help: listed in the help; empty if another key's line says it.
        run: does it, or says why it cannot be done now.
        label: the key's name in the help; empty for the key itself.
        works: whether it can be done now; the help lists only what can.
    """

    help: str
    run: Callable[[], None]
    label: str = ""
    works: Callable[[], bool] = _always


class Interface:
    """Owns the terminal of an interactive command; an async context manager.

    Args:
        terminal: what it can do.
        display: how pictures are drawn at first.
        fixed_size: columns and rows that the user insists on, 0 for the window's.
        stop: set when the user wants to leave.
        on_display: told of every change of size, colours, mode and palette.
        actions: further keys.
        status: makes the text of the status line, a few times a second.
    """

    def __init__(
        self,
        terminal: Terminal,
        display: Display,
        *,
        fixed_size: tuple[int, int],
        stop: asyncio.Event,
        on_display: Callable[[Display], None],
        actions: Mapping[str, KeyAction],
        status: Callable[[], str],
    ) -> None:
        self.display = display
        self.screen = Screen(
            *terminal_size(os.environ),
            synchronized=terminal.synchronized,
            utf8=display.utf8,
            input_fd=0 if terminal.has_keys else None,
        )
        self._keyboard = Keyboard(self._press, stop.set, terminal.typed) if terminal.has_keys else None
        self._fixed = fixed_size
        self._stop = stop
        self._on_display = on_display
        self._status = status
        self._notice: tuple[str, ...] = ()
        self._hint: tuple[str, ...] = ()
        self._help_page = 0
        """The page of the help that is shown, from 1 on; 0 for none."""
        self._message, self._message_until = "", 0.0
        self._actions = {
            "q": KeyAction("quit", stop.set),
            "c": KeyAction("colours", self._next_color),
            "r": KeyAction("render mode", self._next_render, works=lambda: self._next(Display.next_render) is not None),
            "p": KeyAction("palette", self._next_palette, works=lambda: self._next(Display.next_palette) is not None),
            "?": KeyAction("this help", self._turn_help),
            **actions,
        }
        self._ticker: asyncio.Task[None] | None = None
        self.display = self._fit(display)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.screen.enter()
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        if self._keyboard is not None:
            self._keyboard.open()
        self._ticker = loop.create_task(self._tick(), name="status line")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._ticker is not None:
            self._ticker.cancel()
        if self._keyboard is not None:
            self._keyboard.close()
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_signal_handler(signal.SIGTSTP)
        self.screen.leave()

    def notify(self, *lines: str) -> None:
        """Show lines over the picture until they are replaced; none take them away."""
        self._notice = lines
        self._show_overlay()

    def hint(self, *lines: str) -> None:
        """Show lines at the foot of the picture while nothing more important is shown; none take them away."""
        self._hint = lines
        self._show_overlay()

    def announce(self, text: str) -> None:
        """Show a sentence for a while: on the status line if it fits there, otherwise in a box over the picture."""
        self._message, self._message_until = text, time.monotonic() + _MESSAGE_SECONDS
        self._show_overlay()
        self.refresh()

    def dismiss(self) -> None:
        """Take the sentence away: something more important is on the status line."""
        self._message = ""
        self._show_overlay()

    @property
    def columns(self) -> int:
        """Width of the window."""
        return self.screen.picture_size[0]

    def refresh(self) -> None:
        """Show the status line as it is now."""
        if self._message and time.monotonic() >= self._message_until:
            self._message = ""
            self._show_overlay()
        if self._help_page:
            self._show_overlay()  # which keys work may have changed
        status = self._status()
        is_short = self._message and self._fits_status(self._message)
        self.screen.set_status(f" {self._message}" if is_short else status)

    # --- internals ------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            self.refresh()
            await asyncio.sleep(_STATUS_SECONDS)

    def _fit(self, display: Display) -> Display:
        columns, rows = self.screen.picture_size
        return display.resized(self._fixed[0] or columns, self._fixed[1] or rows)

    def _change(self, display: Display) -> None:
        self.display = self._fit(display)
        self._on_display(self.display)
        self._show_overlay()
        self.refresh()

    def _resized(self) -> None:
        self.screen.resize(*terminal_size(os.environ))
        self._change(self.display)

    def _suspend(self) -> None:
        """Ctrl-Z: the shell gets its terminal back, and we get ours when we go on."""
        self.screen.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.screen.enter()
        self._resized()

    def _press(self, keys: Sequence[str]) -> None:
        for key in keys:
            if key == "escape":
                # Escape never leaves: a network may cut another key's sequence behind its first byte.
                if self._help_page:
                    self._close_help()
            elif key == "ctrl-c":
                # The terminal driver makes a signal of it, unless the terminal sends it in kitty's way.
                self._stop.set()
            elif action := self._actions.get(key):
                action.run()
                self.refresh()
            else:
                self.announce(f"{_KEY_NAMES.get(key, key)} does nothing here; ? shows the keys.")

    # --- what keys change --------------------------------------------------------------------------------

    def _next(self, step: Callable[[Display], Display]) -> Display | None:
        """The next display that looks different; None if there is no other."""
        candidate = self.display
        for _ in range(_MAX_STEPS):
            candidate = step(candidate)
            if candidate.describe() != self.display.describe():
                return candidate
        return None

    def _switch(self, step: Callable[[Display], Display], why_not: str) -> None:
        changed = self._next(step)
        if changed is None:
            self.announce(why_not)
            return
        self._change(changed)
        description = changed.describe()
        if description not in self._status():
            self.announce(description)

    def _next_color(self) -> None:
        self._switch(Display.next_color, "There are no other colours to choose from.")

    def _next_render(self) -> None:
        self._switch(Display.next_render, "This terminal can show no other mode with these colours; c changes them.")

    def _next_palette(self) -> None:
        self._switch(Display.next_palette, "Palettes are for the foreground mode; r changes the mode.")

    # --- boxes -------------------------------------------------------------------------------------------

    def _turn_help(self) -> None:
        """Open the help, go to its next page, or close it after the last one."""
        self._help_page = (self._help_page + 1) % (len(self._help_pages()) + 1)
        self._show_overlay()

    def _close_help(self) -> None:
        self._help_page = 0
        self._show_overlay()

    def _fits_status(self, text: str) -> bool:
        return width(text) + 2 <= self.columns and self.screen.has_status

    def _show_overlay(self) -> None:
        columns, rows = self.screen.picture_size
        room = max(1, columns - _BOX_MARGIN)
        if self._help_page:
            pages = self._help_pages()
            self._help_page = min(self._help_page, len(pages))
            self.screen.set_overlay(pages[self._help_page - 1])
        elif self._message and not self._fits_status(self._message):
            self.screen.set_overlay(wrap_lines([self._message], room, rows), at_foot=True)
        elif self._notice:
            self.screen.set_overlay(wrap_lines(self._notice, room, rows))
        else:
            self.screen.set_overlay(wrap_lines(self._hint, room, rows), at_foot=True)

    def _help_pages(self) -> list[list[str]]:
        columns, rows = self.screen.picture_size
        keys = [
            (action.label or _KEY_NAMES.get(key, key), action.help)
            for key, action in self._actions.items()
            if action.help and action.works()
        ]
        about = f"{self.display.columns}x{self.display.rows}, {self.display.describe()}"
        return help_pages(keys, about, max(1, columns - _BOX_MARGIN), rows)
