"""Groups: permissions, consequences, visibility, and that a restart changes nothing."""

from __future__ import annotations

import pytest

from teleglyph.errors import EventRefusedError
from teleglyph.events.group_metadata import describe
from teleglyph.events.group_plan import Plan
from teleglyph.events.groups import Groups
from teleglyph.events.room_groups import room_group
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter
from teleglyph.wire.nostr.groups import GroupKind

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

    def say(self, key: bytes, kind: int, *tags: list[str], at: int = NOW, group: str = "g") -> Plan | None:
        return self.take(sign_event(key, at, kind, [["h", group], *tags]))

    def take(self, event: NostrEvent) -> Plan | None:
        self.groups.check(event, NOW)
        self.kept.append(event)
        plan = self.groups.plan(event)
        if plan is not None:
            assert self.groups.changes_groups(event)
            self.install(plan)
        return plan

    def install(self, plan: Plan) -> None:
        self.groups.install(plan)
        described = [(kind, describe(record, kind)) for kind, record in plan.described]
        for made, tags in [*plan.templates, *described]:
            self.clock += 1
            self.kept.append(sign_event(RELAY, self.clock, made, tags))

    def refused(self, key: bytes, kind: int, *tags: list[str], at: int = NOW, group: str = "g") -> str:
        with pytest.raises(EventRefusedError) as caught:
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


def test_the_author_of_a_group_is_its_admin(place: Place) -> None:
    assert place.described(GroupKind.METADATA) == [["d", "g"], ["name", "Friends"]]
    assert place.described(GroupKind.ADMINS) == [["d", "g"], ["p", pub(ANN), "admin"]]
    assert place.described(GroupKind.MEMBERS) == [["d", "g"], ["p", pub(ANN)]]
    assert place.described(GroupKind.ROLES)[1][:2] == ["role", "admin"]
    assert place.refused(BOB, 9007) == "blocked: a group with this id exists already"
    for name in ("No Good", "", "x" * 257, "a\tb", "a\nb"):
        assert place.refused(BOB, 9007, group=name).startswith("invalid: a group's id")
    place.say(BOB, 9007, group="Ünïcode'is.fine" + "x" * 200)
    for number in range(19):
        place.say(ANN, 9007, group=f"g{number}")
    assert place.refused(ANN, 9007, group="more").startswith("restricted: at most 20 groups")


def test_anyone_may_write_in_an_open_group_and_members_in_a_restricted_one(place: Place) -> None:
    place.say(BOB, 9)
    place.say(ANN, 9002, ["restricted"])
    assert place.refused(BOB, 9) == "restricted: only members may write in this group"
    place.say(ANN, 9000, ["p", pub(BOB)])
    place.say(BOB, 9)
    assert place.described(GroupKind.MEMBERS) == [["d", "g"], ["p", pub(ANN)], ["p", pub(BOB)]]
    place.say(ANN, 9001, ["p", pub(BOB)])
    assert place.refused(BOB, 9).startswith("restricted")
    assert place.described(GroupKind.METADATA) == [["d", "g"], ["name", "Friends"], ["restricted"]]


def test_people_join_and_leave_a_group(place: Place) -> None:
    plan = place.say(BOB, 9021)
    assert plan is not None
    assert plan.templates[0] == (9000, [["h", "g"], ["p", pub(BOB)]])
    assert place.refused(BOB, 9021).startswith("duplicate: ")
    plan = place.say(BOB, 9022)
    assert plan is not None
    assert plan.templates[0] == (9001, [["h", "g"], ["p", pub(BOB)]])
    assert place.described(GroupKind.MEMBERS) == [["d", "g"], ["p", pub(ANN)]]
    assert place.refused(BOB, 9022).startswith("invalid: you are not a member")


def test_a_closed_group_can_be_joined_with_an_invitation(place: Place) -> None:
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


def test_each_role_allows_its_own_actions(place: Place) -> None:
    target = "ab" * 32
    for kind, tags in ((9000, ["p", pub(EVE)]), (9001, ["p", pub(ANN)]), (9005, ["e", target]), (9002, ["name", "x"])):
        assert place.refused(BOB, kind, tags).startswith("restricted: your role")
    place.say(ANN, 9000, ["p", pub(BOB), "moderator"])
    assert place.described(GroupKind.ADMINS)[1:] == [["p", pub(ANN), "admin"], ["p", pub(BOB), "moderator"]]
    place.say(ANN, 9000, ["p", pub(EVE)])
    plan = place.say(BOB, 9005, ["e", target])
    assert plan is not None
    assert plan.changes[0].erased == [target]
    assert place.refused(BOB, 9001, ["p", pub(ANN)]).startswith("restricted: moderators may not")
    place.say(BOB, 9001, ["p", pub(EVE)])
    assert place.refused(BOB, 9000, ["p", pub(EVE)]).startswith("restricted: your role")
    assert place.refused(BOB, 9008).startswith("restricted")
    assert place.refused(ANN, 9011).startswith("invalid: kind 9011 is not supported")
    assert place.refused(ANN, 9000, ["p", pub(EVE)], ["p", pub(EVE), "admin"]).startswith("invalid")
    assert place.refused(ANN, 9000, ["p", "junk"]).startswith("invalid")
    assert place.refused(ANN, 9000, ["p", pub(EVE), "x" * 65]) == "invalid: a role has at most 64 characters"
    assert place.refused(ANN, 9005).startswith("invalid")
    assert place.refused(ANN, 9009).startswith("invalid")


def test_only_members_read_private_and_hidden_groups(place: Place) -> None:
    place.say(BOB, 9)
    message = place.kept[-1]
    assert place.reads(message)
    place.say(ANN, 9002, ["private"], ["hidden"])
    assert place.reads(message, BOB), "one's own"
    assert place.reads(message, ANN)
    assert not place.reads(message, EVE)
    assert not place.reads(message)
    described = [event for event in place.kept if event.kind == GroupKind.METADATA][-1]
    assert place.reads(described, ANN)
    assert not place.reads(described, EVE)
    wanted = Filter(tags={"h": frozenset(["g", "other"])})
    place.groups.check_filter(wanted, {pub(ANN)})
    with pytest.raises(EventRefusedError, match=r"^auth-required: "):
        place.groups.check_filter(wanted, set())
    with pytest.raises(EventRefusedError, match=r"^restricted: "):
        place.groups.check_filter(wanted, {pub(EVE)})


def test_only_the_relay_describes_groups(place: Place) -> None:
    with pytest.raises(EventRefusedError, match="blocked: only the relay"):
        place.groups.check(sign_event(ANN, NOW, GroupKind.METADATA, [["d", "g"]]), NOW)
    place.groups.check(sign_event(RELAY, NOW, GroupKind.METADATA, [["d", "g"]]), NOW)


def test_late_events_and_requests_to_unknown_groups_are_refused(place: Place) -> None:
    assert place.refused(BOB, 9, at=NOW - 3601).startswith("invalid: in groups created_at")
    place.say(BOB, 9, group="unmanaged")
    assert place.refused(BOB, 9021, group="unmanaged").startswith("invalid: there is no group")
    with pytest.raises(EventRefusedError, match="needs the tag h"):
        place.groups.check(sign_event(BOB, NOW, 9021), NOW)


def test_a_deleted_group_is_closed_to_everybody_until_nothing_is_left_of_it(place: Place) -> None:
    place.say(BOB, 9)
    message = place.kept[-1]
    plan = place.say(ANN, 9008)
    assert plan is not None
    assert plan.ended == "g"
    assert not place.reads(message, ANN)
    assert place.refused(ANN, 9) == "restricted: this group was deleted"
    assert place.refused(ANN, 9007).startswith("blocked: a group with this id")
    plan = place.groups.plan_removal("g")
    place.install(plan)
    assert plan.removed == ["g"]
    assert (plan.described, plan.templates) == ([], [])
    assert place.groups.get("g") is None
    place.say(BOB, 9007)


def test_groups_of_an_older_database_are_restored_from_their_descriptions(place: Place) -> None:
    place.say(ANN, 9002, ["about", "us"], ["closed"], ["private"])
    place.say(ANN, 9009, ["code", "sesame"])
    place.say(BOB, 9021, ["code", "sesame"])
    place.say(ANN, 9000, ["p", pub(EVE), "moderator", "cook"])
    newest = {(event.kind, event.first("d")): event for event in place.kept if event.pubkey == pub(RELAY)}
    again = Groups(pub(RELAY))
    plan = again.adopt([*newest.values(), *(event for event in place.kept if event.kind == 9009)])
    again.install(plan)
    assert again.get("g") == place.groups.get("g")
    (change,) = plan.changes
    assert change.record == place.groups.get("g")
    assert set(change.members) == {pub(ANN), pub(BOB), pub(EVE)}
    forged = Groups(pub(RELAY))
    forged.install(forged.adopt([sign_event(EVE, NOW, GroupKind.METADATA, [["d", "g"]])]))
    assert forged.get("g") is None


# --- ambiguous events -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [9, 9000, 9001, 9002, 9005, 9008, 9009, 9010, 9021, 9022, 30023])
@pytest.mark.parametrize("second", [["h", "lobby"], ["h", "g"], ["h"], ["h", ""]])
def test_an_event_with_two_groups_is_refused(place: Place, kind: int, second: list[str]) -> None:
    tags = [["p", pub(BOB)], ["e", "ab" * 32], ["code", "x"], ["d", "x"]]
    assert place.refused(ANN, kind, *tags, second) == (
        "invalid: an event may have at most one tag h, because it belongs to one group"
    )


def test_ambiguous_codes_are_refused(place: Place) -> None:
    place.say(ANN, 9002, ["closed"])
    for codes in ([], [["code", ""]], [["code", "a"], ["code", "b"]], [["code", "x" * 257]], [["code", "a\nb"]]):
        assert place.refused(ANN, 9009, *codes).startswith("invalid: an invitation")
    place.say(ANN, 9009, ["code", "sesame"])
    assert place.refused(BOB, 9021, ["code", "guess"], ["code", "sesame"]).startswith("invalid: a request to join")


@pytest.mark.parametrize("kind", [9000, 9001, 9002, 9005, 9007, 9008, 9010])
def test_moderation_events_must_not_expire(place: Place, kind: int) -> None:
    tags = [["p", pub(BOB)], ["e", "ab" * 32], ["expiration", str(NOW + 100)]]
    group = "new" if kind == 9007 else "g"
    assert "may not expire" in place.refused(ANN, kind, *tags, group=group)


# --- metadata ---------------------------------------------------------------------------------------------------------


def flags(place: Place) -> set[str]:
    record = place.groups.get("g")
    assert record is not None
    return set(record.flags)


def test_fields_that_are_not_mentioned_are_unchanged(place: Place) -> None:
    place.say(ANN, 9002, ["private"], ["hidden"], ["closed"], ["restricted"], ["about", "us"])
    place.say(ANN, 9002, ["name", "Other"])
    assert flags(place) == {"private", "hidden", "closed", "restricted"}
    assert ["about", "us"] in place.described(GroupKind.METADATA)
    place.say(ANN, 9002)
    assert flags(place) == {"private", "hidden", "closed", "restricted"}


@pytest.mark.parametrize(
    ("tag", "left"),
    [
        (["public"], {"hidden", "closed", "restricted"}),
        (["private", "false"], {"hidden", "closed", "restricted"}),
        (["open"], {"private", "hidden", "restricted"}),
        (["visible"], {"private", "closed", "restricted"}),
        (["unrestricted"], {"private", "hidden", "closed"}),
        (["restricted", "0"], {"private", "hidden", "closed"}),
        (["private", "true"], {"private", "hidden", "closed", "restricted"}),
    ],
)
def test_a_group_is_opened_only_on_explicit_request(place: Place, tag: list[str], left: set[str]) -> None:
    place.say(ANN, 9002, ["private"], ["hidden"], ["closed"], ["restricted"])
    place.say(ANN, 9002, tag)
    assert flags(place) == left


def test_the_stricter_of_contradicting_flags_wins(place: Place) -> None:
    place.say(ANN, 9002, ["private"])
    place.say(ANN, 9002, ["private"], ["public"], ["private", "false"])
    assert flags(place) == {"private"}


def test_unknown_metadata_is_kept_and_bounded(place: Place) -> None:
    place.say(ANN, 9002, ["banner", "https://example.org/b.png"], ["t", "one"], ["t", "two"], ["supported_kinds"])
    described = place.described(GroupKind.METADATA)
    for tag in (["banner", "https://example.org/b.png"], ["t", "one"], ["t", "two"], ["supported_kinds"]):
        assert tag in described
    place.say(ANN, 9002, ["t", "three"], ["banner", ""])
    described = place.described(GroupKind.METADATA)
    assert [tag for tag in described if tag[0] in ("t", "banner")] == [["t", "three"]]
    assert not any(tag[0] == "h" for tag in described)
    assert place.refused(ANN, 9002, ["about", "x" * 20_000]).startswith("invalid: a group's metadata")


# --- groups below groups ----------------------------------------------------------------------------------------------


def test_a_group_can_be_a_child_of_another_of_the_same_admin(place: Place) -> None:
    place.say(ANN, 9007, ["parent", "g"], group="below")
    assert place.described(GroupKind.METADATA)[1:] == [["name", "below"], ["parent", "g", pub(ANN)]] or place.described(
        GroupKind.METADATA
    )[1:] == [["parent", "g", pub(ANN)], ["name", "below"]]
    assert place.refused(ANN, 9002, ["parent", "nowhere"], group="below").startswith("invalid: there is no group")
    assert place.refused(ANN, 9002, ["parent", "below"], group="below").startswith("invalid: a group cannot be its own")
    assert place.refused(ANN, 9002, ["parent", "below"]).startswith("invalid: a group cannot be its own")
    assert place.refused(ANN, 9002, ["parent", "a"], ["parent", "b"]).startswith("invalid: a group has at most one")
    place.say(BOB, 9007, group="bobs")
    assert place.refused(ANN, 9002, ["parent", "bobs"], group="below").startswith("restricted: only an admin")
    assert place.refused(BOB, 9007, ["parent", "g"], group="new").startswith("restricted: only an admin")
    place.say(ANN, 9002, ["parent", ""], group="below")
    record = place.groups.get("below")
    assert record is not None
    assert not [tag for tag in record.tags if tag[0] == "parent"]


def test_children_of_a_deleted_group_have_no_parent(place: Place) -> None:
    place.say(ANN, 9007, ["parent", "g"], group="below")
    plan = place.say(ANN, 9008)
    assert plan is not None
    assert {change.id for change in plan.changes} == {"g", "below"}
    record = place.groups.get("below")
    assert record is not None
    assert not [tag for tag in record.tags if tag[0] == "parent"]


# --- pins and invitations ---------------------------------------------------------------------------------------------


def test_pins_are_one_ordered_list(place: Place) -> None:
    first, second, address = "ab" * 32, "cd" * 32, f"30023:{pub(ANN)}:x"
    place.say(ANN, 9010, ["e", second], ["a", address], ["e", first])
    assert place.described(GroupKind.PINS) == [["d", "g"], ["e", second], ["a", address], ["e", first]]
    place.say(ANN, 9010)
    assert place.described(GroupKind.PINS) == [["d", "g"]]
    assert place.refused(ANN, 9010, ["e", first], ["e", first]).startswith("invalid")
    assert place.refused(ANN, 9010, ["e", "junk"]).startswith("invalid")
    assert place.refused(BOB, 9010, ["e", first]).startswith("restricted: your role")


@pytest.mark.parametrize("how", ["its author", "another", "a moderator", "time"])
def test_an_invitation_can_end(place: Place, how: str) -> None:
    place.say(ANN, 9000, ["p", pub(EVE), "moderator"])
    place.say(ANN, 9002, ["closed"])
    ends = [["expiration", str(NOW + 1)]] if how == "time" else []
    place.say(ANN, 9009, ["code", "sesame"], *ends)
    number = place.kept[-1].id
    if how == "its author":
        place.take(sign_event(ANN, NOW, 5, [["e", number]]))
    elif how == "another":
        place.take(sign_event(BOB, NOW, 5, [["e", number]]))
        place.say(BOB, 9021, ["code", "sesame"])
        return
    elif how == "a moderator":
        place.say(EVE, 9005, ["e", number])
    request = sign_event(BOB, NOW + 2, 9021, [["h", "g"], ["code", "sesame"]])
    with pytest.raises(EventRefusedError, match="closed"):
        place.groups.check(request, NOW + 2)


def test_the_author_of_a_group_is_its_member(place: Place) -> None:
    assert (9000, [["h", "g"], ["p", pub(ANN), "admin"]]) in [
        (event.kind, event.tags) for event in place.kept if event.pubkey == pub(RELAY)
    ]


def test_events_that_manage_a_hidden_group_are_hidden(place: Place) -> None:
    made = place.kept[0]
    assert place.reads(made)
    place.say(ANN, 9002, ["hidden"])
    assert not place.reads(made, BOB)
    place.say(BOB, 9)
    assert place.reads(place.kept[-1]), "a hidden group that is not private"


def test_only_sender_and_recipients_read_direct_messages(place: Place) -> None:
    for kind in (4, 1059, 21059):
        message = sign_event(EVE, NOW, kind, [["p", pub(ANN)], ["p", pub(BOB)]])
        assert [place.reads(message, key) for key in (ANN, BOB, EVE, RELAY)] == [True, True, True, False]
        assert not place.reads(message)


def test_only_the_relay_creates_groups_of_rooms(place: Place) -> None:
    assert room_group("chess", "lobby-1") == "room-chess-lobby-1"
    others = [room_group(*names) for names in (("a-b", "c"), ("a", "b-c"), ("chess", "Große Runde"), ("go", "x" * 99))]
    assert others[1] == "room-a-b-c"
    assert len({*others, "room-chess-lobby-1"}) == 5
    assert place.refused(BOB, 9007, group="room-chess-lobby-1").startswith("restricted: ids that begin with room-")
    place.install(place.groups.plan_own_group("room-chess-lobby-1", "lobby-1", []))
    assert place.groups.of_rooms() == ["room-chess-lobby-1"]
    place.say(BOB, 9, group="room-chess-lobby-1")
    assert place.refused(BOB, 9002, group="room-chess-lobby-1").startswith("restricted: your role")


def test_all_groups_together_have_a_limited_number_of_members(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleglyph.events.group_admission.MAX_ALL_MEMBERS", 4)
    place.say(BOB, 9007, group="other")
    place.say(BOB, 9000, ["p", pub(EVE)], ["p", pub(RELAY)], group="other")
    assert place.refused(ANN, 9000, ["p", pub(BOB)]) == (
        "restricted: all groups of this relay have at most 4 members together"
    )
    assert place.refused(EVE, 9021).startswith("restricted: all groups")
    place.say(ANN, 9000, ["p", pub(ANN), "admin", "founder"])
    place.say(BOB, 9001, ["p", pub(RELAY)], group="other")
    place.say(EVE, 9021)
    assert place.described(GroupKind.MEMBERS) == [["d", "g"], ["p", pub(ANN)], ["p", pub(EVE)]]
