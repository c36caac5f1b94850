"""Where files lie (XDG base directory specification)."""

from __future__ import annotations

import os
from pathlib import Path


def configuration() -> Path:
    """The user's configurations, ours in ``teleglyph`` below."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def system_configurations() -> list[Path]:
    """The system's configurations, the most important one first."""
    return [Path(entry) for entry in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if entry]


def cache() -> Path:
    """What may be thrown away."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def state() -> Path:
    """What outlives a process but is not worth a backup, ours in ``teleglyph`` below.

    Raises:
        RuntimeError: the user has no home directory.
    """
    chosen = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification wants relative paths ignored: they would mean another place in every directory.
    return chosen if chosen.is_absolute() else Path.home() / ".local" / "state"
