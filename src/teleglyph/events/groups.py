"""The relay's groups (NIP-29): their members, and the changes that events make.

No clock, no socket, no database, no key.  An event is checked against the current state; :meth:`Groups.plan` has the
changes it would make.  They are written in the event's own transaction and installed once that is durable.  Only
one event that changes groups is stored at a time (see :class:`teleglyph.events.ingest.Ingest`), so the state does not
change between a plan and its installation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from teleglyph.errors import EventRefusedError
from teleglyph.events.group_admission import check_group_event
from teleglyph.events.group_metadata import FLAGS, edited
from teleglyph.events.group_plan import (
    DESCRIBED,
    PEOPLE,
    Plan,
    invite_of,
    pins_of,
    plan_change,
    plan_members,
    plan_revocation,
)
from teleglyph.events.group_roles import may_read
from teleglyph.events.room_groups import ROOM_PREFIX
from teleglyph.store.groups import ADMIN, GroupChange, GroupRecord
from teleglyph.wire.nostr.event import DELETION, VANISH, NostrEvent
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import (
    GroupKind,
    group_of,
    is_management,
)


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

    # --- the current state ----------------------------------------------------------------------------

    def load(self, records: Iterable[GroupRecord]) -> None:
        """Install stored groups."""
        self.install(Plan(records={record.id: record for record in records}))

    def adopt(self, events: Iterable[NostrEvent]) -> Plan:
        """Restore groups from descriptions and invitations, as in a database from before it had tables for groups."""
        kept = list(events)
        own = [event for event in kept if event.pubkey == self.own_key and event.address]
        records: dict[str, GroupRecord] = {}
        for event in own:
            if event.kind == GroupKind.METADATA:
                records[event.address or ""] = edited(GroupRecord(event.address or ""), event)
        for kind in PEOPLE:  # admins after members, because they have the roles
            for event in own:
                if event.kind == kind and (record := records.get(event.address or "")) is not None:
                    people = {tag[1]: tag[2:] for tag in event.tags if tag[0] == "p" and len(tag) > 1}
                    records[record.id] = replace(record, members={**record.members, **people})
        for event in kept:
            if event.kind == GroupKind.CREATE_INVITE and (record := records.get(event.first("h") or "")) is not None:
                invites = {**record.invites, event.id: invite_of(event)}
                records[record.id] = replace(record, invites=invites)
        changes = [
            GroupChange(record.id, record, record.members, invites=list(record.invites.values()))
            for record in records.values()
        ]
        return Plan(changes, dict(records))

    def install(self, plan: Plan) -> None:
        """Apply a plan that is durable."""
        for name, record in plan.records.items():
            for event_id in self._groups[name].invites if name in self._groups else ():
                self._invites.pop(event_id, None)
            if record is None:
                self._groups.pop(name, None)
            else:
                self._groups[name] = record
                self._invites.update(dict.fromkeys(record.invites, name))

    def ended(self) -> list[str]:
        """Ids of deleted groups whose events are still being erased."""
        return [name for name, record in self._groups.items() if record.is_ended]

    def of_rooms(self) -> list[str]:
        """Ids of the groups that belong to rooms of games."""
        return [name for name in self._groups if name.startswith(ROOM_PREFIX)]

    def descriptions(self) -> Iterator[tuple[int, GroupRecord]]:
        """The kinds of events that describe each group, with the group."""
        for record in self._groups.values():
            if not record.is_ended:
                yield from ((kind, record) for kind in (*DESCRIBED, *((GroupKind.PINS,) if record.pins else ())))

    # --- the relay's own decisions --------------------------------------------------------------------

    def plan_own_group(self, name: str, title: str, admins: Sequence[str]) -> Plan:
        """Plan a new group of the relay itself."""
        record = GroupRecord(name, (("name", title),), members={key: [ADMIN] for key in admins})
        return plan_change(record, GroupChange(name, record, record.members), *DESCRIBED)

    def plan_removal(self, name: str) -> Plan:
        """Plan the removal of a group; messages that are still stored then belong to no group."""
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

    def check(self, event: NostrEvent, now: float) -> None:
        """Check an event against the rules of groups.

        Args:
            event: of the right form, its signature checked.
            now: Unix seconds.

        Raises:
            EventRefusedError: it breaks one.
        """
        if event.pubkey != self.own_key:
            check_group_event(event, self._groups, now)

    def changes_groups(self, event: NostrEvent) -> bool:
        """Whether an event may change a group, so that no other event may be checked until it is durable."""
        if event.pubkey == self.own_key:
            return False
        if event.kind == DELETION:
            return any(event_id in self._invites for event_id in event.values("e"))
        return is_management(event.kind)

    def plan(self, event: NostrEvent) -> Plan | None:
        """Plan the changes that a checked event makes; None for most events."""
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
                return plan_members(group, people, ())
            case GroupKind.REMOVE_USER:
                return plan_members(group, {}, event.values("p"))
            case GroupKind.EDIT_METADATA:
                record = edited(group, event)
                return plan_change(record, GroupChange(group.id, record), GroupKind.METADATA)
            case GroupKind.DELETE_EVENT:
                return plan_revocation(group, event.values("e"), erased=event.values("e"))
            case GroupKind.DELETE_GROUP:
                return self._end(group)
            case GroupKind.CREATE_INVITE:
                invite = invite_of(event)
                record = replace(group, invites={**group.invites, event.id: invite})
                return plan_change(record, GroupChange(group.id, invites=[invite]))
            case GroupKind.UPDATE_PINS:
                record = replace(group, pins=pins_of(event))
                return plan_change(record, GroupChange(group.id, record), GroupKind.PINS)
            case GroupKind.JOIN_REQUEST:
                plan = plan_members(group, {event.pubkey: []}, (), GroupKind.MEMBERS)
                plan.templates.insert(0, (GroupKind.PUT_USER, [["h", group.id], ["p", event.pubkey]]))
                return plan
            case _:
                plan = plan_members(group, {}, [event.pubkey])
                plan.templates.insert(0, (GroupKind.REMOVE_USER, [["h", group.id], ["p", event.pubkey]]))
                return plan

    def _create(self, event: NostrEvent, name: str) -> Plan:
        record = edited(GroupRecord(name, members={event.pubkey: [ADMIN]}), event)
        if not any(tag[0] == "name" for tag in record.tags):
            record = replace(record, tags=(("name", name), *record.tags))
        plan = plan_change(record, GroupChange(name, record, record.members), *DESCRIBED)
        plan.templates.insert(0, (GroupKind.PUT_USER, [["h", name], ["p", event.pubkey, ADMIN]]))
        return plan

    def _end(self, group: GroupRecord) -> Plan:
        """Close a group to everybody until its events are erased, or private events would be public for a moment."""
        record = replace(group, flags=frozenset(FLAGS), members={}, invites={}, pins=(), is_ended=True)
        plan = self._orphan_children(group.id)
        change = GroupChange(group.id, record, gone=list(group.members), revoked=list(group.invites))
        plan.changes.append(change)
        plan.records[group.id] = record
        plan.ended = group.id
        return plan

    def _revoke(self, event: NostrEvent) -> Plan:
        """Revoke the invitations that an admin of theirs deletes."""
        plan = Plan()
        event_ids = set(event.values("e"))
        for name in {self._invites[event_id] for event_id in event_ids if event_id in self._invites}:
            own = [event_id for event_id, one in self._groups[name].invites.items() if one.author == event.pubkey]
            part = plan_revocation(self._groups[name], event_ids.intersection(own))
            plan.changes += part.changes
            plan.records.update(part.records)
        return plan

    def _forget(self, pubkey: str) -> Plan:
        """Remove an author who vanishes from all groups, and revoke their invitations."""
        plan = Plan()
        for group in self._groups.values():
            invites = {event_id: one for event_id, one in group.invites.items() if one.author != pubkey}
            revoked = [event_id for event_id in group.invites if event_id not in invites]
            if pubkey not in group.members and not revoked:
                continue
            members = {key: roles for key, roles in group.members.items() if key != pubkey}
            record = replace(group, members=members, invites=invites)
            plan.changes.append(GroupChange(group.id, gone=[pubkey], revoked=revoked))
            plan.records[group.id] = record
            plan.described += [(kind, record) for kind in PEOPLE]
        return plan

    # --- reading --------------------------------------------------------------------------------------

    def may_read(self, event: NostrEvent, readers: Set[str]) -> bool:
        """Whether a client that proved these public keys may read an event."""
        return may_read(event, self.get(group_of(event)), readers)

    def check_filter(self, wanted: Filter, readers: Set[str]) -> None:
        """Check that a client may read the groups that a filter names.

        Raises:
            EventRefusedError: one of them is private.
        """
        for name in wanted.tags.get("h", ()):
            group = self._groups.get(name)
            if group is not None and "private" in group.flags and group.members.keys().isdisjoint(readers):
                prefix = "restricted" if readers else "auth-required"
                raise EventRefusedError(f"{prefix}: only members may read in this group")
