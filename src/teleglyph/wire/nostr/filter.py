"""Filters of a subscription (NIP-01, NIP-50; docs/protocol/nostr.md#filters)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from teleglyph.errors import EventRefusedError
from teleglyph.wire.nostr.event import MAX_KIND, NostrEvent, is_encodable, is_hex, quoted
from teleglyph.wire.nostr.search_words import wanted_words

_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: every attribute that is not None must match.

    Attributes:
        ids, authors: 64 hexadecimal digits each.
        kinds: numbers.
        tags: the wanted first values, by the tag's letter.
        since, until: Unix seconds, both inclusive.
        limit: how many stored events, the newest first.
        search: words that the content must have.
        first_tag_value: the first value of the first tag, in the order of the client.
    """

    ids: frozenset[str] | None = None
    authors: frozenset[str] | None = None
    kinds: frozenset[int] | None = None
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    search: str | None = None
    first_tag_value: str | None = None

    def matches(self, event: NostrEvent) -> bool:
        """Whether an event matches; the limit is ignored."""
        if self.ids is not None and event.id not in self.ids:
            return False
        if self.kinds is not None and event.kind not in self.kinds:
            return False
        if self.authors is not None and event.pubkey not in self.authors:
            return False
        if self.since is not None and event.created_at < self.since:
            return False
        if self.until is not None and event.created_at > self.until:
            return False
        if not all(not wanted.isdisjoint(event.values(name)) for name, wanted in self.tags.items()):
            return False
        words = None if self.search is None else wanted_words(self.search)
        return words is None or (bool(words) and words.issubset(event.words))


def read_filter(members: Any, max_values: int = 1 << 30) -> Filter:
    """Validate a filter.

    Args:
        members: the decoded JSON object.
        max_values: how many values a list may have.

    Raises:
        EventRefusedError: ``invalid:`` or ``unsupported:`` and the reason.
    """
    if type(members) is not dict:
        raise EventRefusedError("invalid: a filter must be an object")
    found: dict[str, Any] = {}
    tags: dict[str, frozenset[str]] = {}
    for name, value in members.items():
        if not is_encodable(name):
            raise EventRefusedError("invalid: the name of a filter's member has half of a surrogate pair")
        if name in ("ids", "authors"):
            found[name] = _texts(name, value, max_values, hexadecimal=True)
        elif name == "kinds":
            found[name] = _kinds(value, max_values)
        elif len(name) == 2 and name[0] == "#" and name[1] in _LETTERS:
            tags[name[1]] = _texts(name, value, max_values, hexadecimal=name in ("#e", "#p"))
            found.setdefault("first_tag_value", value[0])
        elif name in ("since", "until", "limit"):
            if type(value) is not int or not 0 <= value < 1 << 53:
                raise EventRefusedError(f"invalid: {name} must be a whole number from 0")
            found[name] = value
        elif name == "search":
            if type(value) is not str:
                raise EventRefusedError("invalid: search must be a string")
            if not is_encodable(value):
                raise EventRefusedError("invalid: search has half of a surrogate pair")
            found[name] = value
        else:
            raise EventRefusedError(f"unsupported: this relay does not know {quoted(name)} in a filter")
    return Filter(**found, tags=tags)


def _list(name: str, value: Any, max_values: int) -> list[Any]:
    if type(value) is not list or not value:
        raise EventRefusedError(f"invalid: {name} must be a list with at least one value")
    if len(value) > max_values:
        raise EventRefusedError(f"invalid: {name} has at most {max_values} values")
    return value


def _texts(name: str, value: Any, max_values: int, *, hexadecimal: bool) -> frozenset[str]:
    values = _list(name, value, max_values)
    if not all(is_hex(item) if hexadecimal else type(item) is str for item in values):
        form = "64 lower-case hexadecimal digits" if hexadecimal else "a string"
        raise EventRefusedError(f"invalid: each value of {name} must be {form}")
    if not all(map(is_encodable, values)):
        raise EventRefusedError(f"invalid: a value of {name} has half of a surrogate pair")
    return frozenset(values)


def _kinds(value: Any, max_values: int) -> frozenset[int]:
    values = _list("kinds", value, max_values)
    if not all(type(item) is int and 0 <= item <= MAX_KIND for item in values):
        raise EventRefusedError(f"invalid: kinds must be whole numbers from 0 to {MAX_KIND}")
    return frozenset(values)
