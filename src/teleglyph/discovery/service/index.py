"""All sessions: those with people in memory, the others in the database and, as far as they fit, in memory as well."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import replace

from teleglyph.discovery.service.live_session import LiveSession
from teleglyph.store.sessions import ClaimRefusal, SessionStore, StoredSession

_MAX_REMEMBERED = 10_000
"""Sessions without people that are kept in memory, a kilobyte each."""


class SessionIndex:
    """Finds sessions by their names.

    Args:
        store: has all of them.

    Attributes:
        live: sessions with people, by name.
        by_id: the same, by id.
        total: the number of all sessions.
        by_network: how many sessions hosts of each address have created since the start.
    """

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.live: dict[str, LiveSession] = {}
        self.by_id: dict[bytes, LiveSession] = {}
        self.total = 0
        self.by_network: Counter[str] = Counter()
        self._networks: dict[str, str] = {}
        """Where the host of each session came from, for those created since the start."""
        self._remembered: OrderedDict[str, StoredSession] = OrderedDict()
        self._ending: Counter[str] = Counter()
        """Sessions that have ended, but not in the database yet."""

    async def load(self) -> None:
        """Count the stored sessions."""
        self.total = await asyncio.wrap_future(self.store.count())

    async def find(self, name: str) -> StoredSession | None:
        """The session with a name; None if there is none."""
        if (live := self.live.get(name)) is not None:
            return live.stored
        if name in self._ending:
            return None
        if name in self._remembered:
            self._remembered.move_to_end(name)
            return self._remembered[name]
        found = await asyncio.wrap_future(self.store.find(name))
        if (live := self.live.get(name)) is not None:
            return live.stored  # somebody joined meanwhile
        if name in self._ending:
            return None
        if found is not None:
            self._remember(found)
        return found

    async def open(self, name: str, now: float) -> LiveSession | None:
        """The session with a name, for people to join; None if there is none."""
        stored = await self.find(name)
        return None if stored is None else self.revive(stored, now)

    def revive(self, stored: StoredSession, now: float) -> LiveSession:
        """The session as one with people."""
        live = self.live.get(stored.name)
        if live is None:
            live = self.live[stored.name] = self.by_id[stored.id] = LiveSession(stored, now)
            self._remembered.pop(stored.name, None)
        return live

    async def claim(
        self, session: StoredSession, held_until: int, network: str, now: float
    ) -> LiveSession | ClaimRefusal:
        """Create a session, or register it again.

        Args:
            session: as the host wants it.
            held_until: until when its name belongs to its owner at least, Unix milliseconds.
            network: where the host comes from.
            now: on the monotonic clock.
        """
        claimed = await asyncio.wrap_future(self.store.claim(session, held_until))
        if isinstance(claimed, ClaimRefusal):
            return claimed
        if claimed.id == session.id:
            self.total += 1
            self._networks[session.name] = network
            self.by_network[network] += 1
        live = self.revive(claimed, now)
        live.stored = claimed
        return live

    async def end(self, name: str, held_until: int) -> None:
        """End a session."""
        self.forget(name)
        self._ending[name] += 1
        try:
            await asyncio.wrap_future(self.store.end(name, held_until))
        finally:
            self._ending[name] -= 1
            if not self._ending[name]:
                del self._ending[name]

    def touched(self, live: LiveSession, now_ms: int) -> None:
        """Note that something happened in a session; it is stored later."""
        live.stored = replace(live.stored, active_at=now_ms)

    def settle(self, live: LiveSession) -> None:
        """Keep a session without people in the database only."""
        if self.live.pop(live.stored.name, None) is not None:
            del self.by_id[live.stored.id]
            self._remember(live.stored)

    def forget(self, name: str) -> None:
        """Forget a session that has ended."""
        if (live := self.live.pop(name, None)) is not None:
            del self.by_id[live.stored.id]
        self._remembered.pop(name, None)
        self.total = max(0, self.total - 1)
        network = self._networks.pop(name, None)
        if network is not None:
            self.by_network[network] -= 1
            if self.by_network[network] <= 0:
                del self.by_network[network]

    def _remember(self, stored: StoredSession) -> None:
        self._remembered[stored.name] = stored
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)
