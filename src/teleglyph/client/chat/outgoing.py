"""The queue of the user's events on their way to the relay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from teleglyph.client.chat.formatting import quoted
from teleglyph.client.chat.view import ChatView
from teleglyph.errors import ConnectError, EventRefusedError
from teleglyph.events.client import NostrClient

_MAX_WAITING = 100
_FLUSH_SECONDS = 10.0
_RETRY_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each retry of an event over the relay's rate limit."""
_PREFIXES = ("invalid", "restricted", "blocked", "error", "rate-limited", "auth-required", "duplicate", "pow", "mute")
"""Machine-readable prefixes of a relay's reasons (NIP-01)."""


class OutgoingEvent(NamedTuple):
    """An event to publish.

    Attributes:
        line: the user's line, for notices.
        kind, content, tags: of the event.
    """

    line: str
    kind: int
    content: str
    tags: Sequence[Sequence[str]]


class OutgoingQueue:
    """Publishes events in order.

    Args:
        client: connected to the relay.
        view: shows which lines were not sent.
        on_published: called with each accepted event.
        waits_when_full: wait when the queue is full, and at the end until it is empty; otherwise refuse lines.
    """

    def __init__(
        self,
        client: NostrClient,
        view: ChatView,
        on_published: Callable[[OutgoingEvent], None],
        *,
        waits_when_full: bool,
    ) -> None:
        self.unsent = 0
        """Lines that the relay did not accept."""
        self._client = client
        self._view = view
        self._on_published = on_published
        self._waits_when_full = waits_when_full
        self._events: asyncio.Queue[OutgoingEvent] = asyncio.Queue(_MAX_WAITING)

    async def add(self, event: OutgoingEvent) -> None:
        """Queue an event."""
        if self._events.full() and not self._waits_when_full:
            self.reject(event.line, f"{_MAX_WAITING} lines are already waiting for the relay")
            return
        await self._events.put(event)

    def reject(self, line: str, reason: str) -> None:
        """Inform the user that a line was not sent."""
        self.unsent += 1
        self._view.show_notice(f"Not sent: {reason.rstrip('.')}. It was {quoted(line)}")

    async def run(self) -> None:
        """Publish queued events until cancelled."""
        while True:
            event = await self._events.get()
            try:
                await self._publish(event)
                self._on_published(event)
            except ConnectError as error:
                self.reject(event.line, str(error))
            except EventRefusedError as error:
                self.reject(event.line, refusal_reason(error))
            except asyncio.CancelledError:
                self.reject(event.line, "you left before the relay confirmed it")
                raise
            finally:
                self._events.task_done()

    async def flush(self, stopped: asyncio.Task[Any]) -> None:
        """Wait until every event is answered, or the user leaves."""
        flushed = asyncio.get_running_loop().create_task(self._events.join())
        timeout = None if self._waits_when_full else _FLUSH_SECONDS
        await asyncio.wait([flushed, stopped], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        flushed.cancel()

    def reject_all(self) -> None:
        """Report the events that are still queued as not sent."""
        while not self._events.empty():
            self.reject(self._events.get_nowait().line, "you left")

    async def _publish(self, event: OutgoingEvent) -> None:
        for pause in _RETRY_PAUSES:
            try:
                await self._client.publish(event.kind, event.content, event.tags)
                return
            except EventRefusedError as error:
                if not str(error).startswith("rate-limited:"):
                    raise
            await asyncio.sleep(pause)
        await self._client.publish(event.kind, event.content, event.tags)


def refusal_reason(error: Exception) -> str:
    """A relay's reason without its machine-readable prefix."""
    prefix, colon, rest = str(error).partition(":")
    return rest.strip() if colon and prefix in _PREFIXES and rest.strip() else str(error)
