"""``teleglyph config``: what is configured, and whether it can be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from teleglyph.cli.config_file import (
    GROUPS,
    SECRETS,
    chosen_file,
    commands,
    examine,
    is_flag,
    load,
    options_of,
    places,
    takes_many,
    user_file,
)
from teleglyph.console import echo
from teleglyph.errors import ConfigurationError

_ARGUMENT = "IPv4 and IPv6 addresses that the server listens on; without any only this machine can connect."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def config() -> None:
    """See, check and begin the configuration file.

    Flags win over environment variables, those over the file, and the file over the defaults.
    """


@config.command()
def path() -> None:
    """Print the files that are looked for, the most important one last."""
    for place in places():
        echo(f"{place}" + ("" if place.is_file() else "  (not there)"))


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(file: Path | None) -> int:
    """Say everything that is wrong with FILE, with the file that --config names, or with all files that are used."""
    named = file or chosen_file(sys.argv[1:])
    chosen = [named] if named else [place for place in places() if place.is_file()]
    if not chosen:
        echo(f"There is no configuration; 'teleglyph config create' begins {user_file()}.")
        return 0
    examined = [examine(place) for place in chosen]
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
@click.option("--config", "file", type=click.Path(path_type=Path), help="Only this file.")
def show(file: Path | None) -> None:
    """Print every setting with its value and where it comes from; secrets are not shown."""
    settings = load(file or chosen_file(sys.argv[1:]))
    for group, names in GROUPS.items():
        echo(f"[{group}]")
        for name, option in _options(names):
            source = "default"
            value = _default(option)
            if name in settings:
                value, source = settings[name].value, str(settings[name].place)
            variable = str(option.envvar or f"TELEGLYPH_{str(option.name).upper()}")
            if found := os.environ.get(variable):
                value, source = found, f"${variable}"
            if name in SECRETS and source != "default":
                value = "(not shown)"
            echo(f"{name} = {_toml(value)}  # {source}")
        echo()


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def create(file: Path | None) -> None:
    """Begin a file with every setting and its meaning, all commented out; FILE may be '-' for standard output."""
    text = "\n".join(_template()) + "\n"
    if file is not None and str(file) == "-":
        echo(text, end="")
        return
    target = file or user_file()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigurationError(f"'{target}' exists already; name another file, or '-'") from None
    except OSError as error:
        raise ConfigurationError(f"'{target}' cannot be written: {error.strerror}") from error
    echo(f"{target} is there; take the '#' away from what you want to set.")


def _default(option: click.Parameter) -> Any:
    """What holds without any word about it; nothing for what is found out when the program runs."""
    if is_flag(option):
        return option.default is True
    if takes_many(option):
        return []
    return option.default if isinstance(option.default, str | int | float) else ""


def _options(names: tuple[str, ...]) -> Iterator[tuple[str, click.Parameter]]:
    known: dict[str, click.Parameter] = {}
    for command in commands().values():
        known = {**options_of(command), **known}
    for name in names:
        yield name, known[name]


def _template() -> Iterator[str]:
    yield "# Teleglyph's configuration. Flags and environment variables win over what stands here."
    for group, names in GROUPS.items():
        yield f"\n[{group}]"
        for name, option in _options(names):
            yield f"# {' '.join((getattr(option, 'help', None) or _ARGUMENT).split())}"
            yield f"# {name} = {_toml(_default(option))}"


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
