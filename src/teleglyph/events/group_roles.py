"""Roles in groups, and who may read their events."""

from __future__ import annotations

from collections.abc import Set

from teleglyph.store.groups import ADMIN, GroupRecord
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import (
    Audience,
    audience_of,
)


def may_read(event: NostrEvent, group: GroupRecord | None, readers: Set[str]) -> bool:
    """Whether a client that proved these public keys may read an event.

    This is the same rule as :func:`teleglyph.store.visibility.visible_to` for stored events.

    Args:
        event: to be read.
        group: the event's; None if it belongs to none.
        readers: the public keys that the client proved.
    """
    if event.pubkey in readers:
        return True
    audience = audience_of(event)
    if audience is Audience.RECIPIENTS:
        return not readers.isdisjoint(event.values("p"))
    if audience is Audience.ADMINS:
        return group is not None and any(has_role(group, key, ADMIN) for key in readers)
    if group is None or not group.members.keys().isdisjoint(readers):
        return True
    closing = {Audience.EVERYONE: {"private"}, Audience.DESCRIPTION: {"hidden"}}.get(audience, {"private", "hidden"})
    return closing.isdisjoint(group.flags)


def has_role(group: GroupRecord, pubkey: str, role: str) -> bool:
    """Whether a public key has a role in a group."""
    return role in group.members.get(pubkey, ())
