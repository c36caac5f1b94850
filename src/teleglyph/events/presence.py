"""The people who are live in each group: they announce it (kind 10312), and the relay publishes the list (kind 39004).

No clock: the time is an argument.
"""

from __future__ import annotations

from teleglyph.events.kinds import EventKind
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import group_of

_LASTS = 300
"""Seconds that a presence lasts if the event has no expiration."""
MAX_PEOPLE = 500
"""Limit per group; further people are not listed."""


class Presence:
    """The people present in groups."""

    def __init__(self) -> None:
        self._until: dict[str, dict[str, int]] = {}
        """When each presence ends, in Unix seconds, by group and public key."""
        self._published: dict[str, tuple[str, ...]] = {}

    def record(self, event: NostrEvent, now: float) -> None:
        """Record that the author of an event is present; an expiration that is due means that they leave.

        Args:
            event: other kinds are ignored.
            now: Unix seconds.
        """
        group = group_of(event)
        if event.kind != EventKind.PRESENCE or group is None:
            return
        people = self._until.setdefault(group, {})
        if event.pubkey in people or len(people) < MAX_PEOPLE:
            ends = event.expires_at if event.expires_at is not None else event.created_at + _LASTS
            people[event.pubkey] = min(ends, int(now) + _LASTS)

    def changes(self, now: float) -> list[tuple[str, tuple[str, ...]]]:
        """The groups in which people came or left since the last call, with the people who are there now."""
        found = []
        for group, people in list(self._until.items()):
            for pubkey in [pubkey for pubkey, until in people.items() if until <= now]:
                del people[pubkey]
            present = tuple(people)
            if present != self._published.get(group, ()):
                self._published[group] = present
                found.append((group, present))
            if not people:
                del self._until[group]
                self._published.pop(group, None)
        return found
