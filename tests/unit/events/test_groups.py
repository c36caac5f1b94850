"""Groups: who may do what, what follows from it, who sees it, and that a restart changes nothing."""

from __future__ import annotations

import pytest

from teleglyph.errors import EventRefused
from teleglyph.events.groups import ADMINS, MEMBERS, METADATA, ROLES, Effects, Groups, room_group
from teleglyph.wire.nostr import NostrEvent, sign_event
from teleglyph.wire.nostr_filter import Filter

RELAY, ANN, BOB, EVE = (bytes([number]) * 32 for number in (9, 1, 2, 3))
NOW = 10_000


def pub(key: bytes) -> str:
    return sign_event(key, 1, 1).pubkey


class Place:
    """Groups with a relay around them."""

    def __init__(self) -> None:
        self.groups = Groups(pub(RELAY))
        self.kept: list[NostrEvent] = []
        self.clock = NOW

    def say(self, key: bytes, kind: int, *tags: list[str], at: int = NOW, group: str = "g") -> Effects | None:
        event = sign_event(key, at, kind, [["h", group], *tags])
        self.groups.check(event, NOW)
        self.kept.append(event)
        effects = self.groups.apply(event)
        for made, described in effects.templates if effects else []:
            self.clock += 1
            self.kept.append(sign_event(RELAY, self.clock, made, described))
        return effects

    def refused(self, key: bytes, kind: int, *tags: list[str], at: int = NOW, group: str = "g") -> str:
        with pytest.raises(EventRefused) as caught:
            self.say(key, kind, *tags, at=at, group=group)
        return str(caught.value)

    def described(self, kind: int) -> list[list[str]]:
        return [event for event in self.kept if event.kind == kind][-1].tags

    def reads(self, event: NostrEvent, *keys: bytes) -> bool:
        return self.groups.may_read(event, {pub(key) for key in keys})


@pytest.fixture
def place() -> Place:
    """Ann's group."""
    place = Place()
    place.say(ANN, 9007, ["name", "Friends"])
    return place


def test_whoever_makes_a_group_runs_it(place: Place) -> None:
    assert place.described(METADATA) == [["d", "g"], ["name", "Friends"]]
    assert place.described(ADMINS) == [["d", "g"], ["p", pub(ANN), "admin"]]
    assert place.described(MEMBERS) == [["d", "g"], ["p", pub(ANN)]]
    assert place.described(ROLES)[1][:2] == ["role", "admin"]
    assert place.refused(BOB, 9007) == "blocked: there is a group with this id already"
    assert place.refused(BOB, 9007, group="No Good").startswith("invalid: a group's id")
    for number in range(19):
        place.say(ANN, 9007, group=f"g{number}")
    assert place.refused(ANN, 9007, group="more").startswith("restricted: at most 20 groups")


def test_everybody_writes_in_an_open_group_and_members_in_a_restricted_one(place: Place) -> None:
    place.say(BOB, 9)
    place.say(ANN, 9002, ["restricted"])
    assert place.refused(BOB, 9) == "restricted: only members write in this group"
    place.say(ANN, 9000, ["p", pub(BOB)])
    place.say(BOB, 9)
    assert place.described(MEMBERS) == [["d", "g"], ["p", pub(ANN)], ["p", pub(BOB)]]
    place.say(ANN, 9001, ["p", pub(BOB)])
    assert place.refused(BOB, 9).startswith("restricted")
    assert place.described(METADATA) == [["d", "g"], ["name", "Friends"], ["restricted"]]


def test_joining_and_leaving(place: Place) -> None:
    effects = place.say(BOB, 9021)
    assert effects is not None
    assert effects.templates[0] == (9000, [["h", "g"], ["p", pub(BOB)]])
    assert place.refused(BOB, 9021).startswith("duplicate: ")
    effects = place.say(BOB, 9022)
    assert effects is not None
    assert effects.templates[0] == (9001, [["h", "g"], ["p", pub(BOB)]])
    assert place.described(MEMBERS) == [["d", "g"], ["p", pub(ANN)]]
    assert place.refused(BOB, 9022).startswith("invalid: you are no member")


def test_a_closed_group_takes_an_invitation(place: Place) -> None:
    place.say(ANN, 9002, ["closed"])
    assert place.refused(BOB, 9021).startswith("restricted: this group is closed")
    assert place.refused(BOB, 9009, ["code", "x"]).startswith("restricted: your role")
    place.say(ANN, 9009, ["code", "sesame"])
    assert place.refused(BOB, 9021, ["code", "open"]).startswith("restricted")
    place.say(BOB, 9021, ["code", "sesame"])
    invitation = next(event for event in place.kept if event.kind == 9009)
    request = next(event for event in place.kept if event.kind == 9021)
    assert place.reads(invitation, ANN)
    assert not place.reads(invitation, BOB), "codes are for admins"
    assert not place.reads(invitation)
    assert place.reads(request, BOB)
    assert not place.reads(request, EVE)


def test_roles_allow_what_they_say(place: Place) -> None:
    target = "ab" * 32
    for kind, tags in ((9000, ["p", pub(EVE)]), (9001, ["p", pub(ANN)]), (9005, ["e", target]), (9002, ["name", "x"])):
        assert place.refused(BOB, kind, tags).startswith("restricted: your role")
    place.say(ANN, 9000, ["p", pub(BOB), "moderator"])
    assert place.described(ADMINS)[1:] == [["p", pub(ANN), "admin"], ["p", pub(BOB), "moderator"]]
    place.say(ANN, 9000, ["p", pub(EVE)])
    effects = place.say(BOB, 9005, ["e", target])
    assert effects is not None
    assert effects.erased == ("g", [target])
    assert place.refused(BOB, 9001, ["p", pub(ANN)]).startswith("restricted: moderators do not")
    place.say(BOB, 9001, ["p", pub(EVE)])
    assert place.refused(BOB, 9000, ["p", pub(EVE)]).startswith("restricted: your role")
    assert place.refused(BOB, 9008).startswith("restricted")
    assert place.refused(ANN, 9010).startswith("invalid: nothing is known")
    assert place.refused(ANN, 9000, ["p", "junk"]).startswith("invalid")
    assert place.refused(ANN, 9005).startswith("invalid")
    assert place.refused(ANN, 9009).startswith("invalid")


def test_private_and_hidden_groups_are_for_members(place: Place) -> None:
    place.say(BOB, 9)
    message = place.kept[-1]
    assert place.reads(message)
    place.say(ANN, 9002, ["private"], ["hidden"])
    assert place.reads(message, BOB), "one's own"
    assert place.reads(message, ANN)
    assert not place.reads(message, EVE)
    assert not place.reads(message)
    described = [event for event in place.kept if event.kind == METADATA][-1]
    assert place.reads(described, ANN)
    assert not place.reads(described, EVE)
    wanted = Filter(tags={"h": frozenset(["g", "other"])})
    place.groups.check_question(wanted, {pub(ANN)})
    with pytest.raises(EventRefused, match=r"^auth-required: "):
        place.groups.check_question(wanted, set())
    with pytest.raises(EventRefused, match=r"^restricted: "):
        place.groups.check_question(wanted, {pub(EVE)})


def test_only_the_relay_describes_groups(place: Place) -> None:
    with pytest.raises(EventRefused, match="blocked: only the relay"):
        place.groups.check(sign_event(ANN, NOW, METADATA, [["d", "g"]]), NOW)
    place.groups.check(sign_event(RELAY, NOW, METADATA, [["d", "g"]]), NOW)


def test_what_is_late_or_for_no_group(place: Place) -> None:
    assert place.refused(BOB, 9, at=NOW - 3601).startswith("invalid: in groups created_at")
    place.say(BOB, 9, group="unmanaged")
    assert place.refused(BOB, 9021, group="unmanaged").startswith("invalid: there is no group")
    with pytest.raises(EventRefused, match="needs the tag h"):
        place.groups.check(sign_event(BOB, NOW, 9021), NOW)


def test_a_deleted_group_is_closed_to_everybody_until_nothing_is_left_of_it(place: Place) -> None:
    place.say(BOB, 9)
    message = place.kept[-1]
    effects = place.say(ANN, 9008)
    assert effects == Effects(ended="g")
    assert not place.reads(message, ANN)
    assert place.refused(ANN, 9).startswith("restricted")
    assert place.refused(ANN, 9007).startswith("blocked: there is a group")
    ((kind, tags),) = place.groups.forget("g")
    assert kind == 5
    assert ["a", f"39000:{pub(RELAY)}:g"] in tags
    assert place.groups.get("g") is None
    place.say(BOB, 9007)


def test_a_restart_finds_everything_again(place: Place) -> None:
    place.say(ANN, 9002, ["about", "us"], ["closed"], ["private"])
    place.say(ANN, 9009, ["code", "sesame"])
    place.say(BOB, 9021, ["code", "sesame"])
    place.say(ANN, 9000, ["p", pub(EVE), "moderator", "cook"])
    newest = {(event.kind, event.first("d")): event for event in place.kept if event.pubkey == pub(RELAY)}
    again = Groups(pub(RELAY))
    again.load([*newest.values(), *(event for event in place.kept if event.kind == 9009)])
    assert again.get("g") == place.groups.get("g")
    forged = Groups(pub(RELAY))
    forged.load([sign_event(EVE, NOW, METADATA, [["d", "g"]])])
    assert forged.get("g") is None


def test_rooms_have_groups_that_nobody_else_makes(place: Place) -> None:
    assert room_group("chess", "lobby-1") == "room-chess-lobby-1"
    others = [room_group(*names) for names in (("a-b", "c"), ("a", "b-c"), ("chess", "Große Runde"), ("go", "x" * 99))]
    assert others[1] == "room-a-b-c"
    assert len({*others, "room-chess-lobby-1"}) == 5
    assert place.refused(BOB, 9007, group="room-chess-lobby-1").startswith("restricted: ids that begin with room-")
    place.groups.make("room-chess-lobby-1", {"name": "lobby-1"}, [])
    assert place.groups.of_rooms() == ["room-chess-lobby-1"]
    place.say(BOB, 9, group="room-chess-lobby-1")
    assert place.refused(BOB, 9002, group="room-chess-lobby-1").startswith("restricted: your role")
