"""The terminal while a command draws on it: screen, keys, size, status line and help."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from teleglyph.client.display import Display
from teleglyph.client.keyboard import Keyboard
from teleglyph.client.screen import Screen
from teleglyph.client.terminal import Terminal, terminal_size

_STATUS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class KeyAction:
    """What a key does; without a help text it is not listed."""

    help: str
    run: Callable[[], None]


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
            *terminal_size(os.environ), synchronized=terminal.synchronized, input_fd=0 if terminal.has_keys else None
        )
        self._keyboard = Keyboard(self._press, stop.set) if terminal.has_keys else None
        self._fixed = fixed_size
        self._stop = stop
        self._on_display = on_display
        self._status = status
        self._notice: tuple[str, ...] = ()
        self._hint: tuple[str, ...] = ()
        self._help = False
        self._actions = {
            "q": KeyAction("quit", stop.set),
            "c": KeyAction("colours", lambda: self._change(self.display.next_color())),
            "r": KeyAction("render mode", lambda: self._change(self.display.next_render())),
            "p": KeyAction("palette", lambda: self._change(self.display.next_palette())),
            "?": KeyAction("this help", self._toggle_help),
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

    def refresh(self) -> None:
        """Show the status line as it is now."""
        self.screen.set_status(self._status())

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
                if not self._help:
                    self._stop.set()
                    return
                self._toggle_help()
            elif action := self._actions.get(key):
                action.run()
                self.refresh()

    def _toggle_help(self) -> None:
        self._help = not self._help
        self._show_overlay()

    def _show_overlay(self) -> None:
        lines = self._help_lines() if self._help else self._notice
        self.screen.set_overlay(lines or self._hint, at_foot=not lines)

    def _help_lines(self) -> list[str]:
        names = {"up": "Up", "down": "Down", "left": "Left", "right": "Right", "space": "Space"}
        lines = [f"{names.get(key, key):>5}  {action.help}" for key, action in self._actions.items() if action.help]
        return ["", *lines, "", f"{self.display.columns}x{self.display.rows}, {self.display.describe()}", ""]
