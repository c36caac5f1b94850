"""The user's lines: messages, commands and mistakes."""

import pytest

from teleglyph.client.chat.commands import COMMANDS, Command, Mistake, Text, help_lines, parse_line


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("hello  ", Text("hello")),
        ("  indented", Text("  indented")),
        ("//slash", Text("/slash")),
        ("/q", Command("/quit", [], "")),
        (" /WHO ", Command("/who", [], "")),
        ("/reply 3  two  words", Command("/reply", ["3", "two", "words"], "3  two  words")),
        ("/join", Command("/join", [], "")),
        ("/join code", Command("/join", ["code"], "code")),
    ],
)
def test_lines_are_messages_or_commands(line: str, parsed: Text | Command) -> None:
    assert parse_line(line) == parsed


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("/etc/passwd", "There is no command “/etc/passwd”, so nothing was sent. /help"),
        ("/repli 1 x", "Did you mean /reply?"),
        ("/who me", "Usage: /who (shows who is here)."),
        ("/reply 1", "Usage: /reply NUMBER TEXT (answers a message)."),
        ("/join a b", "Usage: /join [CODE]"),
    ],
)
def test_mistakes_are_explained(line: str, notice: str) -> None:
    parsed = parse_line(line)
    assert isinstance(parsed, Mistake)
    assert notice in parsed.notice


def test_the_help_lists_every_command() -> None:
    assert all(any(line.startswith(command) for line in help_lines()) for command in COMMANDS)
