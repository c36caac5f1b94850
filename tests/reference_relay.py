"""The smallest store of events that follows the specification: lists and loops, nothing clever."""

from __future__ import annotations

from collections.abc import Sequence

from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.filter import Filter


class ReferenceRelay:
    """Events in a list."""

    def __init__(self) -> None:
        self.events: list[NostrEvent] = []
        self.requests: list[NostrEvent] = []

    def put(self, event: NostrEvent) -> str:
        """Store an event; return "stored", "duplicate", "older" or "deleted"."""
        if any(old.id == event.id for old in self.events):
            return "duplicate"
        if event.kind != 5 and any(self._deletes(request, event) for request in self.requests):
            return "deleted"
        versions = [old for old in self.events if self._is_version(old, event)]
        if any((-old.created_at, old.id) < (-event.created_at, event.id) for old in versions):
            return "older"
        self.events = [old for old in self.events if old not in versions]
        self.events.append(event)
        if event.kind == 5:
            self.requests.append(event)
            self.events = [old for old in self.events if old.kind == 5 or not self._deletes(event, old)]
        return "stored"

    @staticmethod
    def _d(event: NostrEvent) -> str:
        for tag in event.tags:
            if tag[0] == "d":
                return tag[1] if len(tag) > 1 else ""
        return ""

    def _is_version(self, one: NostrEvent, other: NostrEvent) -> bool:
        if (one.pubkey, one.kind) != (other.pubkey, other.kind):
            return False
        if one.kind in (0, 3) or 10000 <= one.kind <= 19999:
            return True
        return 30000 <= one.kind <= 39999 and self._d(one) == self._d(other)

    def _deletes(self, request: NostrEvent, event: NostrEvent) -> bool:
        if request.pubkey != event.pubkey:
            return False
        for tag in request.tags:
            if tag[:2] == ["e", event.id]:
                return True
            if tag[0] == "a" and len(tag) > 1 and event.created_at <= request.created_at:
                replaceable = event.kind in (0, 3) or 10000 <= event.kind <= 19999
                d = "" if replaceable else self._d(event)
                if (replaceable or 30000 <= event.kind <= 39999) and tag[1] == f"{event.kind}:{event.pubkey}:{d}":
                    return True
        return False

    def _lives(self, event: NostrEvent, now: float) -> bool:
        ends = [int(tag[1]) for tag in event.tags if tag[0] == "expiration" and len(tag) > 1]
        return not ends or ends[0] > now

    @staticmethod
    def _matches(event: NostrEvent, wanted: Filter) -> bool:
        return (
            (wanted.ids is None or event.id in wanted.ids)
            and (wanted.authors is None or event.pubkey in wanted.authors)
            and (wanted.kinds is None or event.kind in wanted.kinds)
            and (wanted.since is None or event.created_at >= wanted.since)
            and (wanted.until is None or event.created_at <= wanted.until)
            and all(
                any(tag[0] == name and len(tag) > 1 and tag[1] in values for tag in event.tags)
                for name, values in wanted.tags.items()
            )
        )

    def find(self, filters: Sequence[Filter], default_limit: int, max_limit: int, now: float) -> list[str]:
        """Ids in the order in which they are delivered."""

        def order(event: NostrEvent) -> tuple[int, str]:
            return -event.created_at, event.id

        chosen: set[str] = set()
        for wanted in filters:
            matching = [event for event in self.events if self._lives(event, now) and self._matches(event, wanted)]
            limit = default_limit if wanted.limit is None else wanted.limit
            chosen.update(event.id for event in sorted(matching, key=order)[: min(limit, max_limit)])
        return [event.id for event in sorted(self.events, key=order) if event.id in chosen]

    def count(self, filters: Sequence[Filter], now: float) -> int:
        """The number of matching events."""
        return sum(
            self._lives(event, now) and any(self._matches(event, wanted) for wanted in filters) for event in self.events
        )
