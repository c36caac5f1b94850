"""Tasks that nobody awaits while they run: their failures are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

_log = logging.getLogger(__name__)


def start_task(coroutine: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
    """Start a task that logs its failure; the caller keeps it and cancels it."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("Task %s failed", task.get_name(), exc_info=task.exception())
