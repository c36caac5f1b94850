"""When the garbage collector runs, and when free memory returns to the system.

A full collection scans everything that a connection consists of.  With thousands of connections that takes a fifth of a
second, in which no frame is sent.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Callable

_INTERVAL = 60.0
"""Seconds between full collections while they are short."""
_REST = 5000
"""Rest after a collection, as a multiple of its time: frames wait for it, and with large groups it takes 45 ms."""
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
    Free memory then returns to the system: after a peak, glibc keeps what lies below a block that is still in use.

    Args:
        connections: returns the number of open ones.
    """
    pause = _INTERVAL
    while True:
        await asyncio.sleep(pause)
        if connections() <= _FEW:
            began = time.perf_counter()
            gc.collect()
            pause = max(_INTERVAL, _REST * (time.perf_counter() - began))
            await asyncio.to_thread(return_free_memory)


def return_free_memory() -> bool:
    """Return free memory to the system; call it in a thread, because it takes some milliseconds after a peak.

    Returns:
        False if the C library is not glibc, which is the only one that needs this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(ctypes.c_size_t(0))
    return True
