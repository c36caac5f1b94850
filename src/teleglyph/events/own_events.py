"""The relay's own events: signed in a thread, and for each replaceable address one version at a time.

A group with ten thousand members is described by an event of 700 KB.  While a version is being published, only the
latest of its successors waits; the others are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from teleglyph.events.ingest import Ingest
from teleglyph.wire.nostr.event import DELETION, NostrEvent, sign_event
from teleglyph.wire.nostr.keys import public_key

_log = logging.getLogger(__name__)
Tags = Sequence[Sequence[str]]
_AHEAD = 30
"""Seconds that versions of an event may be ahead of the clock, because each is later than the one before."""
_WRONG = 60
"""Seconds ahead of the clock that can only come from a wrong clock."""
_REST = 30.0
"""After a version was published, its address rests so many times as long as that took."""
_ATTEMPTS = 40
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Value:
    """The address of a replaceable event.

    Attributes:
        created_at, event_id: of the last version, which is stored or being stored; 0 and empty if there is none.
        tags: of the version that waits.
        waiting: done when the waiting version is stored or refused; None: none waits.
        rests_until: the time when the next version may be made, in monotonic seconds.
        task: publishes the waiting version.
    """

    created_at: int = 0
    event_id: str = ""
    tags: Callable[[], Tags] = tuple
    content: str = ""
    waiting: asyncio.Future[None] | None = None
    rests_until: float = 0.0
    task: asyncio.Task[None] | None = None


class _Answer:
    """A publisher that remembers the answer."""

    def __init__(self) -> None:
        self.accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        if not self.accepted.done():
            self.accepted.set_result(accepted)
        if not accepted:
            _log.warning("The relay's own event was refused: kind=%d reason=%s", event.kind, text)

    def charge(self, seconds: float) -> None:
        """Ignored: the relay itself has no costs."""


class OwnEvents:
    """Publishes events of the relay.

    Args:
        key: secret, 32 bytes.
        ingest: takes the events.
        clock: seconds since 1970.
    """

    def __init__(self, key: bytes, ingest: Ingest, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self.pubkey = public_key(key)
        self._ingest = ingest
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="signing")
        self._is_over = False
        self._values: dict[tuple[int, str], _Value] = {}
        self._removed: dict[tuple[int, str], int] = {}
        """The time up to which events are deleted, by address, if that is recent."""

    def __len__(self) -> int:
        """The number of addresses that are remembered."""
        return len(self._values)

    def remember(self, event: NostrEvent) -> None:
        """Remember the version that an earlier process stored."""
        value = self._values.setdefault((event.kind, event.address or ""), _Value())
        if event.created_at >= value.created_at:
            value.created_at, value.event_id = event.created_at, event.id

    def is_from_the_future(self, kind: int, address: str) -> bool:
        """Whether the last version was published while the clock was wrong."""
        value = self._values.get((kind, address))
        return value is not None and value.created_at > self._clock() + _WRONG

    def publish(self, kind: int, tags: Tags, content: str = "") -> asyncio.Future[bool]:
        """Publish an event that is not replaceable.

        Returns:
            True once it is stored, False once it is refused.
        """
        return self._submit(sign_event(self._key, int(self._clock()), kind, tags, content))

    def replace(self, kind: int, address: str, tags: Callable[[], Tags], content: str = "") -> asyncio.Future[None]:
        """Publish a new version of a replaceable event.

        Args:
            kind: a replaceable or addressable kind.
            address: value of the tag ``d``, which the tags must contain too.
            tags: called in another thread, unless a later version replaces this one first.
            content: of the event.

        Returns:
            done when this version or a later one is stored or refused.
        """
        value = self._values.get((kind, address))
        if value is None:
            value = self._values[kind, address] = _Value(self._removed.pop((kind, address), 0))
        value.tags, value.content = tags, content
        loop = asyncio.get_running_loop()
        if value.waiting is None:
            value.waiting = loop.create_future()
        if self._is_over:
            value.waiting.set_result(None)
        elif value.task is None:
            value.task = loop.create_task(self._publish_waiting(kind, value), name="the relay's own event")
        return value.waiting

    def remove(self, address: str, kinds: Sequence[int]) -> asyncio.Future[bool]:
        """Delete the events at an address and drop versions that wait.

        Returns:
            True once the deletion is stored, False once it is refused.
        """
        now = latest = int(self._clock())
        for kind in kinds:
            value = self._values.pop((kind, address), None)
            if value is None:
                continue
            latest = max(latest, value.created_at)
            if value.task is not None:
                value.task.cancel()
            _release(value)
        self._removed = {place: until for place, until in self._removed.items() if until >= now}
        self._removed.update(((kind, address), latest) for kind in kinds)
        places = [["a", f"{int(kind)}:{self.pubkey}:{address}"] for kind in kinds]
        return self._submit(sign_event(self._key, latest, DELETION, places))

    def stop(self) -> None:
        """Publish nothing more."""
        self._is_over = True
        for value in self._values.values():
            if value.task is not None:
                value.task.cancel()
            _release(value)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, event: NostrEvent) -> asyncio.Future[bool]:
        publisher = _Answer()
        self._ingest.submit(publisher, event)
        return publisher.accepted

    async def _publish_waiting(self, kind: int, value: _Value) -> None:
        """Publish the waiting version until none waits."""
        try:
            attempts = 0
            while (waiting := value.waiting) is not None:
                await self._wait_until_due(value)
                value.waiting = None
                if await self._publish_version(kind, value):
                    attempts = 0
                else:
                    attempts += 1
                    # The database failed, or an earlier process stored a later version.
                    if attempts < _ATTEMPTS and value.waiting is None:
                        value.waiting = asyncio.get_running_loop().create_future()
                        value.rests_until = time.monotonic() + _RETRY_SECONDS
                if not waiting.done():
                    waiting.set_result(None)
        finally:
            value.task = None

    async def _wait_until_due(self, value: _Value) -> None:
        while (pause := self._pause(value)) > 0:  # noqa: ASYNC110 - the clock may be set meanwhile
            await asyncio.sleep(min(pause, 1.0))

    def _pause(self, value: _Value) -> float:
        """Seconds until the next version may be made."""
        ahead = value.created_at + 1 - self._clock()
        too_early = ahead - _AHEAD if ahead <= _WRONG else 0.0
        return max(too_early, value.rests_until - time.monotonic())

    async def _publish_version(self, kind: int, value: _Value) -> bool:
        now = self._clock()
        if value.created_at > now + _WRONG:
            await self._submit(sign_event(self._key, int(now), DELETION, [["e", value.event_id]]))
            value.created_at = 0
        value.created_at = max(int(now), value.created_at + 1)
        began = time.monotonic()
        event = await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: sign_event(self._key, value.created_at, kind, value.tags(), value.content)
        )
        value.event_id = event.id
        is_stored = await self._submit(event)
        value.rests_until = time.monotonic() + _REST * (time.monotonic() - began)
        return is_stored


def _release(value: _Value) -> None:
    """Complete the future of a version that is not published."""
    waiting, value.waiting = value.waiting, None
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
