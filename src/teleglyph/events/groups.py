"""Groups that the relay keeps (NIP-29): who belongs to them, who may write, read and moderate.

No clock, no socket, no database, no key.  An event is checked against what holds now; :meth:`Groups.plan` says what
would change with it.  The change is written in the event's own transaction and installed when that is durable.  Only
one event that changes groups is on its way at any time (see :class:`teleglyph.events.ingest.Ingest`), so a plan is
never made on a state that is about to change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from teleglyph.errors import EventRefusedError
from teleglyph.events.group_metadata import FLAGS, MAX_METADATA, edited
from teleglyph.store.groups import ADMIN, GroupChange, GroupRecord, Invite
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent, is_hex, quoted
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import (
    DESCRIPTIONS,
    MODERATION,
    Audience,
    GroupKind,
    audience_of,
    group_of,
    is_management,
)

MODERATOR = "moderator"
_MAY_MODERATE = frozenset({GroupKind.REMOVE_USER, GroupKind.DELETE_EVENT})
_LATE = 3600
_MAX_ID = 256
_MAX_CODE = 256
_MAX_ROLES = 20
_MAX_ROLE = 64
"""Characters."""
_KEY_BYTES = 74
"""Of a member in a description, besides the roles."""
_MAX_ROLES_BYTES = 256 << 10
"""Of all members together: who asks for a group's admins gets them in one message."""
MAX_GROUPS, MAX_OWN_GROUPS, MAX_MEMBERS, MAX_INVITES, MAX_PINS = 10_000, 20, 10_000, 1000, 100
_OF_ROOMS = "room-"
"""Ids of groups that belong to rooms of games begin so; nobody else makes such groups."""
Template = tuple[int, list[list[str]]]
"""Kind and tags of an event for the relay to sign."""
_PEOPLE = (GroupKind.MEMBERS, GroupKind.ADMINS)
_ALL = (GroupKind.METADATA, GroupKind.ADMINS, GroupKind.MEMBERS, GroupKind.ROLES)
OWN_KINDS = (*_ALL, GroupKind.PARTICIPANTS, GroupKind.PINS)
"""What the relay says of a group."""


@dataclass(slots=True)
class Plan:
    """What follows from an event, or from a decision of the relay itself.

    Attributes:
        changes: what is to be written.
        records: what holds afterwards, by id; None: there is no such group.
        described: kinds of events in which the relay has to say what holds afterwards, with the record.
        templates: what the relay has to publish besides.
        removed: ids of groups of which nothing more is said.
        ended: id of a group all of whose events have to be erased before it is removed.
    """

    changes: list[GroupChange] = field(default_factory=list)
    records: dict[str, GroupRecord | None] = field(default_factory=dict)
    described: list[tuple[int, GroupRecord]] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ended: str | None = None


class Groups:
    """All groups of a relay.

    Args:
        own_key: the relay's public key, 64 hexadecimal digits.
    """

    def __init__(self, own_key: str) -> None:
        self.own_key = own_key
        self._groups: dict[str, GroupRecord] = {}
        self._invites: dict[str, str] = {}
        """The group of each invitation, by the id of its event."""

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, name: str | None) -> GroupRecord | None:
        """A group by its id."""
        return self._groups.get(name) if name is not None else None

    # --- what there is already ------------------------------------------------------------------------

    def load(self, records: Iterable[GroupRecord]) -> None:
        """Take over what was kept."""
        self.install(Plan(records={record.id: record for record in records}))

    def adopt(self, events: Iterable[NostrEvent]) -> Plan:
        """Groups of a database from before it had tables for them: from the relay's descriptions and invitations."""
        kept = list(events)
        own = [event for event in kept if event.pubkey == self.own_key and event.address]
        records: dict[str, GroupRecord] = {}
        for event in own:
            if event.kind == GroupKind.METADATA:
                records[event.address or ""] = edited(GroupRecord(event.address or ""), event)
        for kind in _PEOPLE:  # admins after members: they say what roles there are
            for event in own:
                if event.kind == kind and (record := records.get(event.address or "")) is not None:
                    people = {tag[1]: tag[2:] for tag in event.tags if tag[0] == "p" and len(tag) > 1}
                    records[record.id] = replace(record, members={**record.members, **people})
        for event in kept:
            if event.kind == GroupKind.CREATE_INVITE and (record := records.get(event.first("h") or "")) is not None:
                invites = {**record.invites, event.id: _invite_of(event)}
                records[record.id] = replace(record, invites=invites)
        changes = [
            GroupChange(record.id, record, record.members, invites=list(record.invites.values()))
            for record in records.values()
        ]
        return Plan(changes, dict(records))

    def install(self, plan: Plan) -> None:
        """What was planned is durable: it holds from now on."""
        for name, record in plan.records.items():
            for number in self._groups[name].invites if name in self._groups else ():
                self._invites.pop(number, None)
            if record is None:
                self._groups.pop(name, None)
            else:
                self._groups[name] = record
                self._invites.update(dict.fromkeys(record.invites, name))

    def ended(self) -> list[str]:
        """Ids of the groups that were deleted and whose events are still being erased."""
        return [name for name, record in self._groups.items() if record.is_ended]

    def of_rooms(self) -> list[str]:
        """Ids of the groups that belong to rooms of games."""
        return [name for name in self._groups if name.startswith(_OF_ROOMS)]

    def descriptions(self) -> Iterator[tuple[int, GroupRecord]]:
        """What the relay says of all groups: the kinds of events, and what they describe."""
        for record in self._groups.values():
            if not record.is_ended:
                yield from ((kind, record) for kind in (*_ALL, *((GroupKind.PINS,) if record.pins else ())))

    # --- the relay's own decisions --------------------------------------------------------------------

    def make(self, name: str, title: str, admins: Sequence[str]) -> Plan:
        """A group of the relay itself, which has not been there."""
        record = GroupRecord(name, (("name", title),), members={key: [ADMIN] for key in admins})
        return _changed(record, GroupChange(name, record, record.members), *_ALL)

    def remove(self, name: str) -> Plan:
        """A group is gone; what was written in it and is still there belongs to nobody's group."""
        plan = self._orphan_children(name)
        plan.changes.append(GroupChange(name, is_removed=True))
        plan.records[name] = None
        plan.removed.append(name)
        return plan

    def _orphan_children(self, name: str) -> Plan:
        plan = Plan()
        for child in self._groups.values():
            if any(tag[:2] == ("parent", name) for tag in child.tags):
                record = replace(child, tags=tuple(tag for tag in child.tags if tag[0] != "parent"))
                plan.changes.append(GroupChange(child.id, record))
                plan.records[child.id] = record
                plan.described.append((GroupKind.METADATA, record))
        return plan

    # --- writing --------------------------------------------------------------------------------------

    def changes_groups(self, event: NostrEvent) -> bool:
        """Whether an event may change a group, so that nothing else must be decided until it is durable."""
        if event.pubkey == self.own_key:
            return False
        if event.kind == DELETION:
            return any(number in self._invites for number in event.values("e"))
        return is_management(event.kind)

    def check(self, event: NostrEvent, now: float) -> None:
        """Whether an event may come in as far as groups are concerned.

        Args:
            event: of the right form, its signature checked.
            now: Unix seconds.

        Raises:
            EventRefusedError: it may not.
        """
        if event.pubkey == self.own_key or event.kind == VANISH:
            return
        if event.kind in DESCRIPTIONS:
            raise EventRefusedError("blocked: only the relay describes its groups")
        if sum(tag[0] == "h" for tag in event.tags) > 1:
            raise EventRefusedError("invalid: an event belongs to one group: it has at most one tag h")
        name = group_of(event)
        if name is None:
            if is_management(event.kind):
                raise EventRefusedError(f"invalid: kind {event.kind} needs the tag h with a group's id")
            return
        group = self._groups.get(name)
        if event.kind == GroupKind.CREATE_GROUP:
            self._check_creation(event, name, group)
        elif group is None:
            if is_management(event.kind):
                raise EventRefusedError(f"invalid: there is no group {quoted(name, 64)} here")
            return
        elif group.is_ended:
            raise EventRefusedError("restricted: this group was deleted")
        elif event.kind in MODERATION:
            self._check_moderation(event, group)
        elif event.kind == GroupKind.JOIN_REQUEST:
            _check_join(event, group, now)
        elif event.kind == GroupKind.LEAVE_REQUEST:
            if event.pubkey not in group.members:
                raise EventRefusedError("invalid: you are not a member of this group")
        elif "restricted" in group.flags and event.pubkey not in group.members and event.kind != DELETION:
            # Former members may still take back what they wrote.
            raise EventRefusedError("restricted: only members write in this group")
        if event.created_at < now - _LATE:
            raise EventRefusedError(f"invalid: in groups created_at is at most {_LATE} s ago")

    def _check_creation(self, event: NostrEvent, name: str, group: GroupRecord | None) -> None:
        if group is not None:
            raise EventRefusedError("blocked: there is a group with this id already")
        if name.startswith(_OF_ROOMS):
            raise EventRefusedError(f"restricted: ids that begin with {_OF_ROOMS} are for the groups of rooms")
        if not name or len(name.encode("utf-8", "replace")) > _MAX_ID or not name.isprintable() or " " in name:
            raise EventRefusedError(f"invalid: a group's id has 1 to {_MAX_ID} bytes that can be seen")
        own = sum(has_role(one, event.pubkey, ADMIN) for one in self._groups.values())
        if own >= MAX_OWN_GROUPS or len(self._groups) >= MAX_GROUPS:
            raise EventRefusedError(f"restricted: at most {MAX_OWN_GROUPS} groups for one key, {MAX_GROUPS} for all")
        _check_lasting(event)
        self._check_metadata(event, GroupRecord(name, members={event.pubkey: [ADMIN]}))

    def _check_moderation(self, event: NostrEvent, group: GroupRecord) -> None:
        is_admin = has_role(group, event.pubkey, ADMIN)
        if not is_admin and not (event.kind in _MAY_MODERATE and has_role(group, event.pubkey, MODERATOR)):
            raise EventRefusedError("restricted: your role in this group does not allow that")
        if event.kind != GroupKind.CREATE_INVITE:
            _check_lasting(event)
        match event.kind:
            case GroupKind.PUT_USER | GroupKind.REMOVE_USER:
                keys = event.values("p")
                if not keys or len(set(keys)) != len(keys) or not all(map(is_hex, keys)):
                    raise EventRefusedError(f"invalid: kind {event.kind} names public keys in tags p, each once")
                if not is_admin and any(group.members.get(key) for key in keys):
                    raise EventRefusedError("restricted: moderators do not remove those who have a role")
                if (
                    event.kind == GroupKind.PUT_USER
                    and len(group.members) + sum(key not in group.members for key in keys) > MAX_MEMBERS
                ):
                    raise EventRefusedError(f"restricted: a group has at most {MAX_MEMBERS} members")
                if any(len(tag) > 2 + _MAX_ROLES for tag in event.tags):
                    raise EventRefusedError(f"invalid: a member has at most {_MAX_ROLES} roles")
                if any(len(role) > _MAX_ROLE for tag in event.tags for role in tag[2:]):
                    raise EventRefusedError(f"invalid: a role has at most {_MAX_ROLE} characters")
                _check_size_of_roles(event, group)
            case GroupKind.EDIT_METADATA:
                self._check_metadata(event, group)
            case GroupKind.DELETE_EVENT:
                if not event.values("e") or not all(map(is_hex, event.values("e"))):
                    raise EventRefusedError("invalid: kind 9005 names events in tags e")
            case GroupKind.DELETE_GROUP:
                pass
            case GroupKind.CREATE_INVITE:
                codes = event.values("code")
                if len(codes) != 1 or not codes[0].isprintable() or not 1 <= len(codes[0]) <= _MAX_CODE:
                    raise EventRefusedError(f"invalid: an invitation has one tag code of 1 to {_MAX_CODE} characters")
                if len(group.invites) >= MAX_INVITES:
                    raise EventRefusedError(f"restricted: a group has at most {MAX_INVITES} invitations")
            case GroupKind.UPDATE_PINS:
                pins = _pins_of(event)
                if len(pins) > MAX_PINS or len(set(pins)) != len(pins):
                    raise EventRefusedError(f"invalid: at most {MAX_PINS} events are pinned, each once")
                if not all(is_hex(value) for name, value in pins if name == "e"):
                    raise EventRefusedError(
                        "invalid: a pinned event is named by its id in a tag e, or its address in a"
                    )
            case _:
                raise EventRefusedError(f"invalid: moderation of kind {event.kind} is not known here")

    def _check_metadata(self, event: NostrEvent, group: GroupRecord) -> None:
        record = edited(group, event)
        if len(json.dumps(record.tags)) > MAX_METADATA:
            raise EventRefusedError(f"invalid: what is said of a group has at most {MAX_METADATA} bytes")
        parents = [tag for tag in event.tags if tag[0] == "parent"]
        if len(parents) > 1:
            raise EventRefusedError("invalid: a group has at most one parent")
        name = next((tag[1] for tag in parents if len(tag) > 1), "")
        if not name:
            return
        parent = self._groups.get(name)
        if name == group.id or (parent is not None and group.id in self._ancestors(parent)):
            raise EventRefusedError("invalid: a group cannot be below itself")
        if parent is None or parent.is_ended:
            raise EventRefusedError(f"invalid: there is no group {quoted(name, 64)} here to be the parent")
        if not has_role(parent, event.pubkey, ADMIN):
            raise EventRefusedError("restricted: only an admin of the parent puts a group below it")

    def _ancestors(self, group: GroupRecord | None) -> Iterator[str]:
        seen: set[str] = set()
        while group is not None and group.id not in seen:
            yield group.id
            seen.add(group.id)
            group = self.get(next((tag[1] for tag in group.tags if tag[0] == "parent"), None))

    def plan(self, event: NostrEvent) -> Plan | None:
        """What follows from an event that was checked; None for most."""
        if event.pubkey == self.own_key:
            return None
        if event.kind == DELETION:
            return self._revoke(event)
        if event.kind == VANISH:
            return self._forget(event.pubkey)
        name = group_of(event)
        if name is None or not is_management(event.kind):
            return None
        if event.kind == GroupKind.CREATE_GROUP:
            return self._create(event, name)
        group = self._groups.get(name)
        return None if group is None else self._moderate(event, group)

    def _moderate(self, event: NostrEvent, group: GroupRecord) -> Plan:
        match event.kind:
            case GroupKind.PUT_USER:
                people = {tag[1]: tag[2:] for tag in event.tags if tag[0] == "p" and len(tag) > 1}
                return _with_members(group, people, ())
            case GroupKind.REMOVE_USER:
                return _with_members(group, {}, event.values("p"))
            case GroupKind.EDIT_METADATA:
                record = edited(group, event)
                return _changed(record, GroupChange(group.id, record), GroupKind.METADATA)
            case GroupKind.DELETE_EVENT:
                return _without_invites(group, event.values("e"), erased=event.values("e"))
            case GroupKind.DELETE_GROUP:
                return self._end(group)
            case GroupKind.CREATE_INVITE:
                invite = _invite_of(event)
                record = replace(group, invites={**group.invites, event.id: invite})
                return _changed(record, GroupChange(group.id, invites=[invite]))
            case GroupKind.UPDATE_PINS:
                record = replace(group, pins=_pins_of(event))
                return _changed(record, GroupChange(group.id, record), GroupKind.PINS)
            case GroupKind.JOIN_REQUEST:
                plan = _with_members(group, {event.pubkey: []}, (), GroupKind.MEMBERS)
                plan.templates.insert(0, (GroupKind.PUT_USER, [["h", group.id], ["p", event.pubkey]]))
                return plan
            case _:
                plan = _with_members(group, {}, [event.pubkey])
                plan.templates.insert(0, (GroupKind.REMOVE_USER, [["h", group.id], ["p", event.pubkey]]))
                return plan

    def _create(self, event: NostrEvent, name: str) -> Plan:
        record = edited(GroupRecord(name, members={event.pubkey: [ADMIN]}), event)
        if not any(tag[0] == "name" for tag in record.tags):
            record = replace(record, tags=(("name", name), *record.tags))
        plan = _changed(record, GroupChange(name, record, record.members), *_ALL)
        plan.templates.insert(0, (GroupKind.PUT_USER, [["h", name], ["p", event.pubkey, ADMIN]]))
        return plan

    def _end(self, group: GroupRecord) -> Plan:
        """Closed to everybody until nothing is left of it, or what was private would be public for a moment."""
        record = replace(group, flags=frozenset(FLAGS), members={}, invites={}, pins=(), is_ended=True)
        plan = self._orphan_children(group.id)
        change = GroupChange(group.id, record, gone=list(group.members), revoked=list(group.invites))
        plan.changes.append(change)
        plan.records[group.id] = record
        plan.ended = group.id
        return plan

    def _revoke(self, event: NostrEvent) -> Plan:
        """An admin deletes invitations of their own, which are void then."""
        plan = Plan()
        numbers = set(event.values("e"))
        for name in {self._invites[number] for number in numbers if number in self._invites}:
            own = [number for number, one in self._groups[name].invites.items() if one.author == event.pubkey]
            part = _without_invites(self._groups[name], numbers.intersection(own))
            plan.changes += part.changes
            plan.records.update(part.records)
        return plan

    def _forget(self, pubkey: str) -> Plan:
        """Somebody vanishes: they leave all groups without a trace, and their invitations are void."""
        plan = Plan()
        for group in self._groups.values():
            invites = {number: one for number, one in group.invites.items() if one.author != pubkey}
            revoked = [number for number in group.invites if number not in invites]
            if pubkey not in group.members and not revoked:
                continue
            members = {key: roles for key, roles in group.members.items() if key != pubkey}
            record = replace(group, members=members, invites=invites)
            plan.changes.append(GroupChange(group.id, gone=[pubkey], revoked=revoked))
            plan.records[group.id] = record
            plan.described += [(kind, record) for kind in _PEOPLE]
        return plan

    # --- reading --------------------------------------------------------------------------------------

    def may_read(self, event: NostrEvent, readers: Set[str]) -> bool:
        """Whether an event may be shown to somebody who proved these public keys."""
        return may_read(event, self.get(group_of(event)), readers)

    def check_question(self, wanted: Filter, readers: Set[str]) -> None:
        """Whether a filter may ask for the groups that it names.

        Raises:
            EventRefusedError: one of them is private.
        """
        for name in wanted.tags.get("h", ()):
            group = self._groups.get(name)
            if group is not None and "private" in group.flags and group.members.keys().isdisjoint(readers):
                prefix = "restricted" if readers else "auth-required"
                raise EventRefusedError(f"{prefix}: only members read in this group")


def may_read(event: NostrEvent, group: GroupRecord | None, readers: Set[str]) -> bool:
    """Whether an event of a group, or of none, may be shown to somebody who proved these public keys.

    Says the same of one event as :func:`teleglyph.store.readers.visible_to` says of stored ones.
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
    """Whether somebody has a role in a group."""
    return role in group.members.get(pubkey, ())


def describe(group: GroupRecord, kind: int) -> list[list[str]]:
    """A group's state in the relay's words: the tags of an event of this kind."""
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


def room_group(game: str, room: str) -> str:
    """The id of the group of a game's room: readable if the names are, else a hash of them."""
    name = f"{_OF_ROOMS}{game}-{room}"
    readable = set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if "-" not in game and len(name) <= 64 and readable.issuperset(name):
        return name
    return _OF_ROOMS + hashlib.sha256(f"{len(game)} {game} {room}".encode()).hexdigest()[:32]


def _changed(record: GroupRecord, change: GroupChange, *described: int) -> Plan:
    return Plan([change], {record.id: record}, [(kind, record) for kind in described])


def _with_members(group: GroupRecord, put: Mapping[str, Sequence[str]], gone: Iterable[str], *described: int) -> Plan:
    removed = [key for key in dict.fromkeys(gone) if key in group.members]
    members = {**group.members, **put}
    for key in removed:
        del members[key]
    record = replace(group, members=members)
    return _changed(record, GroupChange(group.id, members=put, gone=removed), *(described or _PEOPLE))


def _without_invites(group: GroupRecord, revoked: Iterable[str], erased: Sequence[str] = ()) -> Plan:
    revoked = frozenset(revoked)
    void = [number for number in group.invites if number in revoked]
    invites = {number: one for number, one in group.invites.items() if number not in revoked}
    return _changed(replace(group, invites=invites), GroupChange(group.id, revoked=void, erased=erased))


def _invite_of(event: NostrEvent) -> Invite:
    return Invite(event.id, event.pubkey, event.first("code") or "", event.expires_at)


def _pins_of(event: NostrEvent) -> tuple[tuple[str, ...], ...]:
    return tuple((tag[0], tag[1]) for tag in event.tags if tag[0] in ("e", "a") and len(tag) > 1)


def _check_size_of_roles(event: NostrEvent, group: GroupRecord) -> None:
    given = {tag[1]: tag[2:] for tag in event.tags if tag[0] == "p" and len(tag) > 2}
    if not given:
        return
    roles = [*given.values(), *(roles for key, roles in group.members.items() if roles and key not in given)]
    size = sum(len(json.dumps(one)) + _KEY_BYTES for one in roles)
    if size > _MAX_ROLES_BYTES:
        raise EventRefusedError(f"restricted: the roles in a group take at most {_MAX_ROLES_BYTES >> 10} KiB")


def _check_lasting(event: NostrEvent) -> None:
    if event.expires_at is not None:
        raise EventRefusedError("invalid: what is decided about a group does not expire")


def _check_join(event: NostrEvent, group: GroupRecord, now: float) -> None:
    if event.pubkey in group.members:
        raise EventRefusedError("duplicate: you are a member of this group already")
    codes = event.values("code")
    if len(codes) > 1:
        raise EventRefusedError("invalid: a request to join has at most one tag code")
    valid = {one.code for one in group.invites.values() if one.expires_at is None or one.expires_at > now}
    if "closed" in group.flags and valid.isdisjoint(codes):
        raise EventRefusedError("restricted: this group is closed; it takes an invitation's code")
    if len(group.members) >= MAX_MEMBERS:
        raise EventRefusedError(f"restricted: a group has at most {MAX_MEMBERS} members")
