"""Groups (NIP-29): their kinds of events, the group of an event, and its readers.

The store records the results of :func:`audience_of` and :func:`group_of` with each event.  Live events use the same two
functions, so stored and live events have the same readers.
"""

from __future__ import annotations

import enum
from typing import Final

from teleglyph.wire.nostr.event import NostrEvent

MODERATION: Final = range(9000, 9021)
DESCRIPTIONS: Final = range(39000, 39010)
DIRECT_MESSAGES: Final = frozenset({4, 1059, 21059})
"""Kinds for their author and the people in ``p`` only (NIP-04, NIP-17, NIP-59)."""


class GroupKind(enum.IntEnum):
    """Kinds of events that manage groups."""

    PUT_USER = 9000
    REMOVE_USER = 9001
    EDIT_METADATA = 9002
    DELETE_EVENT = 9005
    CREATE_GROUP = 9007
    DELETE_GROUP = 9008
    CREATE_INVITE = 9009
    UPDATE_PINS = 9010
    JOIN_REQUEST = 9021
    LEAVE_REQUEST = 9022
    METADATA = 39000
    ADMINS = 39001
    MEMBERS = 39002
    ROLES = 39003
    PARTICIPANTS = 39004
    PINS = 39005


class Audience(enum.IntEnum):
    """Who may read an event besides its author.  Databases store the numbers."""

    EVERYONE = 0
    """Members only if its group is private."""
    MANAGEMENT = 1
    """Members only if its group is private or hidden."""
    DESCRIPTION = 2
    """Members only if its group is hidden."""
    ADMINS = 3
    """The group's admins."""
    RECIPIENTS = 4
    """The people in ``p``."""


def is_management(kind: int) -> bool:
    """Whether events of a kind change a group, or request a change."""
    return kind in MODERATION or kind in (GroupKind.JOIN_REQUEST, GroupKind.LEAVE_REQUEST)


def group_of(event: NostrEvent) -> str | None:
    """The id of an event's group: its ``h`` tag, or the ``d`` tag of a description.

    An event with several ``h`` tags belongs to no group, so no group can claim it.
    """
    if event.kind in DESCRIPTIONS:
        return event.address
    names = [tag for tag in event.tags if tag[0] == "h"]
    return names[0][1] if len(names) == 1 and len(names[0]) > 1 else None


def audience_of(event: NostrEvent) -> Audience:
    """Who may read an event besides its author."""
    return audience_of_kind(event.kind)


def audience_of_kind(kind: int) -> Audience:
    """Who may read events of a kind besides their authors."""
    if kind in DIRECT_MESSAGES:
        return Audience.RECIPIENTS
    if kind in (GroupKind.CREATE_INVITE, GroupKind.JOIN_REQUEST):
        return Audience.ADMINS
    if kind in DESCRIPTIONS:
        return Audience.DESCRIPTION
    return Audience.MANAGEMENT if is_management(kind) else Audience.EVERYONE
