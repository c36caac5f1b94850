"""Announces a call on the relay as a live activity (NIP-53)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from teleglyph.call.room import CallRoom
from teleglyph.events.announcement import LIVE_ACTIVITY, Activity, Announcer

if TYPE_CHECKING:
    from teleglyph.events.service import EventsService

_INTERVAL = 5.0
_FAREWELL_SECONDS = 2.0
"""How long a stopping server waits at most until the end of the call is stored and its subscribers have it."""


class CallAnnouncements:
    """Publishes who is in a call.

    Args:
        events: the relay.
        room: of the call.
        address: where the call can be joined.
    """

    def __init__(self, events: EventsService, room: CallRoom, address: str) -> None:
        self._events = events
        self._room = room
        self._announcer = Announcer(room.name, address)

    async def run(self) -> None:
        """Publish changes, at most one every few seconds, until cancelled."""
        while True:
            self._publish(self._announcer.due(len(self._room), time.time()))
            await asyncio.sleep(_INTERVAL)

    async def end(self) -> None:
        """Announce the end of the call, while the relay's clients are still connected."""
        published = self._publish(self._announcer.end(time.time()))
        if published is not None:
            await asyncio.wait([published], timeout=_FAREWELL_SECONDS)

    def _publish(self, activity: Activity | None) -> asyncio.Future[None] | None:
        if activity is None or self._events.groups is None:
            return None
        tags = activity.tags(self._events.groups.own_key)
        return self._events.replace(LIVE_ACTIVITY, next(tag[1] for tag in tags if tag[0] == "d"), tags)
