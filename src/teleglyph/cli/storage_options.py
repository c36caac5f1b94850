"""The server's options for storage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import click
from click.core import ParameterSource

from teleglyph.cli.option_groups import option, source_of
from teleglyph.cli.option_types import check_database
from teleglyph.server.data_directory import default_data_directory

_PRECEDENCE = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StorageOptions:
    """Where the server stores its data, if anywhere."""

    data_dir: Path | None = option(
        "--data-dir",
        table="network",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory where the server stores its identity, records and events.  [default: ~/.local/share/teleglyph]",
    )
    database: str | None = option(
        "--database",
        table="network",
        metavar="URL",
        callback=check_database,
        help="Store records and events in this PostgreSQL database (postgresql://user@host/name) instead of a file in "
        "--data-dir.",
    )
    ephemeral: bool = option(
        "--ephemeral",
        table="network",
        is_flag=True,
        help="Store nothing: no records, no Nostr relay, and no identity without --key.",
    )

    def resolved(self) -> Self:
        """These options without contradictions: either ``ephemeral``, or with a data directory.

        Raises:
            click.UsageError: ``--ephemeral`` and a place to store data come from the same source.
            ConfigurationError: there is no default data directory.
        """
        if self.ephemeral and not self._has_stronger_place():
            return replace(self, data_dir=None, database=None)
        return replace(self, data_dir=self.data_dir or default_data_directory(), ephemeral=False)

    def _has_stronger_place(self) -> bool:
        """Whether a place to store data overrides ``--ephemeral``, as a flag overrides the configuration file."""
        ours, places = _strength("ephemeral"), {"--data-dir": self.data_dir, "--database": self.database}
        theirs = {flag: _strength(flag[2:].replace("-", "_")) for flag, value in places.items() if value is not None}
        for flag, strength in theirs.items():
            if strength == ours:
                raise click.UsageError(f"--ephemeral stores nothing, so it excludes {flag}. Remove one of them.")
        return any(strength < ours for strength in theirs.values())


def _strength(name: str) -> int:
    source = source_of(name)
    return _PRECEDENCE.index(source) if source in _PRECEDENCE else len(_PRECEDENCE)
