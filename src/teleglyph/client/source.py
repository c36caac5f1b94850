"""Open a picture source without blocking the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from teleglyph.media.source import VideoSource

SourceOpener = Callable[[], VideoSource]
"""Opens a camera, a file or a test pattern; may block."""


async def open_source(opener: SourceOpener) -> VideoSource:
    """Run ``opener`` in a thread of its own and return the source.

    A pipe or network address may stay silent for a long time. After a cancellation nothing waits for the thread, not
    even at exit; a source that it opens later is closed at once.

    Raises:
        LocalError, UserError: from ``opener``.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[VideoSource] = loop.create_future()
    lock = threading.Lock()
    is_wanted = True

    def finish(source: VideoSource | None, error: BaseException | None) -> None:
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
                loop.call_soon_threadsafe(finish, source, failure)
                return
        if source is not None:
            source.close()

    threading.Thread(target=work, name="opening", daemon=True).start()
    try:
        return await opened
    finally:
        with lock:
            is_wanted = False
