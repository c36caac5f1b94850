"""Futures that a task waits on until another one resolves them."""

from __future__ import annotations

import asyncio


def resolve(waiter: asyncio.Future[None] | None) -> None:
    """Wake the task that waits on a future; does nothing if there is none, or if it is done already."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
