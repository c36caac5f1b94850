"""The people live in a group."""

from __future__ import annotations

from teleglyph.events.kinds import EventKind
from teleglyph.events.presence import MAX_PEOPLE, Presence
from teleglyph.wire.nostr.event import NostrEvent, sign_event

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32
PUBKEYS = [sign_event(key, 1, 1).pubkey for key in (ANN, BOB)]


def here(key: bytes, at: int, ends: int | None = None, *groups: str) -> NostrEvent:
    tags = [["h", group] for group in groups or ("g",)]
    return sign_event(key, at, EventKind.PRESENCE, tags if ends is None else [*tags, ["expiration", str(ends)]])


def test_joins_and_leaves_are_changes_and_renewals_are_not() -> None:
    presence = Presence()
    presence.record(here(ANN, 100, 250), 100)
    assert presence.changes(100) == [("g", (PUBKEYS[0],))]
    presence.record(here(ANN, 160, 310), 160)
    assert presence.changes(160) == [], "a renewal is not a change"
    presence.record(here(BOB, 170, 320), 170)
    assert presence.changes(170) == [("g", tuple(PUBKEYS))]
    presence.record(here(ANN, 180, 182), 180)
    assert presence.changes(180) == []
    assert presence.changes(183) == [("g", (PUBKEYS[1],))]
    assert presence.changes(400) == [("g", ())]
    assert presence.changes(401) == []


def test_a_presence_without_a_near_end_expires() -> None:
    presence = Presence()
    presence.record(here(ANN, 100, 1 << 40), 100)
    presence.record(here(BOB, 100), 100)
    presence.changes(100)
    assert presence.changes(401) == [("g", ())]


def test_other_events_and_several_groups_are_ignored() -> None:
    presence = Presence()
    presence.record(sign_event(ANN, 100, 9, [["h", "g"]]), 100)
    presence.record(here(ANN, 100, 250, "g", "other"), 100)
    presence.record(sign_event(ANN, 100, EventKind.PRESENCE, []), 100)
    assert presence.changes(100) == []


def test_the_number_of_people_is_bounded() -> None:
    presence = Presence()
    for number in range(MAX_PEOPLE + 10):
        event = here(ANN, 100, 250)
        event.pubkey = f"{number:064x}"
        presence.record(event, 100)
    ((_, people),) = presence.changes(100)
    assert len(people) == MAX_PEOPLE
