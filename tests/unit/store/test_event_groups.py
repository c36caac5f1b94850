"""A group's admins moderate only their own group's events; readers see only events meant for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from teleglyph.store import Database, open_database
from teleglyph.store.events import EventStore, Outcome
from teleglyph.store.groups import GroupChange, GroupRecord, GroupStore, Invite
from teleglyph.wire.nostr.event import NostrEvent, sign_event
from teleglyph.wire.nostr.filter import Filter

RELAY, ANN, BOB, EVE = (bytes([number]) * 32 for number in (9, 1, 2, 3))
NOW = 100_000


def pub(key: bytes) -> str:
    return sign_event(key, 1, 1).pubkey


def make(key: bytes, at: int, kind: int, *groups: str) -> NostrEvent:
    return sign_event(key, at, kind, [["h", group] for group in groups], f"{at}")


def kept(store: EventStore) -> list[bytes]:
    return [body for _, body in store.events_after(0, 5000).result()]


@pytest.fixture
def database(database_place: str) -> Iterator[Database]:
    opened = open_database(database_place, 1)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> EventStore:
    return EventStore(database)


def created(store: EventStore, record: GroupRecord, at: int = 1) -> NostrEvent:
    event = make(ANN, at, 9007, record.id)
    change = GroupChange(record.id, record, record.members, invites=list(record.invites.values()))
    assert store.store_events([event], changes={0: [change]}).result() == [Outcome.STORED]
    return event


def test_moderation_reaches_its_own_group_only(store: EventStore) -> None:
    made = created(store, GroupRecord("g"))
    own, other, free = make(BOB, 1, 9, "g"), make(BOB, 2, 9, "other"), make(BOB, 3, 1)
    second, invite = make(BOB, 4, 9, "other", "g"), make(ANN, 5, 9009, "g")
    store.store_events([own, other, free, second, invite]).result()
    erased = [event.id for event in (own, other, free, second, made, invite)]
    store.store_events([make(ANN, 6, 9005, "g")], changes={0: [GroupChange("g", erased=erased)]}).result()
    assert kept(store)[:-1] == [made.text, other.text, free.text, second.text], "the group's first event stays"
    assert store.store_events([own]).result() == [Outcome.DELETED]


def test_a_change_is_written_only_with_a_new_event(database: Database, store: EventStore) -> None:
    made = created(store, GroupRecord("g"))
    change = GroupChange("g", GroupRecord("g", flags=frozenset(["private"])))
    assert store.store_events([made], changes={0: [change]}).result() == [Outcome.DUPLICATE]
    assert GroupStore(database).load().result() == [GroupRecord("g")]


def test_deleting_a_group_deletes_its_events_since_its_creation(store: EventStore) -> None:
    before = [make(BOB, 10 + number, 9, "g") for number in range(3)]
    store.store_events(before).result()
    created(store, GroupRecord("g"))
    elsewhere = make(BOB, 5, 9, "other")
    described = sign_event(RELAY, 7, 39000, [["d", "g"]])
    since = [make(BOB, 100 + number, 9, "g") for number in range(1200)]
    store.store_events([elsewhere, described, *since]).result()
    erased = []
    while number := store.erase_group_slice("g").result():
        erased.append(number)
    assert erased == [500, 500, 201]
    assert kept(store) == [*(event.text for event in before), elsewhere.text, described.text]


@pytest.mark.parametrize("removed", ["by its author", "by nobody", "there was none"])
def test_a_deleted_group_is_erased_whatever_happened_to_its_first_event(
    database: Database, store: EventStore, removed: str
) -> None:
    record = GroupRecord("g", flags=frozenset(["private"]), members={pub(ANN): ["admin"]})
    if removed == "there was none":
        GroupStore(database).write(GroupChange("g", record, record.members)).result()
    else:
        made = created(store, record)
        if removed == "by its author":
            store.store_events([sign_event(ANN, 2, 5, [["e", made.id]])]).result()
    message = make(BOB, 3, 9, "g")
    store.store_events([message]).result()
    assert store.count([Filter(kinds=frozenset([9]))], NOW, readers=set()).result()[0] == 0
    while store.erase_group_slice("g").result():
        pass
    GroupStore(database).write(GroupChange("g", is_removed=True)).result()
    assert message.text not in kept(store)
    assert GroupStore(database).load().result() == []


def test_a_stored_group_is_found_again(database: Database, store: EventStore) -> None:
    invite = Invite("ab" * 32, pub(ANN), "ses\u00e4me", 77)
    record = GroupRecord(
        "Gr\u00fcppe" * 30,
        (("name", "x\0y"), ("t", "a", "b"), ("flag",)),
        frozenset(["private", "closed"]),
        {pub(ANN): ["admin", "cook"], pub(BOB): []},
        {invite.event_id: invite},
        (("e", "cd" * 32), ("a", "30023:x:y")),
    )
    created(store, record)
    groups = GroupStore(database)
    assert groups.load().result() == [record]
    groups.write(GroupChange(record.id, members={pub(EVE): [], pub(BOB): ["moderator"]}, gone=[pub(ANN)])).result()
    groups.write(GroupChange(record.id, revoked=[invite.event_id])).result()
    expected = replace(record, members={pub(BOB): ["moderator"], pub(EVE): []}, invites={})
    assert groups.load().result() == [expected]


# --- references -------------------------------------------------------------------------------------------------------


def test_references_of_a_group_must_exist(store: EventStore) -> None:
    made = created(store, GroupRecord("g"))
    message = make(BOB, 3, 9, "g")

    def referring(*values: str, group: str = "g") -> NostrEvent:
        return sign_event(BOB, 5, 9, [["h", group], ["previous", *values]], "".join(values))

    inside = referring(message.id[:8])
    assert store.store_events([message, inside]).result() == [Outcome.STORED, Outcome.STORED], "in one batch"
    assert store.store_events([referring(made.id[:8], message.id[:12])]).result() == [Outcome.STORED]
    for values in (("00000000",), (message.id[:8], "ffffffff"), ("junk",), ("",), ("abc",), (message.id[:8].upper(),)):
        assert store.store_events([referring(*values)]).result() == [Outcome.OUT_OF_CONTEXT], values
    assert store.store_events([referring(*[message.id[:8]] * 51)]).result() == [Outcome.OUT_OF_CONTEXT]
    assert store.store_events([referring("00000000", group="unmanaged")]).result() == [Outcome.STORED]


# --- readers ----------------------------------------------------------------------------------------------------------


def test_a_limit_counts_only_readable_events(store: EventStore) -> None:
    created(store, GroupRecord("g", flags=frozenset(["private"]), members={pub(ANN): ["admin"]}))
    public = [make(BOB, 10 + number, 1) for number in range(3)]
    store.store_events([*public, *(make(ANN, 100 + number, 9, "g") for number in range(6))]).result()
    found = store.find([Filter(limit=5)], 5, 5, NOW, readers=set()).result()
    assert [one.id.hex() for one in found] == [event.id for event in reversed(public)]
    assert len(store.find([Filter(limit=5)], 5, 5, NOW, readers={pub(ANN)}).result()) == 5


@pytest.mark.parametrize("has_been_read", [False, True])
def test_a_removed_member_gets_no_more_events(database: Database, store: EventStore, has_been_read: bool) -> None:
    members: dict[str, list[str]] = {pub(ANN): ["admin"], pub(BOB): []}
    created(store, GroupRecord("g", flags=frozenset(["private"]), members=members))
    store.store_events([make(ANN, 5, 9, "g")]).result()
    found = store.find([Filter(kinds=frozenset([9]))], 5, 5, NOW, readers={pub(BOB)}).result()
    assert len(found) == 1
    if has_been_read:
        assert len(store.bodies(found, {pub(BOB)}).result()) == 1
    GroupStore(database).write(GroupChange("g", gone=[pub(BOB)])).result()
    assert store.bodies(found, {pub(BOB)}).result() == []


def test_words_of_a_private_group_are_not_counted(store: EventStore) -> None:
    created(store, GroupRecord("g", flags=frozenset(["private"]), members={pub(ANN): ["admin"]}))
    store.store_events(
        [sign_event(ANN, 3, 9, [["h", "g"]], "the word is sesame"), sign_event(BOB, 3, 1, [], "sesame")]
    ).result()
    wanted = [Filter(search="sesame")]
    assert [store.count(wanted, NOW, readers=who).result()[0] for who in (set(), {pub(BOB)}, {pub(ANN)})] == [1, 1, 2]
    assert len(store.find(wanted, 5, 5, NOW, readers=set()).result()) == 1
    counted = store.count([Filter(kinds=frozenset([9]))], NOW, 8, readers=set()).result()
    assert counted == (0, bytes(256).hex()), "nor their authors"


def test_only_sender_and_recipients_find_a_direct_message(store: EventStore) -> None:
    wraps = [sign_event(EVE, 3, kind, [["p", pub(ANN)], ["h", "g"]]) for kind in (4, 1059)]
    store.store_events(wraps).result()
    counts = [
        store.count([Filter()], NOW, readers=who).result()[0] for who in (set(), {pub(BOB)}, {pub(ANN)}, {pub(EVE)})
    ]
    assert counts == [0, 0, 2, 2]
    assert store.store_events([sign_event(BOB, 4, 5, [["e", wraps[1].id]])]).result() == [Outcome.STORED]
    assert wraps[1].text in kept(store), "a stranger's request"
    store.store_events([sign_event(ANN, 5, 5, [["e", wraps[1].id]])]).result()
    assert wraps[1].text not in kept(store)
    assert store.store_events([wraps[1]]).result() == [Outcome.DELETED]
