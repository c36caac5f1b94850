"""The database under everything: groups, failures, both kinds."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from teleglyph.errors import StoreError
from teleglyph.store import DatabaseConnection, open_database, postgresql, sqlite
from teleglyph.store.database import Database
from teleglyph.store.schema import MIGRATIONS
from teleglyph.store.sqlite import SqliteBackend
from teleglyph.store.writer import WriteLimits

ADD = "INSERT INTO records (room_id, round, game, room, started_at, instance) VALUES (?, 1, 'g', 'r', 0, 1)"


def count(base: DatabaseConnection) -> int:
    return int(base.run("SELECT count(*) FROM records")[0][0])


def test_many_reports_become_few_transactions(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold = threading.Event()
    first = database.write(lambda base: hold.wait(10))
    futures = [database.write(lambda base, n=n: base.run(ADD, str(n))) for n in range(100)]  # type: ignore[misc]
    hold.set()
    first.result(10)
    for future in futures:
        future.result(10)
    assert database.read(count).result(10) == 100
    assert database.counters.commits <= 3
    assert database.counters.written == 101
    database.close()


def test_a_cancelled_request_does_not_affect_others(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold, is_writing = threading.Event(), threading.Event()

    def first(_base: DatabaseConnection) -> str:
        is_writing.set()
        hold.wait(10)
        return "first"

    started = database.write(first)
    assert is_writing.wait(10)
    waiting = [database.write(lambda base, n=n: base.run(ADD, str(n))) for n in range(6)]  # type: ignore[misc]
    assert not started.cancel(), "a started write is completed"
    assert [future.cancel() for future in waiting[::2]] == [True] * 3
    hold.set()
    assert started.result(10) == "first"
    for future in waiting[1::2]:
        future.result(10)
    last = database.write(lambda base: hold.wait(0))
    last.cancel()
    assert database.write(lambda base: "still there").result(10) == "still there"
    assert database.read(count).result(10) == 3
    database.close()


def test_work_that_fails_harms_only_itself(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold = threading.Event()
    database.write(lambda base: hold.wait(10))
    good = [database.write(lambda base, n=n: base.run(ADD, str(n))) for n in range(5)]  # type: ignore[misc]
    twice = database.write(lambda base: base.run(ADD, "0"))
    wrong = database.write(lambda base: base.run("SELECT nonsense FROM nowhere"))
    broken = database.write(lambda base: 1 / 0)
    more = database.write(lambda base: base.run(ADD, "more"))
    hold.set()
    for future in (*good, more):
        future.result(10)
    for failed, text in ((twice, "(?i)unique"), (wrong, "nowhere"), (broken, "ZeroDivisionError")):
        with pytest.raises(StoreError, match=text):
            failed.result(10)
    assert database.read(count).result(10) == 6
    assert database.counters.failed == 3
    database.close()


def test_a_job_of_several_statements_is_done_whole_or_not_at_all(database_place: str) -> None:
    database = open_database(database_place, 1)

    def half(base: DatabaseConnection) -> None:
        base.run(ADD, "half")
        base.run("SELECT nonsense FROM nowhere")

    with pytest.raises(StoreError):
        database.write(half).result(10)
    assert database.read(count).result(10) == 0
    database.close()


def test_too_many_writes_are_refused_and_waiting_ones_are_written_at_the_end(tmp_path: Path) -> None:
    database = Database(SqliteBackend(tmp_path / "base"), 1, WriteLimits(jobs=5, bytes=100))
    hold = threading.Event()
    first = database.write(lambda base: hold.wait(10))
    while database._writer._jobs:
        time.sleep(0.001)
    with pytest.raises(StoreError, match="is full"):
        database.write(count, size=101).result(0)
    kept = [database.write(lambda base, n=n: base.run(ADD, str(n)), size=20) for n in range(5)]  # type: ignore[misc]
    with pytest.raises(StoreError, match="is full"):
        database.write(count).result(0)
    database.write_and_forget(count)
    assert database.counters.refused == 3
    hold.set()
    database.close()
    assert first.done()
    assert all(future.exception() is None for future in kept)
    with pytest.raises(StoreError, match="closed"):
        database.write(count).result(0)
    with sqlite3.connect(tmp_path / "base") as base:
        assert base.execute("SELECT count(*) FROM records").fetchone() == (5,)
    base.close()


def test_a_second_start_finds_the_schema(database_place: str) -> None:
    for number in range(2):
        database = open_database(database_place, number + 1)
        database.write(lambda base, n=number: base.run(ADD, str(n))).result(10)  # type: ignore[misc]
        assert database.read(count).result(10) == number + 1
        database.close()


def test_a_schema_of_the_future_is_refused(database_place: str) -> None:
    open_database(database_place, 1).close()
    if database_place.startswith("postgresql"):
        with psycopg.connect(database_place) as base:
            base.execute("UPDATE teleglyph_schema SET version = 99")
    else:
        with sqlite3.connect(database_place) as file:
            file.execute("PRAGMA user_version = 99")
        file.close()
    with pytest.raises(StoreError, match="newer version"):
        open_database(database_place, 1)
    assert len(MIGRATIONS) < 99


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_database(tmp_path / "junk", 1)
    with pytest.raises(StoreError, match="No such file"):
        open_database(tmp_path / "nowhere" / "file", 1)


def test_a_file_has_one_process(tmp_path: Path) -> None:
    program = (
        "import time; from teleglyph.store import open_database\n"
        f"base = open_database({str(tmp_path / 'base')!r}, 1); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match="Another process uses"):
            open_database(tmp_path / "base", 2)
        process.kill()
    open_database(tmp_path / "base", 2).close()


def test_servers_start_at_the_same_time_with_one_postgresql(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE together")
    url = postgresql.replace("/postgres?", "/together?")
    opened: list[Database] = []
    threads = [threading.Thread(target=lambda n=n: opened.append(open_database(url, n))) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(opened) == 8
    assert all(database.read(count).result(10) == 0 for database in opened)
    for database in opened:
        database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@127.0.0.1:9/base",
        "postgresql://ann:se%40secret@127.0.0.1:9/base",
        "postgresql://127.0.0.1:9/base?user=ann&password=secret",
        "postgresql://127.0.0.1:9/base?sslpassword=secret&password=secret&user=ann",
    ],
)
def test_a_postgresql_that_cannot_be_reached_is_named_without_the_password(url: str) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9/base") as caught:
        open_database(url, 1)
    assert "secret" not in str(caught.value)
    assert re.search(r"postgresql://(ann@)?127\.0\.0\.1:9/base.* cannot be reached: .*refused", str(caught.value))


def test_a_lost_connection_is_restored_and_reports_are_kept(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE lost")
    url = postgresql.replace("/postgres?", "/lost?")
    database = open_database(url, 77)
    assert database.read(count).result(10) == 0
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("ALTER DATABASE lost ALLOW_CONNECTIONS false")
        base.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lost'")
        database.write_and_forget(lambda base: base.run(ADD, "kept"))
        time.sleep(0.3)
        with pytest.raises(StoreError, match="unavailable"):
            database.write(lambda base: base.run(ADD, "told")).result(10)
        with pytest.raises(StoreError, match="cannot be reached"):
            database.read(count).result(10)
        base.execute("ALTER DATABASE lost ALLOW_CONNECTIONS true")
    deadline = time.monotonic() + 20
    while database.read(count).result(10) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    database.write(lambda base: base.run(ADD, "later")).result(10)
    assert database.counters.lost_connections == 1
    assert database.read(lambda base: base.run("SELECT room_id FROM records ORDER BY id")).result(10) == [
        ("kept",),
        ("later",),
    ]
    other = open_database(url, 78)
    assert other.write(lambda base: (base.is_running(77), base.is_running(79))).result(10) == (True, False)
    other.close()
    database.close()


def test_closing_works_while_the_database_is_away(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE gone")
    database = open_database(postgresql.replace("/postgres?", "/gone?"), 1)
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("DROP DATABASE gone WITH (FORCE)")
    future = database.write(count)
    database.close()
    with pytest.raises(StoreError, match="unavailable"):
        future.result(10)


def test_a_query_that_takes_too_long_is_aborted(database_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sqlite, postgresql):
        monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    database = open_database(database_place, 1)
    endless = (
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000) "
        "SELECT count(*) FROM numbers"
    )
    with pytest.raises(StoreError, match=r"interrupted|timeout"):
        database.read(lambda base: base.run(endless)).result(20)
    assert database.read(count).result(10) == 0, "the reader is there again"
    assert database.counters.lost_connections == 0
    database.close()
