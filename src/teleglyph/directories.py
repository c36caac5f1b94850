"""Standard directories (XDG base directory specification)."""

from __future__ import annotations

import os
from pathlib import Path


def configuration() -> Path:
    """The user's configuration directory; ours is ``teleglyph`` in it."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def system_configurations() -> list[Path]:
    """The system's configuration directories, the most important one first."""
    return [Path(entry) for entry in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if entry]


def cache() -> Path:
    """The directory for data that can be recreated."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def data() -> Path:
    """The directory for data that must not be lost; ours is ``teleglyph`` in it.

    Raises:
        RuntimeError: the user has no home directory.
    """
    return _chosen("XDG_DATA_HOME") or Path.home() / ".local" / "share"


def state() -> Path:
    """The directory for data that outlives a process but needs no backup; ours is ``teleglyph`` in it.

    Raises:
        RuntimeError: the user has no home directory.
    """
    return _chosen("XDG_STATE_HOME") or Path.home() / ".local" / "state"


def _chosen(variable: str) -> Path | None:
    """The directory that a variable names; None without one."""
    # The specification says to ignore relative paths.
    path = Path(os.environ.get(variable, ""))
    return path if path.is_absolute() else None
