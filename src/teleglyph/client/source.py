"""Opening a picture source without waiting for it longer than the user does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

from teleglyph.media.source import VideoSource

T = TypeVar("T")


async def open_source(opener: Callable[[], VideoSource]) -> VideoSource:
    """What ``opener`` opens, in a thread of its own.

    A pipe or a network address may say nothing for a long time.  When the caller is cancelled, nobody waits for the
    thread, at the end of the program neither; what it opens later is closed at once.

    Raises:
        LocalError, UserError: those of ``opener``.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[VideoSource] = loop.create_future()
    lock = threading.Lock()
    is_wanted = True

    def hand_over(source: VideoSource | None, error: BaseException | None) -> None:
        if opened.done():
            if source is not None:
                source.close()
        elif source is not None:
            opened.set_result(source)
        elif error is not None:
            opened.set_exception(error)

    def work() -> None:
        source: VideoSource | None = None
        failure: BaseException | None = None
        try:
            source = opener()
        except BaseException as error:
            failure = error
        with lock:
            if is_wanted:
                loop.call_soon_threadsafe(hand_over, source, failure)
                return
        if source is not None:
            source.close()

    threading.Thread(target=work, name="opening", daemon=True).start()
    try:
        return await opened
    finally:
        with lock:
            is_wanted = False


async def unless_stopped(work: Coroutine[None, None, T], stop: asyncio.Event) -> T | None:
    """What ``work`` returns; None, and it is cancelled, if the user leaves before that."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        task.cancel()
        stopped.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
