"""Objects that equal viewers share, by a key that makes viewers equal."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Shared(Protocol):
    """A frame or a screen that all viewers with the same key share.

    Attributes:
        needs: width and height in pixels in which each participant's picture is shown.
    """

    needs: dict[int, tuple[int, int]]


Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class SharedPool(Generic[Key, Item]):
    """Shared objects by key; each exists as long as somebody uses it.

    Args:
        create: makes the object of a key.
    """

    def __init__(self, create: Callable[[Key], Item]) -> None:
        self._create = create
        self._items: dict[Key, Item] = {}
        self._users: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    def acquire(self, key: Key) -> Item:
        """The object of a key, created for its first user."""
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = self._create(key)
        self._users[key] = self._users.get(key, 0) + 1
        return item

    def release(self, key: Key) -> None:
        """End one use; the object goes with its last user."""
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._items[key]
