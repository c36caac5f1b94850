"""Format messages and notices as lines that cannot imitate each other.

Only notices and a message's first row begin at the left edge.  The rest of a message is indented, and wrapped here, not
by the terminal.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import wcwidth

from teleglyph.media.modes import ColorLevel
from teleglyph.printable import Printable, fit, printable, width

_INDENT, _NARROW_INDENT = 10, 5
"""Columns; more than the two before a message's number, so that an indented row never looks like a message."""
_NARROW = 40
"""In narrower windows, texts are indented less."""
_PIPE_INDENT = 5
_MIN_COLUMNS = 9
_MAX_ROWS = 200
"""Visible rows of one message."""
_MAX_CHARACTERS = 16_000
"""Visible characters of one message."""
_MAX_TIME = 253_402_000_000
"""Late in the year 9999, the last time that every part of the C library can print."""
_WORD = re.compile(r" *[^ ]+| +$")
_MANY_COLORS = (31, 34, 37, 65, 97, 99, 131, 133, 136, 161, 166, 167, 169, 172, 67, 71)
"""Those of the 256 colours that are readable on black and on white."""
_FEW_COLORS = (31, 32, 33, 35, 36, 91, 92, 93, 95, 96)
_DIM, _BOLD, _NORMAL = "\x1b[2m", "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to display.

    Attributes:
        number: counts messages from 1, for ``/reply``.
        at: Unix seconds, according to the author.
        author: public key, 64 hexadecimal digits.
        name: the author's name.
        text: as received.
        answers: number of the message that it answers, if known.
        is_own: the user wrote it.
    """

    number: int
    at: int
    author: str
    name: Printable
    text: str
    answers: int | None = None
    is_own: bool = False


class PipeFormatter:
    """Formats for pipes and files: without colours or wrapping; the first line of a message begins with its number."""

    def format_message(self, message: Message) -> str:
        """The lines of a message, each with a line feed."""
        first, *rest = _lines(message.text)
        indent = " " * _PIPE_INDENT
        return f"{_head(message)}{first}\n" + "".join(f"{indent}{line}\n" for line in rest)

    def format_notice(self, text: str) -> str:
        """The line of a notice."""
        return f"* {printable(text)}\n"


class TerminalFormatter:
    """Formats for a terminal.

    Args:
        color: the highest colour level to use.
        utf8: the terminal shows UTF-8.
        columns: returns its current width.
    """

    def __init__(self, color: ColorLevel, *, utf8: bool, columns: Callable[[], int]) -> None:
        self._color = color
        self._utf8 = utf8
        self._columns = columns
        self._date = ""

    def format_message(self, message: Message) -> str:
        """The rows of a message, preceded by the date if it has changed."""
        head = self._encodable(_head(message))
        columns, indent = self._measures()
        first, *rest = (self._encodable(line) for line in _lines(message.text))
        rows = list(_wrap(head + first, columns, columns - indent))
        for line in rest:
            if len(rows) > _MAX_ROWS:
                break
            rows += _wrap(line, columns - indent, columns - indent)
        if len(rows) > _MAX_ROWS:
            rows = [*rows[: _MAX_ROWS - 1], "[the rest of this long message is not shown]"]
        rows = [rows[0], *(" " * indent + row for row in rows[1:])]
        if rows[0].startswith(head) and self._color != ColorLevel.NONE:
            rows[0] = self._colored(message, head) + rows[0][len(head) :]
        return self.format_date(message.at) + "".join(f"{row}\n" for row in rows)

    def format_notice(self, text: str, at: float | None = None) -> str:
        """The rows of a notice, with a time if it has one."""
        line = self._encodable(printable(text) if at is None else f"{_clock(at)} {printable(text)}")
        columns, indent = self._measures()
        rows = f"\n{' ' * indent}".join(_wrap(line, columns - 2, columns - indent))
        rows = f"* {rows}" if self._color == ColorLevel.NONE else f"{_DIM}* {rows}{_NORMAL}"
        return f"{'' if at is None else self.format_date(at)}{rows}\n"

    def format_date(self, at: float) -> str:
        """A row with the date; empty if it has not changed."""
        date = _strftime("%A %d %B %Y", at)
        if date == self._date:
            return ""
        self._date = date
        return self.format_notice(date)

    def _measures(self) -> tuple[int, int]:
        """The usable columns, and the columns of indentation."""
        columns = max(_MIN_COLUMNS, self._columns() - 1)  # Terminals disagree about some widths by one.
        return columns, _INDENT if columns >= _NARROW else _NARROW_INDENT

    def _colored(self, message: Message, head: str) -> str:
        name = self._encodable(message.name)
        before, after = head.split(name, 1) if name in head else (head, "")
        number = int(message.author[:8], 16)
        if self._color >= ColorLevel.ANSI256:
            style = f"\x1b[38;5;{_MANY_COLORS[number % len(_MANY_COLORS)]}m"
        else:
            style = f"\x1b[{_FEW_COLORS[number % len(_FEW_COLORS)]}m"
        if message.is_own:
            style += _BOLD
        return f"{_DIM}{before}{_NORMAL}{style}{name}{_NORMAL}{after}"

    def _encodable(self, text: str) -> str:
        return text if self._utf8 else text.encode("ascii", "replace").decode()


def quoted(text: str, columns: int = 60) -> str:
    """The beginning of a text in quotation marks, for a notice about it."""
    line = printable(text)
    short = fit(line, columns)
    return f"“{short}”" if len(short) == len(line) else f"“{short}…”"


def _head(message: Message) -> str:
    answers = "" if message.answers is None else f" (to {message.answers})"
    return f"{message.number:>3} {_clock(message.at)} {message.name}{answers}: "


def _lines(text: str) -> list[str]:
    return printable(text[:_MAX_CHARACTERS].strip(), lines=True).split("\n")


def _clock(at: float) -> str:
    return _strftime("%H:%M", at)


def _strftime(form: str, at: float) -> str:
    return time.strftime(form, time.localtime(min(max(0, at), _MAX_TIME)))


def _wrap(line: str, first: int, others: int) -> Iterator[str]:
    """Wrap a line between words if possible, and never within a grapheme.

    ``first`` and ``others`` are the columns of the first row and of the others.
    """
    row, used, room = "", 0, first
    for word in _WORD.findall(line) or [""]:
        columns = width(word)
        if used + columns <= room:
            row, used = row + word, used + columns
            continue
        if row:
            yield row
            row, used, room = "", 0, others
            word = word.lstrip(" ")  # noqa: PLW2901 - what is left of it
        for grapheme in wcwidth.iter_graphemes(word):
            columns = width(grapheme)
            if used + columns > room and row:
                yield row
                row, used, room = "", 0, others
            row, used = row + grapheme, used + columns
    yield row
