"""What the relay itself says: signed in a thread, and of each replaceable value one version at a time.

A group with ten thousand members is told in an event of 700 KB.  While a version of a value is on its way, those that
follow wait for each other, and only the last of them is said.
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
"""Seconds by which versions of one value may be ahead of the clock, because each is later than the one before."""
_WRONG = 60
"""Seconds ahead of the clock that only a wrong clock explains."""
_REST = 30.0
"""Times as long as a version took to make and to store, its value rests."""
_ATTEMPTS = 40
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Value:
    """A replaceable event's address, and what was last said there.

    Attributes:
        created_at, number: of the last version, which is stored or on its way; 0 and empty if there is none.
        tags: of the version that waits to be said.
        waiting: done when what waits is stored or refused; None: nothing waits.
        rested: monotonic seconds from which another version may be made.
        task: says what waits.
    """

    created_at: int = 0
    number: str = ""
    tags: Callable[[], Tags] = tuple
    content: str = ""
    waiting: asyncio.Future[None] | None = None
    rested: float = 0.0
    task: asyncio.Task[None] | None = None


class _Answer:
    """A publisher that remembers the answer."""

    def __init__(self) -> None:
        self.accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def answer(self, event: NostrEvent, accepted: bool, text: str) -> None:
        if not self.accepted.done():
            self.accepted.set_result(accepted)
        if not accepted:
            _log.warning("the relay's own event of kind %d was not kept: %s", event.kind, text)

    def charge(self, seconds: float) -> None:
        """The relay does not pay."""


class OwnEvents:
    """Publishes for the relay.

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
        """Until when what was said at an address is deleted, as long as that is not long ago."""

    def __len__(self) -> int:
        """Values that are remembered."""
        return len(self._values)

    def known(self, event: NostrEvent) -> None:
        """Something that the relay said earlier, and that is stored."""
        value = self._values.setdefault((event.kind, event.address or ""), _Value())
        if event.created_at >= value.created_at:
            value.created_at, value.number = event.created_at, event.id

    def is_from_the_future(self, kind: int, address: str) -> bool:
        """Whether a value was last said when the clock was wrong."""
        value = self._values.get((kind, address))
        return value is not None and value.created_at > self._clock() + _WRONG

    def say(self, kind: int, tags: Tags, content: str = "") -> asyncio.Future[bool]:
        """Publish an event that replaces nothing.

        Returns:
            whether it was stored, once that is known.
        """
        return self._put(sign_event(self._key, int(self._clock()), kind, tags, content))

    def replace(self, kind: int, address: str, tags: Callable[[], Tags], content: str = "") -> asyncio.Future[None]:
        """Publish a new version of a replaceable event.

        Args:
            kind: a replaceable kind.
            address: value of the tag ``d``, which has to be among the tags, too.
            tags: gives them; called in another thread, if no later version has taken this one's place.
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
            value.task = loop.create_task(self._say(kind, value), name="the relay's own event")
        return value.waiting

    def remove(self, address: str, kinds: Sequence[int]) -> asyncio.Future[bool]:
        """Delete what was said at these addresses; what waits to be said is not said."""
        now = latest = int(self._clock())
        for kind in kinds:
            value = self._values.pop((kind, address), None)
            if value is None:
                continue
            latest = max(latest, value.created_at)
            if value.task is not None:
                value.task.cancel()
            _settle(value)
        self._removed = {place: until for place, until in self._removed.items() if until >= now}
        self._removed.update(((kind, address), latest) for kind in kinds)
        places = [["a", f"{int(kind)}:{self.pubkey}:{address}"] for kind in kinds]
        return self._put(sign_event(self._key, latest, DELETION, places))

    def stop(self) -> None:
        """Say nothing more."""
        self._is_over = True
        for value in self._values.values():
            if value.task is not None:
                value.task.cancel()
            _settle(value)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _put(self, event: NostrEvent) -> asyncio.Future[bool]:
        publisher = _Answer()
        self._ingest.put(publisher, event)
        return publisher.accepted

    async def _say(self, kind: int, value: _Value) -> None:
        """Say what waits, until nothing does."""
        try:
            attempts = 0
            while (waiting := value.waiting) is not None:
                await self._until_due(value)
                value.waiting = None
                if await self._say_once(kind, value):
                    attempts = 0
                else:
                    attempts += 1
                    # The database has trouble, or something later was said there in another life of this relay.
                    if attempts < _ATTEMPTS and value.waiting is None:
                        value.waiting = asyncio.get_running_loop().create_future()
                        value.rested = time.monotonic() + _RETRY_SECONDS
                if not waiting.done():
                    waiting.set_result(None)
        finally:
            value.task = None

    async def _until_due(self, value: _Value) -> None:
        while (pause := self._pause(value)) > 0:  # noqa: ASYNC110 - the clock may be set meanwhile
            await asyncio.sleep(min(pause, 1.0))

    def _pause(self, value: _Value) -> float:
        """Seconds until another version may be made."""
        ahead = value.created_at + 1 - self._clock()
        too_early = ahead - _AHEAD if ahead <= _WRONG else 0.0
        return max(too_early, value.rested - time.monotonic())

    async def _say_once(self, kind: int, value: _Value) -> bool:
        now = self._clock()
        if value.created_at > now + _WRONG:
            await self._put(sign_event(self._key, int(now), DELETION, [["e", value.number]]))
            value.created_at = 0
        value.created_at = max(int(now), value.created_at + 1)
        began = time.monotonic()
        event = await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: sign_event(self._key, value.created_at, kind, value.tags(), value.content)
        )
        value.number = event.id
        is_stored = await self._put(event)
        value.rested = time.monotonic() + _REST * (time.monotonic() - began)
        return is_stored


def _settle(value: _Value) -> None:
    """Let nobody wait any longer."""
    waiting, value.waiting = value.waiting, None
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
