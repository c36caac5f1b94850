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


def state() -> Path:
    """The directory for data that outlives a process but needs no backup; ours is ``teleglyph`` in it.

    Raises:
        RuntimeError: the user has no home directory.
    """
    chosen = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification says to ignore relative paths.
    return chosen if chosen.is_absolute() else Path.home() / ".local" / "state"
