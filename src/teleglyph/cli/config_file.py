"""The configuration file: where it is, which settings it may have, and what is wrong with one.

Its values become the defaults of the commands' options, so flags and environment variables override them.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from teleglyph import directories
from teleglyph.cli.call_room_tables import CALL_ROOM, read_tables
from teleglyph.cli.option_groups import Configurable
from teleglyph.errors import ConfigurationError, reason_of
from teleglyph.text_file import decode_text

COMMANDS = ("server", "client", "invite", "mirror", "demo")
"""The commands that can be configured."""
TABLES = ("logging", "network", "rooms", "events", "security", "display", "media", "audio")
SECRETS = ("password", "database", "admin_token")
CALL_ROOMS = "call_rooms"
"""The tables of call rooms in the server's ``default_map``, where they are no option's default."""
_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a file, or the table of one call room.

    Attributes:
        table: the table it is in.
        name: its key; for a call room ``call_room.`` and the room's name.
        value: as TOML gives it.
        place: the file.
    """

    table: str
    name: str
    value: Any
    place: Path

    def __str__(self) -> str:
        return f"{self.place}: [{self.table}] {self.name}"


def user_file() -> Path:
    """``teleglyph/config.toml`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "config.toml"


def places() -> list[Path]:
    """All files that are looked for; later ones override earlier ones."""
    systems = directories.system_configurations()
    system_files = [place / "teleglyph" / "config.toml" for place in (Path("/etc"), Path("/usr/local/etc"), *systems)]
    return [*system_files, user_file()]


def chosen_file(words: Sequence[str]) -> Path | None:
    """The file that the command line or TELEGLYPH_CONFIG names; None if neither does.

    Args:
        words: the command line, not parsed yet, because the file gives the defaults for parsing it.
    """
    chosen = os.environ.get("TELEGLYPH_CONFIG", "")
    for number, word in enumerate(words):
        if word == "--config":
            chosen = words[number + 1] if number + 1 < len(words) else ""
        elif word.startswith("--config="):
            chosen = word.partition("=")[2]
    return Path(chosen) if chosen else None


class Configuration:
    """The settings that a program's options allow, and files with them.

    Args:
        program: the group of all commands, or a single command.
    """

    def __init__(self, program: click.Command) -> None:
        self._commands = _commands_of(program)
        self._options = {name: _configurable(command) for name, command in self._commands.items()}
        self.tables: dict[str, dict[str, Configurable]] = {table: {} for table in TABLES}
        for options in self._options.values():
            for option in options.values():
                self.tables[option.table].setdefault(option.key, option)
        self._table_of = {key: table for table, options in self.tables.items() for key in options}

    def load(self, chosen: Path | None = None) -> dict[str, Setting]:
        """The settings of all files, by name.

        Args:
            chosen: read only this file, which must exist.

        Raises:
            ConfigurationError: a file cannot be read, is not TOML, or has an unknown key or an invalid value.
        """
        settings: dict[str, Setting] = {}
        for path in [chosen] if chosen is not None else places():
            if chosen is None and not path.is_file():
                continue
            settings.update({setting.name: setting for setting in self.read(path)})
        return settings

    def read(self, path: Path) -> list[Setting]:
        """The settings of one file.

        Raises:
            ConfigurationError: as for :meth:`load`; the message lists every fault.
        """
        settings, faults = self.examine(path)
        if faults:
            raise ConfigurationError("\n".join(faults))
        return settings

    def examine(self, path: Path) -> tuple[list[Setting], list[str]]:
        """The valid settings of one file, and a sentence for each fault.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_FILE + 1)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise ConfigurationError(f"Cannot read the configuration file '{path}': {reason_of(error)}.") from error
        if len(data) > _MAX_FILE:
            raise ConfigurationError(f"'{path}' is not a configuration file: it has more than {_MAX_FILE >> 20} MiB.")
        try:
            tables = tomllib.loads(decode_text(data))
        except (ValueError, RecursionError) as error:
            return [], [f"'{path}' is not valid TOML: {error}."]
        settings, faults = self._settings(path, tables)
        usable = []
        for setting in settings:
            if fault := _exposure(setting, mode) or self._fault(setting):
                faults.append(fault)
            else:
                usable.append(setting)
        return usable, faults

    def default_map(self, settings: Mapping[str, Setting], wanted: Sequence[str]) -> dict[str, Any]:
        """The settings as click's ``default_map``.

        Args:
            settings: from :meth:`load`.
            wanted: the commands that will run.
        """
        if not settings:
            return {}
        result: dict[str, Any] = {}
        for name, options in self._options.items():
            if name and name not in wanted:
                continue
            values = {
                str(options[key].name): _as_text(options[key], setting.value)
                for key, setting in settings.items()
                if key in options
            }
            if name == "server":
                values[CALL_ROOMS] = {
                    setting.name.removeprefix(f"{CALL_ROOM}."): setting.value
                    for setting in settings.values()
                    if setting.table == CALL_ROOM
                }
            if name:
                result[name] = values
            else:
                result.update(values)
        return result

    def _settings(self, path: Path, tables: Mapping[str, Any]) -> tuple[list[Setting], list[str]]:
        settings: list[Setting] = []
        faults: list[str] = []
        for name, table in tables.items():
            if name == CALL_ROOM:
                rooms, found = read_tables(table)
                settings += [Setting(CALL_ROOM, f"{CALL_ROOM}.{room}", value, path) for room, value in rooms.items()]
                faults += [f"{path}: {fault}" for fault in found]
            elif name not in self.tables and name in self._table_of:
                faults.append(f"{path}: '{name}' belongs in the table [{self._table_of[name]}].")
            elif name not in self.tables:
                faults.append(f"{path}: there is no table [{name}]. {_suggest(name, _tables_like(table, self.tables))}")
            elif not isinstance(table, dict):
                faults.append(f"{path}: [{name}] is a table, not a value.")
            else:
                for key, value in table.items():
                    if key in self.tables[name]:
                        settings.append(Setting(name, key, value, path))
                    elif key in self._table_of:
                        faults.append(f"{path}: '{key}' belongs in [{self._table_of[key]}], not in [{name}].")
                    else:
                        faults.append(f"{path}: there is no '{key}' in [{name}]. {_suggest(key, self._table_of)}")
        return settings, faults

    def _fault(self, setting: Setting) -> str:
        """What keeps a command from using a value; empty if nothing does."""
        for name, command in self._commands.items():
            option = self._options[name].get(setting.name)
            if option is None:
                continue
            value = setting.value
            is_right = isinstance(value, bool) == is_flag(option) and not isinstance(value, dict)
            if isinstance(value, list):
                is_right = takes_many(option) and all(isinstance(item, str) for item in value)
            if not is_right:
                kind = (
                    "true or false" if is_flag(option) else "a list of strings" if takes_many(option) else "one value"
                )
                shown = "this value" if setting.name in SECRETS else repr(value)
                return f"{setting} must be {kind}, not {shown}."
            with click.Context(command, resilient_parsing=False) as context:
                for item in value if isinstance(value, list) else [value]:
                    if fault := _conversion_fault(setting, option, item, context):
                        return fault
        return ""


def is_flag(option: click.Parameter) -> bool:
    """Whether an option is on or off."""
    return bool(getattr(option, "is_flag", False))


def takes_many(option: click.Parameter) -> bool:
    """Whether an option may be repeated."""
    return option.multiple or option.nargs == -1


def _commands_of(program: click.Command) -> dict[str, click.Command]:
    """The commands that can be configured by name; the program itself has the empty name."""
    if not isinstance(program, click.Group):
        return {str(program.name): program}
    context = click.Context(program)
    found = {name: command for name in COMMANDS if (command := program.get_command(context, name)) is not None}
    return {"": program, **found}


def _configurable(command: click.Command) -> dict[str, Configurable]:
    return {each.key: each for each in command.params if isinstance(each, Configurable)}


def _exposure(setting: Setting, mode: int) -> str:
    """A complaint about a secret in a file that others can read."""
    is_secret = setting.name in SECRETS or (
        isinstance(setting.value, dict) and not setting.value.keys().isdisjoint(SECRETS)
    )
    if not is_secret or not mode & 0o077 or not stat.S_ISREG(mode):
        return ""
    return (
        f"'{setting.place}' contains a secret ({setting.name}) and can be read by others "
        f"(mode {stat.S_IMODE(mode):04o}). Run: chmod 600 '{setting.place}'"
    )


def _conversion_fault(setting: Setting, option: click.Parameter, value: Any, context: click.Context) -> str:
    try:
        converted = option.type.convert(value if isinstance(value, bool) else str(value), option, context)
        if option.callback is not None:
            option.callback(context, option, (converted,) if takes_many(option) else converted)
    except click.BadParameter as error:
        shown = "this value" if setting.name in SECRETS else repr(value)
        return f"{setting} cannot be {shown}: {error.message}"
    return ""


def _tables_like(table: Any, names: Iterable[str]) -> list[str]:
    """The names of tables that an unknown one may have meant; only call rooms have tables inside a table."""
    has_tables = isinstance(table, dict) and any(isinstance(value, dict) for value in table.values())
    return [CALL_ROOM] if has_tables else [*names, CALL_ROOM]


def _suggest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Choose from: {', '.join(names)}."


def _as_text(option: click.Parameter, value: Any) -> Any:
    if takes_many(option):
        return value if isinstance(value, list) else [value]
    return value if isinstance(value, bool) else str(value)
