"""Reloads parts of the configuration while the server runs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from teleglyph.errors import TeleglyphError

_log = logging.getLogger(__name__)

Reload = tuple[str, Callable[[], Awaitable[str]]]
"""A part with its verb, such as ``client keys were``, and a function that reloads it and describes the result."""


async def run_reloads(reloads: Sequence[Reload]) -> list[str]:
    """Reload parts one after another, and log the results; a part that fails does not keep the others from reloading.

    Returns:
        the problems: what was not reloaded, and why.
    """
    problems = []
    for part, reload in reloads:
        try:
            result = await reload()
        except TeleglyphError as error:
            problems.append(f"The {part} not reloaded: {error}")
            _log.error("%s", problems[-1])
        else:
            _log.info("Reloaded the %s", result)
    return problems
