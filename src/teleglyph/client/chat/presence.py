"""Presence in a room: announce our own, and report that of others at a limited rate."""

from __future__ import annotations

import asyncio
import contextlib
import time

from teleglyph.client.chat.kinds import PRESENCE
from teleglyph.client.chat.view import ChatView
from teleglyph.errors import ConnectError, EventRefusedError
from teleglyph.events.announcement import LIVE_ACTIVITY
from teleglyph.events.client import NostrClient
from teleglyph.net import TokenBucket

PRESENCE_SECONDS = 150
"""How long a presence is valid."""
_INTERVAL = 60.0
_FAREWELL_SECONDS = 1.0
_NOTICES_PER_SECOND, _NOTICE_BURST = 0.5, 10


class PresenceAnnouncer:
    """Announces our presence to a room.

    Args:
        client: connected to the relay.
        room: the group's id.
    """

    def __init__(self, client: NostrClient, room: str) -> None:
        self._client = client
        self._room = room
        self._activity: list[list[str]] = []
        """Tags that name the call of this room."""

    async def run(self) -> None:
        """Announce our presence until cancelled."""
        if (key := await self._client.relay_key()) is not None:
            # A server with --announce describes the call of this room like this (NIP-53).
            self._activity = [["a", f"{LIVE_ACTIVITY}:{key}:{self._room}", self._client.url, "root"]]
        while True:
            await self._announce(PRESENCE_SECONDS)
            await asyncio.sleep(_INTERVAL)

    async def end(self) -> None:
        """End our presence now instead of letting it expire."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._announce(2)

    async def _announce(self, seconds: int) -> None:
        expiration = int(time.time()) + seconds
        with contextlib.suppress(ConnectError, EventRefusedError):
            tags = [["h", self._room], *self._activity, ["expiration", str(expiration)]]
            await self._client.publish(PRESENCE, "", tags)


class ArrivalNotices:
    """Shows who joins and leaves; above the rate limit they are only counted.

    Args:
        view: shows the notices.
    """

    def __init__(self, view: ChatView) -> None:
        self._view = view
        self._limit = TokenBucket(_NOTICES_PER_SECOND, _NOTICE_BURST)
        self._counted = 0

    def show(self, text: str, now: float) -> None:
        """Show a notice, or count it."""
        if self._counted or not self._limit.allow(time.monotonic()):
            self._counted += 1
        else:
            self._view.show_arrival(text, now)

    def show_counted(self, now: float) -> None:
        """Show how many notices were counted, once the rate limit allows it."""
        if self._counted and self._limit.allow(time.monotonic()):
            self._view.show_arrival(f"{self._counted} more people joined or left", now)
            self._counted = 0
