"""What is said of a group: flags that open and close it, and tags for people and clients."""

from __future__ import annotations

from dataclasses import replace

from teleglyph.store.groups import GroupRecord
from teleglyph.wire.nostr.event import NostrEvent

FLAGS = ("private", "restricted", "hidden", "closed")
MAX_METADATA = 16 << 10
"""Bytes of a group's metadata as JSON."""

_OPPOSITES = {"public": "private", "unrestricted": "restricted", "visible": "hidden", "open": "closed"}
_NO = ("false", "0", "no")
_ABOUT_THE_EVENT = frozenset({"h", "d", "previous", "expiration", "-", "nonce", "client"})
"""Tags that say something of the event that carries them, not of the group."""


def edited(group: GroupRecord, event: NostrEvent) -> GroupRecord:
    """A group as it is after kind 9002 or 9007, or as kind 39000 describes it.

    What an event does not mention stays as it was, flags included: a client that sends only a new name must not open a
    private group.  A flag is taken away by its opposite (``public``, ``unrestricted``, ``visible``, ``open``) or by
    ``false`` as its value, a text by an empty value.  Tags that are not known here are kept for those who know them.
    """
    opened, closed = set[str](), set[str]()
    mentioned: dict[str, list[tuple[str, ...]]] = {}
    for tag in event.tags:
        name = tag[0]
        if name in FLAGS:
            (opened if len(tag) > 1 and tag[1].lower() in _NO else closed).add(name)
        elif name in _OPPOSITES:
            opened.add(_OPPOSITES[name])
        elif name not in _ABOUT_THE_EVENT:
            mentioned.setdefault(name, []).append(_kept(tag, event))
    kept = [tag for tag in group.tags if tag[0] not in mentioned]
    new = [tag for tags in mentioned.values() for tag in tags if tag[1:] != ("",) and tag != ("parent",)]
    return replace(group, tags=(*kept, *new), flags=group.flags - opened | closed)


def _kept(tag: list[str], event: NostrEvent) -> tuple[str, ...]:
    if tag[0] == "parent" and len(tag) > 1 and tag[1] and event.kind < 39000:
        return ("parent", tag[1], event.pubkey)  # who put it there, so that clients can check it
    return tuple(tag)
