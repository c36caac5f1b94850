"""Options as fields of dataclasses, each declared once: flags, default, configuration table and help.

A command takes one object for each group::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class StorageOptions:
        data_dir: Path | None = option("--data-dir", table="network", type=click.Path(path_type=Path), help="...")

    @click.command()
    @with_options(storage=StorageOptions)
    def server(storage: StorageOptions) -> int: ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, TypeVar

import click
from click.core import ParameterSource

R = TypeVar("R")
_DECLARATION = "declaration"
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Configurable(click.Parameter):
    """A parameter that the environment and the configuration file can set as well.

    ``--http-port`` is the key ``http_port`` in the file and the variable ``TELEGLYPH_HTTP_PORT``.

    Attributes:
        table: its table in the configuration file.
        key: its name in that table.
        comment: what it means, for the file.
    """

    def __init__(self, *arguments: Any, table: str, comment: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.table = table
        self.key = max(self.opts, key=len).lstrip("-").replace("-", "_")
        self.comment = comment or str(attributes.get("help", ""))
        self.envvar: str = f"TELEGLYPH_{self.key.upper()}"


class _ConfigurableOption(Configurable, click.Option):
    pass


class _ConfigurableArgument(Configurable, click.Argument):
    pass


def option(*flags: str, table: str = "", **attributes: Any) -> Any:
    """Declare a field that is an option.

    Args:
        flags: as for :func:`click.option`; the field gives the parameter's name.
        table: its table in the configuration file; without one, the file cannot set it.
        attributes: as for :func:`click.option`.
    """
    if table:
        attributes.update(cls=_ConfigurableOption, table=table)
    return _field(lambda name: click.option(*flags, name, **attributes), attributes)


def argument(*, table: str, comment: str, **attributes: Any) -> Any:
    """Declare a field that is an argument which the configuration file can set.

    Args:
        table: as for :func:`option`.
        comment: what it means, for the file.
        attributes: as for :func:`click.argument`.
    """
    attributes.update(cls=_ConfigurableArgument, table=table, comment=comment)
    return _field(lambda name: click.argument(name, **attributes), attributes)


def _field(declaration: Callable[[str], _Decorator], attributes: dict[str, Any]) -> Any:
    takes_many = attributes.get("multiple") or attributes.get("nargs") == -1
    empty = () if takes_many else False if attributes.get("is_flag") else None
    default, kind = attributes.get("default", empty), attributes.get("type")
    if isinstance(default, str) and isinstance(kind, click.ParamType):
        default = kind.convert(default, None, None)
    metadata = {_DECLARATION: declaration}
    return field(default_factory=default if callable(default) else lambda: default, metadata=metadata)


def with_options(**groups: type[Any]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command the options of some classes, in this order; it gets one object of each as a keyword argument."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def wrapped(*arguments: Any, **values: Any) -> R:
            made = {
                name: group(**{each.name: values.pop(each.name) for each in fields(group)})
                for name, group in groups.items()
            }
            return command(*arguments, **values, **made)

        for group in reversed(groups.values()):
            for each in reversed(fields(group)):
                wrapped = each.metadata[_DECLARATION](each.name)(wrapped)
        return wrapped

    return decorate


def source_of(name: str) -> ParameterSource | None:
    """Where the running command's parameter has its value from: command line, environment, configuration or default."""
    return click.get_current_context().get_parameter_source(name)
