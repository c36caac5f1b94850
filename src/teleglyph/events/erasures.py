"""Erases all events of an author, a slice at a time, beside the relay's other work."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from teleglyph.errors import StoreError
from teleglyph.store.moderation import START, Erasure, ModerationStore

_log = logging.getLogger(__name__)
_PAUSE = 10.0
"""Seconds until the next attempt after a failed write."""


class Erasures:
    """Erases one author after the other.

    Args:
        store: remembers unfinished erasures, even after a crash.
    """

    def __init__(self, store: ModerationStore) -> None:
        self._store = store
        self._waiting: deque[Erasure] = deque()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, erasures: Iterable[Erasure]) -> None:
        """Start erasures that are stored in the database."""
        waiting = list(self._waiting)[1:]  # the first one is running, and may just have ended
        self._waiting += [erasure for erasure in erasures if erasure not in waiting]
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="erasures")

    def stop(self) -> None:
        """Stop; the next process continues."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._erase(self._waiting[0])
                self._waiting.popleft()
        finally:
            self._task = None

    async def _erase(self, erasure: Erasure) -> None:
        cursor: tuple[int, int] | None = START
        while cursor is not None:
            try:
                cursor = await asyncio.wrap_future(self._store.erase(erasure, cursor))
            except StoreError as error:
                _log.error("Erasing the events of %s failed; retrying: %s", erasure.pubkey, error)
                await asyncio.sleep(_PAUSE)
        _log.info(
            "Erased the events of %s: reason=%s", erasure.pubkey, "ban" if erasure.is_ban else "request to vanish"
        )
