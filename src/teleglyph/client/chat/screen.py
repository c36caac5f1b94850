"""The chat on a terminal: what comes is printed above the line that is being typed, which stays as it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import termios
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import wcwidth
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.history import History
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput, Processor, Transformation, TransformationInput
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from teleglyph.client.chat.conversation import COMMANDS
from teleglyph.client.chat.formatting import Message, TerminalText
from teleglyph.client.terminal.capabilities import Terminal, terminal_size
from teleglyph.console import write_text

PROMPT = "> "
_HISTORY_LINES = 500
_HISTORY_BYTES = 1 << 20
_HISTORY_LINE = 10_000
"""Characters of a line that is kept; longer ones are not."""
_TYPED = 100
"""Lines that may wait to be looked at."""
_RESTORE = "\x1b[?2004l\x1b[0m\x1b[?25h\n"


class ChatScreen:
    """A line editor below the conversation.

    Args:
        terminal: what it can show.
        history: a file for the lines that were typed; None keeps them in memory.
        names: tells the names that Tab completes.
    """

    def __init__(self, terminal: Terminal, history: Path | None, names: Callable[[], Iterable[str]]) -> None:
        self._text = TerminalText(terminal.color, utf8=terminal.utf8, columns=lambda: terminal_size(os.environ)[0])
        self._names = names
        self._lines: asyncio.Queue[str] = asyncio.Queue(_TYPED)
        self._saved: list[Any] = termios.tcgetattr(0)
        self._was_blocking = os.get_blocking(0)
        self._buffer = Buffer(history=LineHistory(history), accept_handler=self._accept, multiline=False)
        self._app: Application[None] = Application(
            layout=Layout(
                Window(
                    BufferControl(self._buffer, input_processors=[_Clusters(), BeforeInput(PROMPT)]),
                    wrap_lines=True,
                    dont_extend_height=True,
                )
            ),
            key_bindings=self._keys(),
            output=Vt100_Output(
                sys.stdout,
                lambda: Size(columns=terminal_size(os.environ)[0], rows=terminal_size(os.environ)[1]),
                term=os.environ.get("TERM"),
                enable_bell=False,
                # Late answers about the cursor would be taken for typed text.
                enable_cpr=False,
            ),
            input=create_input(sys.stdin),
            color_depth=ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
        )

    # --- what is shown --------------------------------------------------------------------------------

    def message(self, message: Message) -> None:
        """Show a message."""
        self._print(self._text.message(message))

    def notice(self, text: str) -> None:
        """Show something that the program has to say."""
        self._print(self._text.notice(text))

    def coming(self, text: str, at: float) -> None:
        """Show that somebody joined or left."""
        self._print(self._text.notice(text, at))

    def _print(self, text: str) -> None:
        if not self._app.is_running:
            write_text(text)
            return
        # The terminal stays in raw mode meanwhile, so that nothing of what is being typed is echoed in between.
        self._app.renderer.erase()
        write_text(text)
        self._app.invalidate()

    # --- what is typed --------------------------------------------------------------------------------

    async def lines(self) -> AsyncIterator[str]:
        """What the user types, line by line, until Ctrl-C, or Ctrl-D on an empty line.

        A paste of several lines is one line with line feeds.
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
                # Signals are the caller's, and so are exceptions.
                await self._app.run_async(handle_sigint=False, set_exception_handler=False)
        finally:
            os.set_blocking(0, self._was_blocking)

    def restore(self) -> None:
        """Give the terminal back at once; for a process that is about to end."""
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, self._saved)
            os.set_blocking(0, self._was_blocking)
            write_text(_RESTORE)

    def _accept(self, buffer: Buffer) -> bool:
        text = "".join(
            letter for letter in buffer.text.expandtabs(4) if letter == "\n" or (letter >= " " and letter != "\x7f")
        )
        if self._lines.full():
            return True  # The line stays where it is, to be sent later.
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

        # The library moves and deletes by code points, which tears emoji and letters with marks apart.
        @keys.add("left")
        @keys.add("c-b")
        def _(_event: KeyPressEvent) -> None:
            self._buffer.cursor_left(len(self._cluster_before()))

        @keys.add("right")
        @keys.add("c-f")
        def _(_event: KeyPressEvent) -> None:
            self._buffer.cursor_right(len(self._cluster_after()))

        @keys.add("backspace")
        def _(_event: KeyPressEvent) -> None:
            # At the start of a row, the line feed before it.
            self._buffer.delete_before_cursor(len(self._cluster_before()) or 1)

        @keys.add("delete")
        @keys.add("c-d", filter=Condition(lambda: bool(self._buffer.text)))
        def _(_event: KeyPressEvent) -> None:
            self._buffer.delete(len(self._cluster_after()) or 1)

        @keys.add("tab")
        def _(_event: KeyPressEvent) -> None:
            self._complete()

        return keys

    def _cluster_before(self) -> str:
        *_, last = "", *wcwidth.iter_graphemes(self._buffer.document.current_line_before_cursor)
        return last

    def _cluster_after(self) -> str:
        return next(iter(wcwidth.iter_graphemes(self._buffer.document.current_line_after_cursor)), "")

    def _complete(self) -> None:
        """Complete a command at the start of the line or a name anywhere; shows the choices if there are several."""
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
            self.notice(", ".join(choices))


class _Clusters(Processor):
    """Shows an emoji of several characters as its first one while it is edited.

    Terminals disagree about the width of the whole, and the cursor would be drawn in the wrong place.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        text = fragment_list_to_text(transformation_input.fragments)
        if text.isascii():
            return Transformation(transformation_input.fragments)
        shown = ""
        places: list[int] = []  # Where each character of the source is shown.
        for cluster in wcwidth.iter_graphemes(text):
            short = _short(cluster)
            places += [len(shown) + min(index, len(short)) for index in range(len(cluster))]
            shown += short
        places.append(len(shown))
        last = len(places) - 1
        return Transformation(
            [("", shown)],
            source_to_display=lambda index: places[min(index, last)] + max(0, index - last),
            display_to_source=lambda index: min(bisect_left(places, index), last),
        )


def _short(cluster: str) -> str:
    if "\U0001f1e6" <= cluster[0] <= "\U0001f1ff":
        return "\N{WHITE SQUARE}"  # Half of a flag has another width everywhere.
    if len(cluster) > 1 and any(
        character in "\u200d\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff" for character in cluster
    ):
        return cluster[0]
    return cluster


class LineHistory(History):
    """Typed lines in a file that only its owner can read, the oldest of too many dropped.

    A file that cannot be read or written is done without.  Lines with an invitation's code are not kept in it.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self._path = path
        self._kept = 0

    def load_history_strings(self) -> Iterable[str]:
        """The lines, the newest first."""
        lines = self._read()
        self._kept = len(lines)
        return reversed(lines)

    def store_string(self, string: str) -> None:
        """Add a line."""
        if self._path is None or len(string) > _HISTORY_LINE or string.lstrip().lower().startswith("/join"):
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._kept >= 2 * _HISTORY_LINES:
                lines = self._read()[-_HISTORY_LINES:]
                draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
                self._write(draft, os.O_TRUNC, lines)
                draft.replace(self._path)
                self._kept = len(lines)
            self._write(self._path, os.O_APPEND, [string])
            self._kept += 1

    @staticmethod
    def _write(path: Path, flag: int, lines: Iterable[str]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        lines = []
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _HISTORY_BYTES))
            for row in file.read(_HISTORY_BYTES).splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    if isinstance(line := json.loads(row), str):
                        lines.append(line[:_HISTORY_LINE])
        return lines[-2 * _HISTORY_LINES :]
