"""Chat on a terminal: messages appear above the line that is being typed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import ColorDepth

from teleglyph.client.chat.commands import COMMANDS
from teleglyph.client.chat.formatting import Message, TerminalFormatter
from teleglyph.client.chat.graphemes import GraphemeProcessor, grapheme_after, grapheme_before
from teleglyph.client.chat.line_history import LineHistory
from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.client.terminal.toolkit_output import toolkit_output
from teleglyph.console import write_text

PROMPT = "> "
_MAX_WAITING = 100
"""Typed lines that may wait to be handled."""
_RESTORE = "\x1b[?2004l\x1b[0m\x1b[?25h\n"


class ChatScreen:
    """A line editor below the conversation.

    Args:
        terminal: what it can show.
        history: a file for typed lines; None keeps them in memory.
        names: returns the names that Tab completes.
    """

    def __init__(self, terminal: Terminal, history: Path | None, names: Callable[[], Iterable[str]]) -> None:
        self._formatter = TerminalFormatter(
            terminal.color, utf8=terminal.utf8, columns=lambda: terminal_size(os.environ)[0]
        )
        self._names = names
        self._lines: asyncio.Queue[str] = asyncio.Queue(_MAX_WAITING)
        self._saved: list[Any] = termios.tcgetattr(0)
        self._was_blocking = os.get_blocking(0)
        self._buffer = Buffer(history=LineHistory(history), accept_handler=self._accept, multiline=False)
        self._app: Application[None] = Application(
            layout=Layout(
                Window(
                    BufferControl(self._buffer, input_processors=[GraphemeProcessor(), BeforeInput(PROMPT)]),
                    wrap_lines=True,
                    dont_extend_height=True,
                )
            ),
            key_bindings=self._keys(),
            output=toolkit_output(),
            input=create_input(sys.stdin),
            color_depth=ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
        )

    # --- display --------------------------------------------------------------------------------------

    def show_message(self, message: Message) -> None:
        """Show a message."""
        self._print(self._formatter.format_message(message))

    def show_notice(self, text: str) -> None:
        """Show a notice from the program."""
        self._print(self._formatter.format_notice(text))

    def show_arrival(self, text: str, at: float) -> None:
        """Show that people joined, left or changed their name."""
        self._print(self._formatter.format_notice(text, at))

    def _print(self, text: str) -> None:
        if not self._app.is_running:
            write_text(text)
            return
        # The terminal stays in raw mode, so that no typed character is echoed in between.
        self._app.renderer.erase()
        write_text(text)
        self._app.invalidate()

    # --- line editor ----------------------------------------------------------------------------------

    async def lines(self) -> AsyncIterator[str]:
        """The typed lines, until Ctrl-C, or Ctrl-D on an empty line.

        A paste of several lines becomes one line with line feeds.
        """
        loop = asyncio.get_running_loop()
        editing = loop.create_task(self._edit(), name="line editor")
        try:
            while True:
                typed = loop.create_task(self._lines.get())
                await asyncio.wait([typed, editing], return_when=asyncio.FIRST_COMPLETED)
                if not typed.done():
                    typed.cancel()
                    editing.result()
                    while not self._lines.empty():
                        yield self._lines.get_nowait()
                    return
                yield typed.result()
        finally:
            if not editing.done():
                editing.cancel()
                await asyncio.wait([editing])

    async def _edit(self) -> None:
        try:
            with contextlib.suppress(EOFError):
                # The caller handles signals and exceptions.
                await self._app.run_async(handle_sigint=False, set_exception_handler=False)
        finally:
            os.set_blocking(0, self._was_blocking)

    def restore(self) -> None:
        """Restore the terminal at once, for a process that is about to end."""
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, self._saved)
            os.set_blocking(0, self._was_blocking)
            write_text(_RESTORE)

    def _accept(self, buffer: Buffer) -> bool:
        text = "".join(
            letter for letter in buffer.text.expandtabs(4) if letter == "\n" or (letter >= " " and letter != "\x7f")
        )
        if self._lines.full():
            return True  # Keep the line in the editor, to be sent later.
        self._lines.put_nowait(text)
        return False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        def _(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add("c-d", filter=Condition(lambda: not self._buffer.text))
        def _(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            event.app.suspend_to_background()

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            self._buffer.insert_text("\n")

        # The library moves and deletes by code points, which splits emoji and letters with marks.
        @keys.add("left")
        @keys.add("c-b")
        def _(_event: KeyPressEvent) -> None:
            self._buffer.cursor_left(len(grapheme_before(self._buffer.document)))

        @keys.add("right")
        @keys.add("c-f")
        def _(_event: KeyPressEvent) -> None:
            self._buffer.cursor_right(len(grapheme_after(self._buffer.document)))

        @keys.add("backspace")
        def _(_event: KeyPressEvent) -> None:
            # At the start of a row, delete the line feed before it.
            self._buffer.delete_before_cursor(len(grapheme_before(self._buffer.document)) or 1)

        @keys.add("delete")
        @keys.add("c-d", filter=Condition(lambda: bool(self._buffer.text)))
        def _(_event: KeyPressEvent) -> None:
            self._buffer.delete(len(grapheme_after(self._buffer.document)) or 1)

        @keys.add("tab")
        def _(_event: KeyPressEvent) -> None:
            self._complete()

        return keys

    def _complete(self) -> None:
        """Complete a command at the start of the line, or a name anywhere; show the choices if there are several."""
        before = self._buffer.document.current_line_before_cursor
        word = before.rpartition(" ")[2]
        if not word:
            return
        known = COMMANDS if word == before and word.startswith("/") else self._names()
        choices = sorted({choice for choice in known if choice.lower().startswith(word.lower())})
        if not choices:
            return
        common = os.path.commonprefix(choices) if len(choices) > 1 else f"{choices[0]} "  # noqa: RUF071 - these are not paths
        if len(common) > len(word):
            self._buffer.delete_before_cursor(len(word))
            self._buffer.insert_text(common)
        elif len(choices) > 1:
            self.show_notice(", ".join(choices))
