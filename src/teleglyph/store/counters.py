"""Figures about the database's work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DatabaseCounters:
    """Totals since the start."""

    commits: int = 0
    written: int = 0
    refused: int = 0
    """Jobs and queries that were refused because too many were waiting."""
    failed: int = 0
    lost_connections: int = 0
    overdue: int = 0
    """Jobs and queries that failed because they had waited too long."""
    restarts: int = 0
    """How often a worker thread was restarted after an unexpected error."""
