"""Options declared as fields of dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

import click
import pytest
from click.core import ParameterSource
from click.testing import CliRunner

from teleglyph.cli.option_groups import Configurable, argument, option, source_of, with_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    addresses: tuple[str, ...] = argument(table="network", comment="Where to listen.", nargs=-1)
    side: int = option("--side", type=click.IntRange(1), default="3")
    port: int = option("-p", "--http-port", table="network", type=int, default=80, help="Where HTTP is.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    names: tuple[str, ...] = option("--name", table="network", multiple=True)
    is_short: bool = option("--short", is_flag=True)


def run(*words: str, **environment: str) -> tuple[Listening, Naming, ParameterSource | None]:
    """The groups that a command gets, and where its port came from."""
    seen: list[tuple[Listening, Naming, ParameterSource | None]] = []

    @click.command()
    @with_options(listening=Listening, naming=Naming)
    def command(listening: Listening, naming: Naming) -> None:
        seen.append((listening, naming, source_of("port")))

    done = CliRunner().invoke(command, words, env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return seen[0]


def test_a_command_gets_one_object_for_each_group() -> None:
    found = run("::", "--http-port", "8080", "--name", "a", "--name", "b", "--short")
    assert found[0] == Listening(addresses=("::",), port=8080)
    assert found[1] == Naming(names=("a", "b"), is_short=True)
    assert found[2] is ParameterSource.COMMANDLINE


def test_the_environment_variable_follows_from_the_flag() -> None:
    listening, naming, source = run(TELEGLYPH_HTTP_PORT="8081", TELEGLYPH_NAME="c", TELEGLYPH_ADDRESSES="a b")
    assert (listening.port, listening.addresses, naming.names) == (8081, ("a", "b"), ("c",))
    assert source is ParameterSource.ENVIRONMENT


def test_an_object_without_values_has_the_defaults() -> None:
    assert Listening() == run()[0] == Listening(addresses=(), port=80)
    assert Naming() == run()[1]


@pytest.mark.parametrize(
    ("name", "table", "key", "comment"),
    [
        ("addresses", "network", "addresses", "Where to listen."),
        ("port", "network", "http_port", "Where HTTP is."),
        ("names", "network", "name", ""),
    ],
)
def test_an_option_with_a_table_has_its_key_in_the_file(name: str, table: str, key: str, comment: str) -> None:
    command = click.command()(with_options(listening=Listening, naming=Naming)(lambda **_: None))
    found = next(each for each in command.params if each.name == name)
    assert isinstance(found, Configurable)
    assert (found.table, found.key, found.comment) == (table, key, comment)


def test_a_group_that_is_made_by_hand_has_the_defaults_of_the_command() -> None:
    assert Listening() == run()[0]
    assert Listening().side == 3
