"""Who is live in a group, from the presence that people announce (kind 10312), for the relay to say (kind 39004).

No clock: the time is handed in.
"""

from __future__ import annotations

from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import group_of

PRESENCE = 10312
_LASTS = 300
"""Seconds for which somebody counts as present who does not say until when."""
MAX_PEOPLE = 500
"""Of one group; more are not named."""


class Presence:
    """The people present in groups."""

    def __init__(self) -> None:
        self._until: dict[str, dict[str, int]] = {}
        """When somebody's presence ends, Unix seconds, by group and public key."""
        self._told: dict[str, tuple[str, ...]] = {}

    def note(self, event: NostrEvent, now: float) -> None:
        """Somebody says that they are here; or with an expiration that is about to come, that they leave.

        Args:
            event: of a group; others than presence are passed over.
            now: Unix seconds.
        """
        group = group_of(event)
        if event.kind != PRESENCE or group is None:
            return
        people = self._until.setdefault(group, {})
        if event.pubkey in people or len(people) < MAX_PEOPLE:
            ends = event.expires_at if event.expires_at is not None else event.created_at + _LASTS
            people[event.pubkey] = min(ends, int(now) + _LASTS)

    def changes(self, now: float) -> list[tuple[str, tuple[str, ...]]]:
        """The groups in which somebody came or left since the last call, and who is there now."""
        found = []
        for group, people in list(self._until.items()):
            for pubkey in [pubkey for pubkey, until in people.items() if until <= now]:
                del people[pubkey]
            present = tuple(people)
            if present != self._told.get(group, ()):
                self._told[group] = present
                found.append((group, present))
            if not people:
                del self._until[group]
                self._told.pop(group, None)
        return found
