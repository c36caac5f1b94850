"""``teleglyph config``: shows, checks and creates the configuration file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from teleglyph.cli.call_room_tables import CALL_ROOM, KEYS, table_name
from teleglyph.cli.config_file import SECRETS, Configuration, chosen_file, is_flag, places, takes_many, user_file
from teleglyph.console import echo
from teleglyph.errors import ConfigurationError, reason_of


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def config() -> None:
    """Show, check or create the configuration file.

    Flags override environment variables, which override the file.
    """


@config.command()
def path() -> None:
    """Print the files that are read; later ones override earlier ones."""
    for place in places():
        echo(f"{place}" + ("" if place.is_file() else "  (not there)"))


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path | None) -> int:
    """List everything that is wrong with FILE.

    Without FILE, check the file that --config names, or all files that are read.
    """
    configuration = _configuration(ctx)
    named = file or chosen_file(sys.argv[1:])
    chosen = [named] if named else [place for place in places() if place.is_file()]
    if not chosen:
        echo(f"There is no configuration file. Run 'teleglyph config create' to create {user_file()}.")
        return 0
    examined = [configuration.examine(place) for place in chosen]
    faults = [fault for _, found in examined for fault in found]
    for fault in faults:
        echo(fault, err=True)
    where = ", ".join(map(str, chosen))
    if faults:
        raise ConfigurationError(f"{where}: {len(faults)} fault{'s' if len(faults) > 1 else ''}.")
    count = sum(len(settings) for settings, _ in examined)
    echo(f"{where}: {count} setting{'' if count == 1 else 's'}, no faults.")
    return 0


@config.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="Read only this file.")
@click.pass_context
def show(ctx: click.Context, file: Path | None) -> None:
    """Print every setting with its value and origin; secrets are hidden."""
    configuration = _configuration(ctx)
    settings = configuration.load(file or chosen_file(sys.argv[1:]))
    for table, options in configuration.tables.items():
        echo(f"[{table}]")
        for name, option in options.items():
            source = "default"
            value = _default(option)
            if name in settings:
                value, source = settings[name].value, str(settings[name].place)
            if found := os.environ.get(option.envvar):
                value, source = found, f"${option.envvar}"
            if name in SECRETS and source != "default":
                value = "(not shown)"
            echo(f"{name} = {_toml(value)}  # {source}")
        echo()
    for setting in settings.values():
        if setting.table == CALL_ROOM:
            echo(f"[{table_name(setting.name.removeprefix(f'{CALL_ROOM}.'))}]  # {setting.place}")
            for name, value in setting.value.items():
                echo(f"{name} = {_toml('(not shown)' if name in SECRETS else value)}")
            echo()


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_context
def create(ctx: click.Context, file: Path | None) -> None:
    """Create a file with every setting commented out.

    FILE may be '-' for standard output.
    """
    text = "\n".join(_template(_configuration(ctx))) + "\n"
    if file is not None and str(file) == "-":
        echo(text, end="")
        return
    target = file or user_file()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigurationError(f"'{target}' already exists. Choose another file, or '-' to print it.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot write '{target}': {reason_of(error)}.") from error
    echo(f"Created {target}. Remove the '#' from the settings you want to change.")


def _configuration(ctx: click.Context) -> Configuration:
    return Configuration(ctx.find_root().command)


def _default(option: click.Parameter) -> Any:
    """An option's default; empty for one that is only known when the program runs."""
    if is_flag(option):
        return option.default is True
    if takes_many(option):
        return []
    return option.default if isinstance(option.default, str | int | float) else ""


def _template(configuration: Configuration) -> Iterator[str]:
    yield "# Teleglyph's configuration. Flags and environment variables override these settings."
    for table, options in configuration.tables.items():
        yield f"\n[{table}]"
        for name, option in options.items():
            yield f"# {' '.join(option.comment.split())}"
            yield f"# {name} = {_toml(_default(option))}"
    yield "\n# A call room with its own password or keys. Every room has a table like this, with its own name."
    yield f"# [{table_name('example')}]"
    for name, meaning in KEYS.items():
        yield f"# {meaning}"
        yield f"# {name} = {_toml([] if name == 'client_keys' else '')}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if not isinstance(value, str):
        return '""'
    return json.dumps(value, ensure_ascii=False)
