"""Groups that the relay keeps (NIP-29): who belongs to them, who may write, read and moderate.

No clock, no socket, no key: an event is checked, and once it is durable applied; what the relay has to publish because
of it comes back as templates.  The state is that of the relay's own events 39000 to 39002 and of the invitations, so a
restart finds it again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from teleglyph.errors import EventRefused
from teleglyph.wire.nostr import CREATE_GROUP, DELETION, NostrEvent, is_hex
from teleglyph.wire.nostr_filter import Filter

PUT_USER, REMOVE_USER, EDIT_METADATA, DELETE_EVENT = 9000, 9001, 9002, 9005
CREATE, DELETE_GROUP, INVITE = CREATE_GROUP, 9008, 9009
JOIN, LEAVE = 9021, 9022
METADATA, ADMINS, MEMBERS, ROLES = 39000, 39001, 39002, 39003
ADMIN, MODERATOR = "admin", "moderator"
_MODERATION = range(9000, 9021)
_DESCRIPTIONS = range(39000, 39010)
_ID = re.compile(r"[a-z0-9_-]{1,64}")
_TEXTS = ("name", "about", "picture")
_FLAGS = ("private", "restricted", "hidden", "closed")
_MAY_MODERATE = frozenset({REMOVE_USER, DELETE_EVENT})
_LATE = 3600
_LONGEST_TEXT = 2000
MAX_GROUPS, MAX_OWN_GROUPS, MAX_MEMBERS, MAX_INVITES = 10_000, 20, 10_000, 1000
_OF_ROOMS = "room-"
"""Ids of groups that belong to rooms of games begin so; nobody else makes such groups."""
Template = tuple[int, list[list[str]]]
"""Kind and tags of an event for the relay to sign."""


@dataclass(slots=True)
class Group:
    """One group.

    Attributes:
        id: the ``h`` tag of its events.
        texts: name, about, picture.
        flags: of private, restricted, hidden and closed those that hold.
        members: their roles by public key.
        invites: codes that let somebody into a closed group.
    """

    id: str
    texts: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    members: dict[str, list[str]] = field(default_factory=dict)
    invites: set[str] = field(default_factory=set)

    def has_role(self, pubkey: str, *roles: str) -> bool:
        """Whether somebody has one of these roles."""
        return not set(roles).isdisjoint(self.members.get(pubkey, ()))

    def describe(self, *kinds: int) -> list[Template]:
        """The group's state in the relay's words."""
        admins = {key: roles for key, roles in self.members.items() if roles}
        written: dict[int, list[list[str]]] = {
            METADATA: [
                *([name, text] for name, text in self.texts.items() if text),
                *([flag] for flag in _FLAGS if flag in self.flags),
            ],
            ADMINS: [["p", key, *roles] for key, roles in admins.items()],
            MEMBERS: [["p", key] for key in self.members],
            ROLES: [
                ["role", ADMIN, "changes everything about the group"],
                ["role", MODERATOR, "removes members and messages"],
            ],
        }
        return [(kind, [["d", self.id], *written[kind]]) for kind in kinds]


@dataclass(slots=True)
class Effects:
    """What follows from an event.

    Attributes:
        templates: what the relay has to publish.
        erased: a group, and the ids of those of its events that have to go.
        ended: id of a group all of whose events have to go; then :meth:`Groups.forget` it.
    """

    templates: list[Template] = field(default_factory=list)
    erased: tuple[str, list[str]] | None = None
    ended: str | None = None


class Groups:
    """All groups of a relay.

    Args:
        own_key: the relay's public key, 64 hexadecimal digits.
    """

    def __init__(self, own_key: str) -> None:
        self.own_key = own_key
        self._groups: dict[str, Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def get(self, name: str) -> Group | None:
        """A group by its id."""
        return self._groups.get(name)

    # --- what there is already ------------------------------------------------------------------------

    def load(self, events: Iterable[NostrEvent]) -> None:
        """Take the state over from events that were kept: the relay's descriptions, and invitations of groups."""
        kept = list(events)
        for event in kept:
            if event.pubkey == self.own_key and event.kind == METADATA and (name := event.address):
                group = self._groups[name] = Group(name)
                _read_metadata(group, event)
        for event in kept:
            if event.pubkey == self.own_key and (described := self._groups.get(event.address or "")) is not None:
                if event.kind == MEMBERS:
                    for key in event.values("p"):
                        described.members.setdefault(key, [])
                elif event.kind == ADMINS:
                    for tag in event.tags:
                        if tag[0] == "p" and len(tag) > 1:
                            described.members[tag[1]] = tag[2:]
            elif event.kind == INVITE and (invited := self._groups.get(event.first("h") or "")) is not None:
                invited.invites.update(event.values("code"))

    def make(self, name: str, texts: dict[str, str], admins: Sequence[str]) -> list[Template]:
        """A group of the relay itself, which has not been there; what is to be published."""
        group = self._groups[name] = Group(name, texts, set(), {key: [ADMIN] for key in admins})
        return group.describe(METADATA, ADMINS, MEMBERS, ROLES)

    def of_rooms(self) -> list[str]:
        """Ids of the groups that belong to rooms of games."""
        return [name for name in self._groups if name.startswith(_OF_ROOMS)]

    # --- writing --------------------------------------------------------------------------------------

    def check(self, event: NostrEvent, now: float) -> None:
        """Whether an event may come in as far as groups are concerned.

        Args:
            now: Unix seconds.

        Raises:
            EventRefused: it may not.
        """
        if event.pubkey == self.own_key:
            return
        if event.kind in _DESCRIPTIONS:
            raise EventRefused("blocked: only the relay describes its groups")
        name = event.first("h")
        is_managing = event.kind in _MODERATION or event.kind in (JOIN, LEAVE)
        if name is None:
            if is_managing:
                raise EventRefused(f"invalid: kind {event.kind} needs the tag h with a group's id")
            return
        group = self._groups.get(name)
        if event.kind == CREATE:
            self._check_creation(event, name, group)
        elif group is None:
            if is_managing:
                raise EventRefused(f"invalid: there is no group {name[:64]!r} here")
            return
        elif event.kind in _MODERATION:
            self._check_moderation(event, group)
        elif event.kind == JOIN:
            _check_join(event, group)
        elif event.kind == LEAVE:
            if event.pubkey not in group.members:
                raise EventRefused("invalid: you are no member of this group")
        elif "restricted" in group.flags and event.pubkey not in group.members:
            raise EventRefused("restricted: only members write in this group")
        if event.created_at < now - _LATE:
            raise EventRefused(f"invalid: in groups created_at is at most {_LATE} s ago")

    def _check_creation(self, event: NostrEvent, name: str, group: Group | None) -> None:
        if group is not None:
            raise EventRefused("blocked: there is a group with this id already")
        if name.startswith(_OF_ROOMS):
            raise EventRefused(f"restricted: ids that begin with {_OF_ROOMS} are for the groups of rooms")
        if not _ID.fullmatch(name):
            raise EventRefused("invalid: a group's id has 1 to 64 of the characters a-z 0-9 - _")
        own = sum(one.has_role(event.pubkey, ADMIN) for one in self._groups.values())
        if own >= MAX_OWN_GROUPS or len(self._groups) >= MAX_GROUPS:
            raise EventRefused(f"restricted: at most {MAX_OWN_GROUPS} groups for one, {MAX_GROUPS} for all")

    @staticmethod
    def _check_moderation(event: NostrEvent, group: Group) -> None:
        is_admin = group.has_role(event.pubkey, ADMIN)
        if not is_admin and not (event.kind in _MAY_MODERATE and group.has_role(event.pubkey, MODERATOR)):
            raise EventRefused("restricted: your role in this group does not allow that")
        match event.kind:
            case 9000 | 9001:
                keys = event.values("p")
                if not keys or not all(map(is_hex, keys)):
                    raise EventRefused(f"invalid: kind {event.kind} names public keys in tags p")
                if not is_admin and any(group.members.get(key) for key in keys):
                    raise EventRefused("restricted: moderators do not remove those who have a role")
                if event.kind == PUT_USER and len(group.members) + len(keys) > MAX_MEMBERS:
                    raise EventRefused(f"restricted: a group has at most {MAX_MEMBERS} members")
            case 9002 | 9008:
                pass
            case 9005:
                if not event.values("e") or not all(map(is_hex, event.values("e"))):
                    raise EventRefused("invalid: kind 9005 names events in tags e")
            case 9009:
                if not event.first("code"):
                    raise EventRefused("invalid: an invitation has a tag code")
                if len(group.invites) >= MAX_INVITES:
                    raise EventRefused(f"restricted: a group has at most {MAX_INVITES} invitations")
            case _:
                raise EventRefused(f"invalid: nothing is known here of the moderation of kind {event.kind}")

    def apply(self, event: NostrEvent) -> Effects | None:
        """What follows from an event that was checked and is durable; None for most."""
        name = event.first("h")
        if name is None or not (event.kind in _MODERATION or event.kind in (JOIN, LEAVE)):
            return None
        if event.kind == CREATE and name not in self._groups:
            return Effects(self._create(event, name))
        group = self._groups.get(name)
        if group is None or event.pubkey == self.own_key:
            return None
        people = [MEMBERS, ADMINS]
        match event.kind:
            case 9000:
                for tag in event.tags:
                    if tag[0] == "p" and len(tag) > 1:
                        group.members[tag[1]] = tag[2:]
                return Effects(group.describe(*people))
            case 9001:
                for key in event.values("p"):
                    group.members.pop(key, None)
                return Effects(group.describe(*people))
            case 9002:
                _read_metadata(group, event)
                return Effects(group.describe(METADATA))
            case 9005:
                return Effects(erased=(name, event.values("e")))
            case 9008:
                # Closed to everybody until nothing is left of it, or what was private would be public for a moment.
                group.members.clear()
                group.flags.update(_FLAGS)
                return Effects(ended=name)
            case 9009:
                group.invites.update(event.values("code"))
            case 9021:
                group.members.setdefault(event.pubkey, [])
                return Effects([(PUT_USER, [["h", name], ["p", event.pubkey]]), *group.describe(MEMBERS)])
            case 9022:
                group.members.pop(event.pubkey, None)
                return Effects([(REMOVE_USER, [["h", name], ["p", event.pubkey]]), *group.describe(*people)])
        return None

    def forget(self, name: str) -> list[Template]:
        """A group whose events are all gone is gone itself; what is to be published."""
        self._groups.pop(name, None)
        addresses = [["a", f"{kind}:{self.own_key}:{name}"] for kind in (METADATA, ADMINS, MEMBERS, ROLES)]
        return [(DELETION, addresses)]

    def _create(self, event: NostrEvent, name: str) -> list[Template]:
        group = self._groups[name] = Group(name, members={event.pubkey: [ADMIN]})
        _read_metadata(group, event)
        group.texts.setdefault("name", name)
        return group.describe(METADATA, ADMINS, MEMBERS, ROLES)

    # --- reading --------------------------------------------------------------------------------------

    def may_read(self, event: NostrEvent, authenticated: Set[str]) -> bool:
        """Whether an event may be shown to somebody who proved these public keys."""
        if event.pubkey in authenticated:
            return True
        name = event.first("h")
        if name is not None and (group := self._groups.get(name)) is not None:
            if event.kind in (INVITE, JOIN):
                return any(group.has_role(key, ADMIN) for key in authenticated)
            if "private" in group.flags:
                return not authenticated.isdisjoint(group.members)
        elif event.kind in _DESCRIPTIONS and event.pubkey == self.own_key:
            described = self._groups.get(event.address or "")
            if described is not None and "hidden" in described.flags:
                return not authenticated.isdisjoint(described.members)
        return True

    def check_question(self, wanted: Filter, authenticated: Set[str]) -> None:
        """Whether a filter may ask for the groups that it names.

        Raises:
            EventRefused: one of them is private.
        """
        for name in wanted.tags.get("h", ()):
            group = self._groups.get(name)
            if group is not None and "private" in group.flags and authenticated.isdisjoint(group.members):
                prefix = "restricted" if authenticated else "auth-required"
                raise EventRefused(f"{prefix}: only members read in this group")


def room_group(game: str, room: str) -> str:
    """The id of the group of a game's room: readable if the names are, else a hash of them."""
    name = f"{_OF_ROOMS}{game}-{room}"
    if "-" not in game and _ID.fullmatch(name):
        return name
    return _OF_ROOMS + hashlib.sha256(f"{len(game)} {game} {room}".encode()).hexdigest()[:32]


def _check_join(event: NostrEvent, group: Group) -> None:
    if event.pubkey in group.members:
        raise EventRefused("duplicate: you are a member of this group already")
    if "closed" in group.flags and group.invites.isdisjoint(event.values("code")):
        raise EventRefused("restricted: this group is closed; it takes an invitation's code")
    if len(group.members) >= MAX_MEMBERS:
        raise EventRefused(f"restricted: a group has at most {MAX_MEMBERS} members")


def _read_metadata(group: Group, event: NostrEvent) -> None:
    for name in _TEXTS:
        if (text := event.first(name)) is not None:
            group.texts[name] = text[:_LONGEST_TEXT]
    if event.kind != CREATE or any(tag[0] in _FLAGS for tag in event.tags):
        group.flags = {tag[0] for tag in event.tags if tag[0] in _FLAGS}
