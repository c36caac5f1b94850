"""The configuration file: where it lies, what may stand in it, and what becomes of it.

Its values are the commands' defaults: flags and environment variables win over them.  Each option has one place,
``[group] name``, whichever commands have it.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from teleglyph import directories
from teleglyph.errors import ConfigurationError
from teleglyph.text_file import decode_text

COMMANDS = ("server", "client", "mirror", "demo")
"""The commands that have options worth keeping."""
GROUPS: dict[str, tuple[str, ...]] = {
    "logging": ("log_level", "log_file", "json", "quiet", "statistics_interval"),
    "network": (
        *("addresses", "port", "http", "http_port", "max_clients", "connection_rate", "data_dir", "name", "database"),
        *("tls_cert", "tls_key", "relay_url", "trusted_proxy"),
        *("connections_per_address", "address_load", "max_load", "reconnect_attempts"),
    ),
    "rooms": ("game", "room_grace", "room_message_bytes", "rooms_per_address", "origin"),
    "events": (
        *("events", "event_rate", "event_auth", "event_work", "event_search", "event_sync"),
        *("event_compression", "announce"),
        *("relay_name", "relay_description", "relay_contact", "relay_icon", "relay_key", "relay_admin"),
    ),
    "security": (
        "password",
        "key",
        "client_keys",
        "server_key",
        "accept_new_server",
        "encrypt",
        "admin_token",
        "confined_decoding",
    ),
    "display": ("color_mode", "render_mode", "palette", "palette_chars", "utf8", "width", "height", "fps"),
    "media": ("file", "loop", "test_pattern", "pattern", "webcam_index", "no_video", "video_codec"),
    "audio": (
        *("audio", "microphone", "speakers", "push_to_talk", "voice_processing"),
        *("audio_bitrate", "audio_complexity"),
    ),
}
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
_MAX_FILE = 1 << 20
SECRETS = ("password", "database", "admin_token")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a file.

    Attributes:
        name: the option's, with ``_``.
        value: as TOML gives it.
        place: the file it stands in.
    """

    name: str
    value: Any
    place: Path

    def __str__(self) -> str:
        return f"{self.place}: [{_GROUP_OF[self.name]}] {self.name}"


def user_file() -> Path:
    """``teleglyph/config.toml`` in the user's configuration directory (XDG)."""
    return directories.configuration() / "teleglyph" / "config.toml"


def places() -> list[Path]:
    """All files that are looked for; later ones win."""
    systems = directories.system_configurations()
    system_files = [place / "teleglyph" / "config.toml" for place in (Path("/etc"), Path("/usr/local/etc"), *systems)]
    return [*system_files, user_file()]


def chosen_file(words: Sequence[str]) -> Path | None:
    """The file that the command line or TELEGLYPH_CONFIG names; None if neither does.

    Args:
        words: of the command line, read before it is understood: the file decides how it is.
    """
    chosen = os.environ.get("TELEGLYPH_CONFIG", "")
    for number, word in enumerate(words):
        if word == "--config":
            chosen = words[number + 1] if number + 1 < len(words) else ""
        elif word.startswith("--config="):
            chosen = word.partition("=")[2]
    return Path(chosen) if chosen else None


def load(chosen: Path | None = None) -> dict[str, Setting]:
    """What the files say, by option.

    Args:
        chosen: read only this one, which must exist.

    Raises:
        ConfigurationError: a file cannot be read, is no TOML, or has a key or value that cannot be.
    """
    settings: dict[str, Setting] = {}
    for path in [chosen] if chosen is not None else places():
        if chosen is None and not path.is_file():
            continue
        settings.update({setting.name: setting for setting in read(path)})
    return settings


def read(path: Path) -> list[Setting]:
    """The settings of one file, all of them checked.

    Raises:
        ConfigurationError: as :func:`load`; the message names everything that is wrong with the file.
    """
    settings, faults = examine(path)
    if faults:
        raise ConfigurationError("\n".join(faults))
    return settings


def examine(path: Path) -> tuple[list[Setting], list[str]]:
    """The settings of one file that can be used, and a sentence for each fault.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigurationError(f"The configuration '{path}' cannot be read: {error.strerror}.") from error
    if len(data) > _MAX_FILE:
        raise ConfigurationError(f"'{path}' has more than {_MAX_FILE >> 20} MiB; that is not a configuration.")
    try:
        tables = tomllib.loads(decode_text(data))
    except (ValueError, RecursionError) as error:
        return [], [f"'{path}' is not valid TOML: {error}"]
    settings, faults = _settings(path, tables)
    usable = []
    for setting in settings:
        if fault := _fault_of(setting, mode):
            faults.append(fault)
        else:
            usable.append(setting)
    return usable, faults


def _fault_of(setting: Setting, mode: int) -> str:
    if setting.name in SECRETS and mode & 0o077 and stat.S_ISREG(mode):
        return (
            f"'{setting.place}' holds a secret ({setting.name}) and can be read by others "
            f"(mode {stat.S_IMODE(mode):04o}): chmod 600 '{setting.place}'"
        )
    try:
        _check_value(setting)
    except ConfigurationError as error:
        return str(error)
    return ""


def _settings(path: Path, tables: Mapping[str, Any]) -> tuple[list[Setting], list[str]]:
    settings: list[Setting] = []
    faults: list[str] = []
    for group, table in tables.items():
        if group not in GROUPS and group in _GROUP_OF:
            faults.append(f"{path}: '{group}' belongs in the table [{_GROUP_OF[group]}]")
        elif group not in GROUPS:
            faults.append(f"{path}: there is no table [{group}]{_suggest(group, GROUPS)}")
        elif not isinstance(table, dict):
            faults.append(f"{path}: [{group}] is a table, not a value")
        else:
            for name, value in table.items():
                if name in GROUPS[group]:
                    settings.append(Setting(name, value, path))
                elif name in _GROUP_OF:
                    faults.append(f"{path}: '{name}' belongs in [{_GROUP_OF[name]}], not in [{group}]")
                else:
                    faults.append(f"{path}: there is no '{name}' in [{group}]{_suggest(name, _GROUP_OF)}")
    return settings, faults


def _suggest(name: str, names: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(names)}"


# --- commands ---------------------------------------------------------------------------------------------------------


def options_of(command: click.Command) -> dict[str, click.Parameter]:
    """A command's options (and the server's addresses) that can be configured, by their names in the file."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if parameter.expose_value and not getattr(parameter, "hidden", False):
            name = max(parameter.opts, key=len).lstrip("-").replace("-", "_")
            if name in _GROUP_OF:
                found[name] = parameter
    return found


@functools.cache
def commands() -> dict[str, click.Command]:
    """The commands by name; the empty name is the program itself."""
    from teleglyph.cli.main import cli

    found: dict[str, click.Command] = {"": cli}
    for name in COMMANDS:
        found[name] = getattr(importlib.import_module(f"teleglyph.cli.{name}"), name)
    return found


def _check_value(setting: Setting) -> None:
    """Convert a value as each command that has the option would."""
    for command in commands().values():
        option = options_of(command).get(setting.name)
        if option is None:
            continue
        value = setting.value
        is_right = isinstance(value, bool) == is_flag(option) and not isinstance(value, dict)
        if isinstance(value, list):
            is_right = takes_many(option) and all(isinstance(item, str) for item in value)
        if not is_right:
            kinds = "true or false" if is_flag(option) else "a list of texts" if takes_many(option) else "one value"
            raise ConfigurationError(f"{setting} is {kinds}, not {value!r}")
        with click.Context(command, resilient_parsing=False) as context:
            for item in value if isinstance(value, list) else [value]:
                _convert(setting, option, item, context)


def is_flag(option: click.Parameter) -> bool:
    """It is on or off."""
    return bool(getattr(option, "is_flag", False))


def takes_many(option: click.Parameter) -> bool:
    """It may be given several times."""
    return option.multiple or option.nargs == -1


def _convert(setting: Setting, option: click.Parameter, value: Any, context: click.Context) -> None:
    try:
        converted = option.type.convert(value if isinstance(value, bool) else str(value), option, context)
        if option.callback is not None:
            option.callback(context, option, (converted,) if takes_many(option) else converted)
    except click.BadParameter as error:
        shown = "this" if setting.name in SECRETS else repr(value)
        raise ConfigurationError(f"{setting} cannot be {shown}: {error.message}") from None


def default_map(settings: Mapping[str, Setting], wanted: Sequence[str]) -> dict[str, Any]:
    """What click takes as the commands' defaults.

    Args:
        settings: from :func:`load`.
        wanted: names of the commands that will run.
    """
    if not settings:
        return {}
    result: dict[str, Any] = {}
    for name, command in commands().items():
        if name and name not in wanted:
            continue
        options = options_of(command)
        values = {
            str(options[key].name): _as_text(options[key], setting.value)
            for key, setting in settings.items()
            if key in options
        }
        if name:
            result[name] = values
        else:
            result.update(values)
    return result


def _as_text(option: click.Parameter, value: Any) -> Any:
    if takes_many(option):
        return value if isinstance(value, list) else [value]
    return value if isinstance(value, bool) else str(value)
