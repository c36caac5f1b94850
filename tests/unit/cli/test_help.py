"""``teleglyph help``, and ``-h`` everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from teleglyph.cli.main import cli


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group in a group, as the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


ALL = list(commands(cli))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_in_three_ways(path: tuple[str, ...]) -> None:
    runner = CliRunner()
    long, short, asked = (
        runner.invoke(cli, list(words)) for words in ((*path, "--help"), (*path, "-h"), ("help", *path))
    )
    assert [done.exit_code for done in (long, short, asked)] == [0, 0, 0], asked.output
    assert long.output == short.output == asked.output
    assert long.output.startswith(f"Usage: {'cli' if not path else 'cli ' + ' '.join(path)}")


def test_all_commands_are_found() -> None:
    assert ("help",) in ALL
    assert ("known-hosts", "forget") in ALL


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "teleglyph", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_help_without_a_command_is_the_help_of_the_program() -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help").returncode == 0
    assert "\n  help " in run("help").stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("help", "nosuch"), "There is no command 'nosuch'. Commands: server, client,"),
        (("help", "clinet"), "There is no command 'clinet'. Did you mean 'client'?"),
        (("help", "known-hosts", "fogret"), "There is no command 'fogret'. Did you mean 'forget'?"),
        (("help", "client", "nosuch"), "'teleglyph client' has no subcommands."),
        (("help", "\x1b[2J"), "There is no command '"),
        (("hlep",), "Did you mean 'help'?"),
    ],
    ids=repr,
)
def test_help_on_an_unknown_command_is_an_error(words: tuple[str, ...], text: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "\x1b" not in done.stderr
