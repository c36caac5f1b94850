"""The interface of an interactive command: screen, keys, status line, messages and help."""

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
from teleglyph.client.terminal.drawing import box_columns
from teleglyph.client.terminal.keyboard import Keyboard
from teleglyph.client.terminal.screen import Screen
from teleglyph.client.terminal.text_box import help_pages, wrap_lines
from teleglyph.printable import width

_STATUS_SECONDS = 0.5
_MESSAGE_SECONDS = 5.0
_MAX_STEPS = 8
"""More than there are colour levels, modes or palettes."""
_KEY_NAMES = {"up": "Up", "down": "Down", "left": "Left", "right": "Right", "space": "Space"}


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class KeyAction:
    """The action of a key.

    Attributes:
        help: text in the help; empty if another key's text covers it.
        run: performs the action, or shows why it is unavailable.
        label: the key's name in the help; empty for the key itself.
        works: whether the action is available; the help lists only these.
    """

    help: str
    run: Callable[[], None]
    label: str = ""
    works: Callable[[], bool] = _always


class Interface:
    """Owns the terminal of an interactive command; an async context manager.

    Args:
        terminal: what the terminal can do.
        display: how frames are drawn at first.
        fixed_size: columns and rows set by the user; 0 means the window's.
        stop: set when the user leaves.
        on_display: called when size, colours, mode or palette change.
        actions: further keys.
        status: returns the status line's text; called a few times per second.
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
        self._fixed_size = fixed_size
        self._stop = stop
        self._on_display = on_display
        self._status = status
        self._notice: tuple[str, ...] = ()
        self._hint: tuple[str, ...] = ()
        self._help_page = 0
        """The visible page of the help, from 1; 0 for none."""
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

    def show_notice(self, *lines: str) -> None:
        """Show lines over the picture until they are replaced; without lines, remove them."""
        self._notice = lines
        self._show_overlay()

    def show_hint(self, *lines: str) -> None:
        """Show lines at the foot of the picture when there is no message or notice; without lines, remove them."""
        self._hint = lines
        self._show_overlay()

    def show_message(self, text: str) -> None:
        """Show a sentence for a few seconds: on the status line if it fits, otherwise in a box over the picture."""
        self._message, self._message_until = text, time.monotonic() + _MESSAGE_SECONDS
        self._show_overlay()
        self.refresh()

    def hide_message(self) -> None:
        """Remove the message, because the status line has something more important."""
        self._message = ""
        self._show_overlay()

    @property
    def columns(self) -> int:
        """The width of the window."""
        return self.screen.picture_size[0]

    def refresh(self) -> None:
        """Update the status line."""
        if self._message and time.monotonic() >= self._message_until:
            self._message = ""
            self._show_overlay()
        if self._help_page:
            self._show_overlay()  # other keys may work now
        status = self._status()
        fits = bool(self._message) and self._fits_status(self._message)
        self.screen.set_status(f" {self._message}" if fits else status)

    async def _tick(self) -> None:
        while True:
            self.refresh()
            await asyncio.sleep(_STATUS_SECONDS)

    def _fit(self, display: Display) -> Display:
        columns, rows = self.screen.picture_size
        return display.resized(self._fixed_size[0] or columns, self._fixed_size[1] or rows)

    def _change(self, display: Display) -> None:
        self.display = self._fit(display)
        self._on_display(self.display)
        self._show_overlay()
        self.refresh()

    def _resized(self) -> None:
        self.screen.resize(*terminal_size(os.environ))
        self._change(self.display)

    def _suspend(self) -> None:
        """Handle Ctrl-Z: return the terminal to the shell until the program continues."""
        self.screen.leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.screen.enter()
        self._resized()

    def _press(self, keys: Sequence[str]) -> None:
        for key in keys:
            if key == "escape":
                # Escape never leaves: a slow network may split another key's sequence after its first byte.
                if self._help_page:
                    self._close_help()
            elif key == "ctrl-c":
                # The terminal driver turns it into a signal, unless the terminal uses kitty's protocol.
                self._stop.set()
            elif action := self._actions.get(key):
                action.run()
                self.refresh()
            else:
                self.show_message(f"{_KEY_NAMES.get(key, key)} does nothing here; ? shows the keys.")

    # --- colours, mode and palette -----------------------------------------------------------------------

    def _next(self, step: Callable[[Display], Display]) -> Display | None:
        """The next display that looks different; None if there is none."""
        candidate = self.display
        for _ in range(_MAX_STEPS):
            candidate = step(candidate)
            if candidate.describe() != self.display.describe():
                return candidate
        return None

    def _switch(self, step: Callable[[Display], Display], why_not: str) -> None:
        changed = self._next(step)
        if changed is None:
            self.show_message(why_not)
            return
        self._change(changed)
        description = changed.describe()
        if description not in self._status():
            self.show_message(description)

    def _next_color(self) -> None:
        self._switch(Display.next_color, "This terminal has no other colours.")

    def _next_render(self) -> None:
        self._switch(Display.next_render, "No other mode works with these colours; c changes the colours.")

    def _next_palette(self) -> None:
        self._switch(Display.next_palette, "Only foreground mode uses a palette; r changes the mode.")

    # --- boxes -------------------------------------------------------------------------------------------

    def _turn_help(self) -> None:
        """Open the help, show its next page, or close it after the last page."""
        self._help_page = (self._help_page + 1) % (len(self._help_pages()) + 1)
        self._show_overlay()

    def _close_help(self) -> None:
        self._help_page = 0
        self._show_overlay()

    def _fits_status(self, text: str) -> bool:
        return width(text) + 2 <= self.columns and self.screen.has_status

    def _show_overlay(self) -> None:
        columns, rows = self.screen.picture_size
        room = max(1, box_columns(columns))
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
        return help_pages(keys, about, max(1, box_columns(columns)), rows)
