"""Sessions of the discovery service in both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teleglyph.store import open_database
from teleglyph.store.sessions import ClaimRefusal, SessionStore, StoredSession

ALICE, BOB = b"a" * 32, b"b" * 32
DAY = 86_400_000
SESSION = StoredSession(
    name="quiet-river-stone",
    id=b"i" * 16,
    host_id=b"h" * 16,
    owner=ALICE,
    capabilities=7,
    max_participants=8,
    kind=1,
    has_password=True,
    password="$argon2id$",
    exposes_address=True,
    address="2001:db8::7",
    port=27224,
    created_at=1_800_000_000_000,
    active_at=1_800_000_000_000,
    signed_at=1_800_000_000_000,
)
NOW = SESSION.active_at


def test_a_session_is_found_as_it_was_stored_also_by_the_next_process(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    assert store.find(SESSION.name).result() is None
    assert store.claim(SESSION, NOW + DAY).result() == SESSION
    database.close()
    database = open_database(database_place, 2)
    store = SessionStore(database)
    assert (store.count().result(), store.find(SESSION.name).result()) == (1, SESSION)
    anonymous = replace(SESSION, name="other-river-stone", id=b"j" * 16, owner=None)
    assert store.claim(anonymous, 0).result() == store.find(anonymous.name).result() == anonymous
    database.close()


def test_registering_again_keeps_ids_and_takes_the_new_values(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    store.claim(SESSION, NOW).result()
    later = replace(SESSION, id=b"x" * 16, host_id=b"y" * 16, port=1, created_at=NOW + 9, signed_at=NOW + 9)
    stored = store.claim(later, NOW).result()
    assert stored == replace(later, id=SESSION.id, host_id=SESSION.host_id, created_at=NOW)
    assert store.find(SESSION.name).result() == stored
    assert store.claim(later, NOW).result() is ClaimRefusal.REPLAYED
    for other in (BOB, None):
        assert store.claim(replace(later, owner=other, signed_at=NOW + 99), NOW).result() is ClaimRefusal.TAKEN
    database.close()


def test_a_name_stays_with_its_key_until_it_is_free(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    store.claim(SESSION, NOW + DAY).result()
    store.end(SESSION.name, NOW + 2 * DAY).result()
    assert store.find(SESSION.name).result() is None
    early, late = (replace(SESSION, owner=BOB, active_at=NOW + time) for time in (2 * DAY - 1, 2 * DAY))
    assert store.claim(early, NOW).result() is ClaimRefusal.TAKEN
    assert store.claim(late, NOW + 3 * DAY).result() == late
    assert store.reserve(SESSION.name, ALICE, NOW + 9 * DAY, NOW + 2 * DAY).result() is ClaimRefusal.TAKEN
    assert store.release(SESSION.name, BOB).result() is False, "its session still runs"
    store.end(SESSION.name, 0).result()
    assert store.release(SESSION.name, ALICE).result() is False
    assert store.release(SESSION.name, BOB).result() is True
    database.close()


def test_a_reservation_outlasts_sessions(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    assert store.reserve(SESSION.name, ALICE, NOW + 300 * DAY, NOW).result() is None
    store.claim(SESSION, NOW + DAY).result()
    store.end(SESSION.name, NOW + DAY).result()
    taken = replace(SESSION, owner=BOB, active_at=NOW + 299 * DAY)
    assert store.claim(taken, 0).result() is ClaimRefusal.TAKEN
    database.close()


def test_idle_sessions_expire_and_names_become_free(database_place: str) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    for number in range(5):
        name = f"quiet-river-{chr(97 + number) * 3}"
        store.claim(replace(SESSION, name=name, id=bytes([number]) * 16, active_at=NOW + number), NOW).result()
    store.touch(["quiet-river-aaa"], NOW + 50).result()
    assert store.expire(NOW + 3, NOW, NOW + DAY).result() == ["quiet-river-bbb", "quiet-river-ccc"]
    assert store.expire(NOW + 3, NOW, NOW + DAY).result() == []
    assert store.count().result() == 3
    claim = replace(SESSION, name="quiet-river-bbb", owner=BOB, active_at=NOW)
    assert store.claim(claim, 0).result() is ClaimRefusal.TAKEN
    store.expire(0, NOW + DAY, 0).result()
    assert store.claim(claim, 0).result() == claim
    database.close()


@pytest.mark.parametrize("count", [40])
def test_one_key_does_not_collect_names(database_place: str, count: int) -> None:
    database = open_database(database_place, 1)
    store = SessionStore(database)
    names = [f"quiet-river-{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(count)]
    for number, name in enumerate(names):
        store.claim(replace(SESSION, name=name, id=number.to_bytes(16, "big")), NOW + number).result()
        store.end(name, NOW + number).result()
    claims = [store.claim(replace(SESSION, name=name, owner=BOB, active_at=0), 0).result() for name in names]
    assert [claim is ClaimRefusal.TAKEN for claim in claims] == [False] * 8 + [True] * 32
    database.close()
