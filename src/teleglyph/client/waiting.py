"""Waiting for the first of several things to happen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def wait_for_first(*awaitables: Awaitable[object], timeout: float | None = None) -> None:
    """Wait until one awaitable is done or the time is up.

    Tasks among the awaitables keep running; coroutines are cancelled.

    Args:
        *awaitables: at least one.
        timeout: in seconds; None waits without limit.
    """
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for awaitable, task in zip(awaitables, tasks, strict=True):
            if task is not awaitable:
                task.cancel()


async def unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """Return the result of ``work``; cancel it and return None if the user leaves first."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        task.cancel()
        stopped.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
