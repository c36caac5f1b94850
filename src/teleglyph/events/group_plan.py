"""Changes to groups, as plans: what to write, what holds afterwards, and what the relay publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from teleglyph.store.groups import GroupChange, GroupRecord, Invite
from teleglyph.wire.nostr.event import NostrEvent
from teleglyph.wire.nostr.groups import (
    GroupKind,
)

Template = tuple[int, list[list[str]]]
"""Kind and tags of an event for the relay to sign."""
PEOPLE = (GroupKind.MEMBERS, GroupKind.ADMINS)
DESCRIBED = (GroupKind.METADATA, GroupKind.ADMINS, GroupKind.MEMBERS, GroupKind.ROLES)
"""Events that describe every group."""
OWN_KINDS = (*DESCRIBED, GroupKind.PARTICIPANTS, GroupKind.PINS)
"""All events that the relay publishes about a group."""


@dataclass(slots=True)
class Plan:
    """The changes to groups that an event makes, or that the relay itself makes.

    Attributes:
        changes: to be written.
        records: the new state by id; None: the group is removed.
        described: kinds of events that have to describe the new state, with that state.
        templates: other events that the relay has to publish.
        removed: ids of groups whose descriptions are deleted.
        ended: id of a group whose events have to be erased before it is removed.
    """

    changes: list[GroupChange] = field(default_factory=list)
    records: dict[str, GroupRecord | None] = field(default_factory=dict)
    described: list[tuple[int, GroupRecord]] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ended: str | None = None


def plan_change(record: GroupRecord, change: GroupChange, *described: int) -> Plan:
    return Plan([change], {record.id: record}, [(kind, record) for kind in described])


def plan_members(group: GroupRecord, put: Mapping[str, Sequence[str]], gone: Iterable[str], *described: int) -> Plan:
    removed = [key for key in dict.fromkeys(gone) if key in group.members]
    members = {**group.members, **put}
    for key in removed:
        del members[key]
    record = replace(group, members=members)
    return plan_change(record, GroupChange(group.id, members=put, gone=removed), *(described or PEOPLE))


def plan_revocation(group: GroupRecord, revoked: Iterable[str], erased: Sequence[str] = ()) -> Plan:
    revoked = frozenset(revoked)
    void = [event_id for event_id in group.invites if event_id in revoked]
    invites = {event_id: one for event_id, one in group.invites.items() if event_id not in revoked}
    return plan_change(replace(group, invites=invites), GroupChange(group.id, revoked=void, erased=erased))


def invite_of(event: NostrEvent) -> Invite:
    return Invite(event.id, event.pubkey, event.first("code") or "", event.expires_at)


def pins_of(event: NostrEvent) -> tuple[tuple[str, ...], ...]:
    return tuple((tag[0], tag[1]) for tag in event.tags if tag[0] in ("e", "a") and len(tag) > 1)
