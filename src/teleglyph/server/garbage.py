"""When the garbage collector runs.

A full collection scans everything that a connection consists of.  With thousands of connections that takes a fifth of a
second, in which no frame is sent.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

_INTERVAL = 60.0
"""Seconds between full collections while they are short."""
_FEW = 256
"""Connections with which a full collection takes a few milliseconds."""


def collect_less_often() -> None:
    """Make automatic collections rare, and all of them short.

    Call this when everything is loaded: what exists now is never scanned again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


async def collect_while_few(connections: Callable[[], int]) -> None:
    """Run a full collection every minute, except while there are many connections.

    Participants leave no garbage, but some libraries and errors do.  Automatic collections would find it after hours.

    Args:
        connections: returns the number of open ones.
    """
    while True:
        await asyncio.sleep(_INTERVAL)
        if connections() <= _FEW:
            gc.collect()
