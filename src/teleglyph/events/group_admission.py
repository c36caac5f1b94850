"""Rules that an event must obey before it may change a group or be written in one (NIP-29)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from teleglyph.errors import EventRefusedError
from teleglyph.events.group_metadata import MAX_METADATA, MODERATOR, edited
from teleglyph.events.group_plan import pins_of
from teleglyph.events.group_roles import has_role
from teleglyph.events.room_groups import ROOM_PREFIX
from teleglyph.store.groups import ADMIN, GroupRecord
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent, is_hex, quoted
from teleglyph.wire.nostr.groups import (
    DESCRIPTIONS,
    MODERATION,
    GroupKind,
    group_of,
    is_management,
)

_MAY_MODERATE = frozenset({GroupKind.REMOVE_USER, GroupKind.DELETE_EVENT})
_MAX_AGE = 3600
"""Seconds that ``created_at`` may be in the past."""
_MAX_ID = 256
_MAX_CODE = 256
_MAX_ROLES = 20
_MAX_ROLE = 64
"""Characters."""
_KEY_BYTES = 74
"""Size of a member in a description, without the roles."""
_MAX_ROLES_BYTES = 256 << 10
"""Limit for all members together, because one message describes all admins of a group."""
MAX_GROUPS, MAX_OWN_GROUPS, MAX_MEMBERS, MAX_INVITES, MAX_PINS = 10_000, 20, 10_000, 1000, 100
MAX_ALL_MEMBERS = 200_000
"""Members of all groups together: the relay keeps them in memory, about 300 bytes each."""


def check_group_event(event: NostrEvent, groups: Mapping[str, GroupRecord], now: float) -> None:
    """Check an event against the rules of the group that it belongs to, if any.

    Args:
        event: not the relay's own.
        groups: all groups, by id.
        now: Unix seconds.

    Raises:
        EventRefusedError: it breaks one.
    """
    if event.kind == VANISH:
        return
    if event.kind in DESCRIPTIONS:
        raise EventRefusedError("blocked: only the relay describes its groups")
    if sum(tag[0] == "h" for tag in event.tags) > 1:
        raise EventRefusedError("invalid: an event may have at most one tag h, because it belongs to one group")
    name = group_of(event)
    if name is None:
        if is_management(event.kind):
            raise EventRefusedError(f"invalid: kind {event.kind} needs the tag h with a group's id")
        return
    group = groups.get(name)
    if event.kind == GroupKind.CREATE_GROUP:
        _check_creation(event, name, groups)
    elif group is None:
        if is_management(event.kind):
            raise EventRefusedError(f"invalid: there is no group {quoted(name, 64)} here")
        return
    elif group.is_ended:
        raise EventRefusedError("restricted: this group was deleted")
    elif event.kind in MODERATION:
        _check_moderation(event, group, groups)
    elif event.kind == GroupKind.JOIN_REQUEST:
        _check_join(event, group, groups, now)
    elif event.kind == GroupKind.LEAVE_REQUEST:
        if event.pubkey not in group.members:
            raise EventRefusedError("invalid: you are not a member of this group")
    elif "restricted" in group.flags and event.pubkey not in group.members and event.kind != DELETION:
        # Former members may still delete their own events.
        raise EventRefusedError("restricted: only members may write in this group")
    if event.created_at < now - _MAX_AGE:
        raise EventRefusedError(f"invalid: in groups created_at must be at most {_MAX_AGE} s ago")


def _check_creation(event: NostrEvent, name: str, groups: Mapping[str, GroupRecord]) -> None:
    if name in groups:
        raise EventRefusedError("blocked: a group with this id exists already")
    if name.startswith(ROOM_PREFIX):
        raise EventRefusedError(f"restricted: ids that begin with {ROOM_PREFIX} are reserved for rooms")
    if not name or len(name.encode("utf-8", "replace")) > _MAX_ID or not name.isprintable() or " " in name:
        raise EventRefusedError(f"invalid: a group's id must have 1 to {_MAX_ID} bytes, printable and without spaces")
    own = sum(has_role(one, event.pubkey, ADMIN) for one in groups.values())
    if own >= MAX_OWN_GROUPS or len(groups) >= MAX_GROUPS:
        raise EventRefusedError(f"restricted: at most {MAX_OWN_GROUPS} groups per key and {MAX_GROUPS} in all")
    _check_lasting(event)
    _check_metadata(event, GroupRecord(name, members={event.pubkey: [ADMIN]}), groups)


def _check_moderation(event: NostrEvent, group: GroupRecord, groups: Mapping[str, GroupRecord]) -> None:
    is_admin = has_role(group, event.pubkey, ADMIN)
    if not is_admin and not (event.kind in _MAY_MODERATE and has_role(group, event.pubkey, MODERATOR)):
        raise EventRefusedError("restricted: your role in this group does not allow that")
    if event.kind != GroupKind.CREATE_INVITE:
        _check_lasting(event)
    match event.kind:
        case GroupKind.PUT_USER | GroupKind.REMOVE_USER:
            keys = event.values("p")
            if not keys or len(set(keys)) != len(keys) or not all(map(is_hex, keys)):
                raise EventRefusedError(f"invalid: kind {event.kind} must name public keys in tags p, each once")
            if not is_admin and any(group.members.get(key) for key in keys):
                raise EventRefusedError("restricted: moderators may not remove members with a role")
            if event.kind == GroupKind.PUT_USER:
                _check_room(group, groups, sum(key not in group.members for key in keys))
            if any(len(tag) > 2 + _MAX_ROLES for tag in event.tags):
                raise EventRefusedError(f"invalid: a member has at most {_MAX_ROLES} roles")
            if any(len(role) > _MAX_ROLE for tag in event.tags for role in tag[2:]):
                raise EventRefusedError(f"invalid: a role has at most {_MAX_ROLE} characters")
            _check_size_of_roles(event, group)
        case GroupKind.EDIT_METADATA:
            _check_metadata(event, group, groups)
        case GroupKind.DELETE_EVENT:
            if not event.values("e") or not all(map(is_hex, event.values("e"))):
                raise EventRefusedError(f"invalid: kind {GroupKind.DELETE_EVENT} must name events in tags e")
        case GroupKind.DELETE_GROUP:
            pass
        case GroupKind.CREATE_INVITE:
            codes = event.values("code")
            if len(codes) != 1 or not codes[0].isprintable() or not 1 <= len(codes[0]) <= _MAX_CODE:
                raise EventRefusedError(f"invalid: an invitation must have one tag code of 1 to {_MAX_CODE} characters")
            if len(group.invites) >= MAX_INVITES:
                raise EventRefusedError(f"restricted: a group has at most {MAX_INVITES} invitations")
        case GroupKind.UPDATE_PINS:
            pins = pins_of(event)
            if len(pins) > MAX_PINS or len(set(pins)) != len(pins):
                raise EventRefusedError(f"invalid: at most {MAX_PINS} events may be pinned, each once")
            if not all(is_hex(value) for name, value in pins if name == "e"):
                raise EventRefusedError("invalid: a pinned event is named by its id in a tag e, or its address in a")
        case _:
            raise EventRefusedError(f"invalid: kind {event.kind} is not supported for moderation")


def _check_metadata(event: NostrEvent, group: GroupRecord, groups: Mapping[str, GroupRecord]) -> None:
    record = edited(group, event)
    if len(json.dumps(record.tags)) > MAX_METADATA:
        raise EventRefusedError(f"invalid: a group's metadata may have at most {MAX_METADATA} bytes")
    parents = [tag for tag in event.tags if tag[0] == "parent"]
    if len(parents) > 1:
        raise EventRefusedError("invalid: a group has at most one parent")
    name = next((tag[1] for tag in parents if len(tag) > 1), "")
    if not name:
        return
    parent = groups.get(name)
    if name == group.id or (parent is not None and group.id in _ancestors(parent, groups)):
        raise EventRefusedError("invalid: a group cannot be its own ancestor")
    if parent is None or parent.is_ended:
        raise EventRefusedError(f"invalid: there is no group {quoted(name, 64)} here, so it cannot be the parent")
    if not has_role(parent, event.pubkey, ADMIN):
        raise EventRefusedError("restricted: only an admin of the parent may add a group below it")


def _ancestors(group: GroupRecord | None, groups: Mapping[str, GroupRecord]) -> Iterator[str]:
    seen: set[str] = set()
    while group is not None and group.id not in seen:
        yield group.id
        seen.add(group.id)
        group = groups.get(next((tag[1] for tag in group.tags if tag[0] == "parent"), ""))


def _check_size_of_roles(event: NostrEvent, group: GroupRecord) -> None:
    given = {tag[1]: tag[2:] for tag in event.tags if tag[0] == "p" and len(tag) > 2}
    if not given:
        return
    roles = [*given.values(), *(roles for key, roles in group.members.items() if roles and key not in given)]
    size = sum(len(json.dumps(one)) + _KEY_BYTES for one in roles)
    if size > _MAX_ROLES_BYTES:
        raise EventRefusedError(f"restricted: the roles in a group may take at most {_MAX_ROLES_BYTES >> 10} KiB")


def _check_lasting(event: NostrEvent) -> None:
    if event.expires_at is not None:
        raise EventRefusedError("invalid: moderation events may not expire")


def _check_join(event: NostrEvent, group: GroupRecord, groups: Mapping[str, GroupRecord], now: float) -> None:
    if event.pubkey in group.members:
        raise EventRefusedError("duplicate: you are already a member of this group")
    codes = event.values("code")
    if len(codes) > 1:
        raise EventRefusedError("invalid: a request to join may have at most one tag code")
    valid = {one.code for one in group.invites.values() if one.expires_at is None or one.expires_at > now}
    if "closed" in group.flags and valid.isdisjoint(codes):
        raise EventRefusedError("restricted: this group is closed; join with an invitation code")
    _check_room(group, groups, 1)


def _check_room(group: GroupRecord, groups: Mapping[str, GroupRecord], added: int) -> None:
    """Check that a group, and all groups together, have room for more members."""
    if not added:
        return
    if len(group.members) + added > MAX_MEMBERS:
        raise EventRefusedError(f"restricted: a group has at most {MAX_MEMBERS} members")
    if sum(len(one.members) for one in groups.values()) + added > MAX_ALL_MEMBERS:
        raise EventRefusedError(f"restricted: all groups of this relay have at most {MAX_ALL_MEMBERS} members together")
