"""A group's metadata: flags that open and close it, tags for people and clients, and the events that describe it."""

from __future__ import annotations

from dataclasses import replace

from teleglyph.store.groups import ADMIN, GroupRecord
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import GroupKind

MODERATOR = "moderator"
"""The role that may remove members and messages."""
FLAGS = ("private", "restricted", "hidden", "closed")
MAX_METADATA = 16 << 10
"""Bytes of a group's metadata as JSON."""

_OPPOSITES = {"public": "private", "unrestricted": "restricted", "visible": "hidden", "open": "closed"}
_NO = ("false", "0", "no")
_ABOUT_THE_EVENT = frozenset({"h", "d", "previous", "expiration", "-", "nonce", "client"})
"""Tags that describe the event that carries them, not the group."""


def edited(group: GroupRecord, event: NostrEvent) -> GroupRecord:
    """A group after an event that creates, edits or describes it.

    Whatever an event does not mention stays, including flags: a client that sends only a new name must not open a
    private group.  A flag is removed by its opposite (``public``, ``unrestricted``, ``visible``, ``open``) or by the
    value ``false``, a text by an empty value.  Unknown tags are kept for clients that know them.
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
    if tag[0] == "parent" and len(tag) > 1 and tag[1] and event.kind != GroupKind.METADATA:
        return ("parent", tag[1], event.pubkey)  # with the author, so that clients can check it
    return tuple(tag)


def describe(group: GroupRecord, kind: int) -> list[list[str]]:
    """The tags of an event of this kind that describes a group."""
    match kind:
        case GroupKind.METADATA:
            written = [*map(list, group.tags), *([flag] for flag in FLAGS if flag in group.flags)]
        case GroupKind.ADMINS:
            written = [["p", key, *roles] for key, roles in group.members.items() if roles]
        case GroupKind.MEMBERS:
            written = [["p", key] for key in group.members]
        case GroupKind.PINS:
            written = [list(pin) for pin in group.pins]
        case _:
            written = [
                ["role", ADMIN, "changes everything about the group"],
                ["role", MODERATOR, "removes members and messages"],
            ]
    return [["d", group.id], *written]
