"""Finds the subscriptions that match a new event by an index, without trying every filter.

Each filter is indexed by the values of its most selective member only.  A new event is looked up by its own values, so
its cost grows with the filters that have one of them, not with all filters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.filter import Filter


class Subscribed(Protocol):
    """Something with filters."""

    @property
    def filters(self) -> Sequence[Filter]:
        """The filters of the events that it gets."""


S = TypeVar("S", bound=Subscribed)
_ALL = ("all",)


class Matcher(Generic[S]):
    """An index of subscriptions."""

    def __init__(self) -> None:
        self._index: dict[Hashable, dict[tuple[S, int], Filter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, subscription: S) -> None:
        """Start matching a subscription."""
        self._count += 1
        for number, wanted in enumerate(subscription.filters):
            for key in _keys_of_filter(wanted):
                self._index.setdefault(key, {})[subscription, number] = wanted

    def remove(self, subscription: S) -> None:
        """Stop matching a subscription, which must have been added."""
        self._count -= 1
        for number, wanted in enumerate(subscription.filters):
            for key in _keys_of_filter(wanted):
                entries = self._index[key]
                del entries[subscription, number]
                if not entries:
                    del self._index[key]

    def matching(self, event: NostrEvent) -> list[S]:
        """The subscriptions that match an event, each once; under one key of the index in order of subscribing."""
        found: dict[S, None] = {}
        for key in _keys_of_event(event):
            for (subscription, _), wanted in self._index.get(key, {}).items():
                if subscription not in found and wanted.matches(event):
                    found[subscription] = None
        return list(found)


def _keys_of_filter(wanted: Filter) -> Iterable[Hashable]:
    if wanted.ids is not None:
        return [("id", value) for value in wanted.ids]
    if wanted.tags:
        name, values = min(wanted.tags.items(), key=lambda item: len(item[1]))
        return [(name, value) for value in values]
    if wanted.authors is not None:
        return [("author", value) for value in wanted.authors]
    if wanted.kinds is not None:
        return [("kind", value) for value in wanted.kinds]
    return [_ALL]


def _keys_of_event(event: NostrEvent) -> Iterator[Hashable]:
    yield ("id", event.id)
    yield from {(tag[0], tag[1]) for tag in event.tags if len(tag) > 1 and len(tag[0]) == 1}
    yield ("author", event.pubkey)
    yield ("kind", event.kind)
    yield _ALL
