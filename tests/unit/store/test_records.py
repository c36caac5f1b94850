"""Records in a real file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psycopg
import pytest

from teleglyph.store import Player, Record, RecordStore, open_database


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_round_is_opened_finished_and_followed_by_the_next(database_place: str, clock: Clock) -> None:
    database = open_database(database_place, 1)
    store = RecordStore(database, clock)
    store.record_opening("id", "chess", "lobby")
    clock.now = 1010
    first = store.record_result("id", '{"moves": 40}', {0: "win", 1: "loss", 2: None}).result()
    clock.now = 1020
    second = store.record_result("id", "null", {0: None}).result()
    clock.now = 1030
    store.record_closing("id", "the host ended it")
    database.write(lambda _base: None).result()
    assert first is not None
    assert second is not None
    assert store.find_record(first).result() == Record(
        first, "chess", "lobby", 1000, 1010, "the host gave a result", '{"moves": 40}', {0: "win", 1: "loss", 2: None}
    )
    assert store.find_record(second).result() == Record(
        second, "chess", "lobby", 1010, 1020, "the host gave a result", "null", {0: None}
    )
    assert store.find_record(second + 1).result() == Record(
        second + 1, "chess", "lobby", 1020, 1030, "the host ended it", None
    )
    assert store.find_record(99).result() is None
    assert store.record_result("id", "1", {}).result() is None, "a room that is over has no results"
    database.close()


def test_rooms_of_equal_names_do_not_mix(database_place: str, clock: Clock) -> None:
    database = open_database(database_place, 1)
    store = RecordStore(database, clock)
    store.record_opening("one", "chess", "lobby")
    store.record_closing("one", "over")
    store.record_opening("two", "chess", "lobby")
    store.record_closing("one", "late")
    database.write(lambda _base: None).result()
    two = store.find_record(2).result()
    assert two is not None
    assert two.ended_at is None
    one = store.find_record(1).result()
    assert one is not None
    assert one.end_reason == "over"
    database.close()


def test_records_left_open_by_a_killed_process_are_closed_at_the_next_start(database_place: str, clock: Clock) -> None:
    program = (
        "import sys, time; from teleglyph.store import RecordStore, open_database\n"
        f"store = RecordStore(open_database({database_place!r}, 7))\n"
        "for number in range(100): store.record_opening(str(number), 'g', 'r')\n"
        "for number in range(40): store.record_closing(str(number), 'over')\n"
        "print(store.record_result('99', '1', {0: 'win'}).result(), flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "100\n"
        os.kill(process.pid, signal.SIGKILL)
    clock.now = 9e9
    database = open_database(database_place, 8)
    store = RecordStore(database, clock)
    while store.find_record(101).result().ended_at is None:  # type: ignore[union-attr]
        store.close_orphans().result()  # PostgreSQL notices a dead client a little later
    for number in (1, 41, 100, 101):
        record = store.find_record(number).result()
        assert record is not None
        expected = {1: "over", 41: "the server stopped", 100: "the host gave a result", 101: "the server stopped"}
        assert record.end_reason == expected[number]
        assert record.ended_at is not None
    open_records = database.read(lambda base: base.run("SELECT count(*) FROM records WHERE ended_at IS NULL"))
    assert open_records.result() == [(0,)]
    database.close()


def test_records_of_another_running_server_stay_open(postgresql: str, clock: Clock) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE several")
    url = postgresql.replace("/postgres?", "/several?")
    first, second = open_database(url, 1), open_database(url, 2)
    store = RecordStore(first, clock)
    store.record_opening("a", "chess", "lobby")
    assert store.record_result("a", "1", {0: None}).result() == 1
    other = RecordStore(second, clock)
    still = other.find_record(2).result()
    assert still is not None
    assert still.ended_at is None
    first.close()
    clock.now = 1500
    third = open_database(url, 3)
    left = RecordStore(third, clock).find_record(2).result()
    assert left is not None
    assert (left.ended_at, left.end_reason) == (1500, "the server stopped")
    second.close()
    third.close()


def test_records_of_one_person_are_found(database_place: str, clock: Clock) -> None:
    database = open_database(database_place, 1)
    store = RecordStore(database, clock)
    ann, bob = "a" * 64, "b" * 64
    store.record_opening("id", "chess", "lobby")
    for number in range(5):
        outcome = ("win", "loss", "draw", None, "win")[number]
        store.record_result("id", "null", {0: outcome, 1: "loss", 2: None}, {0: ann, 1: bob}).result()
    page = store.find_player(ann, 1, 2).result()
    assert page == Player(page.records, 5, {"win": 2, "loss": 1, "draw": 1})
    assert [record.id for record in page.records] == [5, 4]
    assert page.records[0].identities == {0: ann, 1: bob}
    assert page.records[0].outcomes == {0: "win", 1: "loss", 2: None}
    assert [record.id for record in store.find_player(ann, 3, 2).result().records] == [1]
    assert store.find_player(ann, 4, 2).result().records == []
    assert store.find_player("c" * 64, 1, 10).result() == Player([], 0, {})
    database.close()


def test_a_report_that_is_sent_twice_counts_once(database_place: str, clock: Clock) -> None:
    database = open_database(database_place, 1)
    store = RecordStore(database, clock)
    store.record_opening("id", "four", "table")
    first = store.record_result("id", '"first"', {0: "win", 1: "loss"}, round_number=1).result()
    assert first is not None
    assert store.record_result("id", '"again"', {0: "loss", 1: "win"}, round_number=1).result() == first
    assert store.record_result("id", '"too early"', {0: "win"}, round_number=3).result() is None
    second = store.record_result("id", '"second"', {0: "draw", 1: "draw"}, round_number=2).result()
    assert second == first + 1
    store.record_closing("id", "the host ended it")
    assert store.record_result("id", '"late"', {0: "win"}, round_number=3).result() == first + 2, (
        "closed, and left as it was"
    )
    record = store.find_record(first).result()
    assert record is not None
    assert (record.result, record.outcomes) == ('"first"', {0: "win", 1: "loss"})
    last = store.find_record(first + 2).result()
    assert last is not None
    assert (last.result, last.end_reason, last.outcomes) == (None, "the host ended it", {})
    assert store.find_record(first + 3).result() is None
    database.close()


def test_an_abandoned_round_has_a_reason_and_people_but_no_result(database_place: str, clock: Clock) -> None:
    database = open_database(database_place, 1)
    store = RecordStore(database, clock)
    key = "ab" * 32
    store.record_opening("id", "four", "table")
    number = store.record_result(
        "id", None, {0: None, 1: None}, {1: key}, reason="abandoned: the guest left", round_number=1
    ).result()
    assert number is not None
    record = store.find_record(number).result()
    assert record is not None
    assert (record.result, record.end_reason) == (None, "abandoned: the guest left")
    assert record.outcomes == {0: None, 1: None}
    player = store.find_player(key, 1, 10).result()
    assert (player.total, player.outcomes) == (1, {})
    database.close()
