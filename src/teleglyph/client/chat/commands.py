"""Parse the user's lines: messages, and commands that begin with a slash."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from teleglyph.client.chat.formatting import quoted


class CommandHelp(NamedTuple):
    """A command's arguments and its purpose.

    Attributes:
        arguments: for the usage.
        purpose: for the help.
        min_words, max_words: number of arguments; None for no maximum.
    """

    arguments: str
    purpose: str
    min_words: int
    max_words: int | None


COMMANDS = {
    "/who": CommandHelp("", "shows who is here", 0, 0),
    "/reply": CommandHelp("NUMBER TEXT", "answers a message", 2, None),
    "/name": CommandHelp("NAME", "changes your name", 1, None),
    "/join": CommandHelp("[CODE]", "joins a closed group", 0, 1),
    "/help": CommandHelp("", "shows the commands", 0, 0),
    "/quit": CommandHelp("", "leaves", 0, 0),
}
_NAME_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A message to send."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A valid command.

    Attributes:
        name: a key of :data:`COMMANDS`.
        words: its arguments.
        rest: the arguments as one text.
    """

    name: str
    words: Sequence[str]
    rest: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """An invalid command.

    Attributes:
        notice: explains it to the user.
    """

    notice: str


def parse_line(line: str) -> Text | Command | Mistake:
    """Parse a line that is not blank."""
    start = line.lstrip()
    if start.startswith("//"):
        return Text(start[1:].rstrip())
    if not start.startswith("/"):
        return Text(line.rstrip())
    first, *words = start.split()
    name = "/quit" if first.lower() == "/q" else first.lower()
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        return Mistake(
            f"There is no command {quoted(first, 30)}, so nothing was sent.{hint} "
            "/help shows the commands; // at the start sends a slash."
        )
    command = COMMANDS[name]
    if len(words) < command.min_words or (command.max_words is not None and len(words) > command.max_words):
        return Mistake(usage(name))
    return Command(name, words, start[len(first) :].strip())


def usage(name: str) -> str:
    """A command's usage."""
    return f"Usage: {f'{name} {COMMANDS[name].arguments}'.strip()} ({COMMANDS[name].purpose})."


def help_lines() -> list[str]:
    """The help, one line per command."""
    lines = [f"{name} {command.arguments}".ljust(_NAME_COLUMNS) + command.purpose for name, command in COMMANDS.items()]
    return [*lines, "Everything else is sent as a message. // at the start sends a slash."]
