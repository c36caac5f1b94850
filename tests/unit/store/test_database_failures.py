"""The database's writer after failures: it continues, reports the problem, and nobody waits forever."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import psycopg
import pytest

from teleglyph.errors import StoreError
from teleglyph.store import DatabaseConnection, open_database
from teleglyph.store.database import Database
from teleglyph.store.postgresql import PostgresqlBackend
from teleglyph.store.sqlite import SqliteBackend
from teleglyph.store.writer import WriteLimits

ADD = "INSERT INTO records (room_id, round, game, room, started_at, instance) VALUES (?, 1, 'g', 'r', 0, 1)"
SOON = WriteLimits(stall_seconds=0.3, write_seconds=1.0)


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def open_soon(place: str) -> Database:
    if place.startswith("postgresql"):
        return Database(PostgresqlBackend(place), 1, SOON)
    return Database(SqliteBackend(Path(place)), 1, SOON)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit])
def test_no_error_of_a_job_ends_the_writer(database_place: str, error: type[BaseException]) -> None:
    database = open_database(database_place, 1)

    def fail(_base: DatabaseConnection) -> None:
        raise error

    with pytest.raises(StoreError, match=error.__name__):
        database.write(fail).result(10)
    database.write(lambda base: base.run(ADD, "later")).result(10)
    assert database.health() is None
    database.close()


def test_a_future_that_cannot_take_its_result_harms_nobody(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold, is_writing = threading.Event(), threading.Event()

    def first(_base: DatabaseConnection) -> None:
        is_writing.set()
        hold.wait(10)

    database.write(first)
    assert is_writing.wait(10)
    broken, done_already = (database.write(lambda base, n=n: base.run(ADD, n)) for n in "ab")  # type: ignore[misc]
    good = database.write(lambda base: base.run(ADD, "c"))

    def leave(_future: Future[object]) -> None:
        raise SystemExit

    broken.add_done_callback(leave)
    done_already.set_running_or_notify_cancel()
    done_already.set_result([])
    hold.set()
    good.result(10)
    assert database.write(lambda base: "still there").result(10) == "still there"
    database.close()


def test_a_writer_that_fails_between_jobs_begins_anew(database_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(database_place, 1)

    def fail(*_arguments: object) -> None:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(database._writer, "_write", fail)
    with pytest.raises(StoreError, match="MemoryError"):
        database.write(lambda base: base.run(ADD, "lost")).result(10)
    database.write(lambda base: base.run(ADD, "later")).result(10)
    assert database.counters.restarts == 1
    database.close()


def test_a_writer_that_ended_is_replaced(database_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(database_place, 1)
    old = database._writer._thread

    def fail(*_arguments: object) -> None:
        raise MemoryError

    # The first error is handled; the handler's own ends the thread.
    monkeypatch.setattr(database._writer, "_write", fail)
    monkeypatch.setattr(database._writer, "_fail", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    written = database.write(lambda base: base.run(ADD, "lost"))
    until(lambda: not old.is_alive())
    monkeypatch.undo()
    until(lambda: database._writer._thread is not old)
    with pytest.raises(StoreError):
        written.result(10)
    database.write(lambda base: base.run(ADD, "later")).result(10)
    until(lambda: database.health() is None)
    database.close()


def test_a_stuck_job_is_reported_and_nobody_waits_forever(database_place: str) -> None:
    database = open_soon(database_place)
    hold = threading.Event()
    stuck = database.write(lambda base: hold.wait(60))
    waiting = database.write(lambda base: base.run(ADD, "waits"))
    cancelled = database.write(lambda base: base.run(ADD, "gives up"))
    cancelled.cancel()
    kept_before = database.counters.overdue
    database.write_and_forget(lambda base: base.run(ADD, "kept"))
    until(lambda: "has not finished a write" in (database.health() or ""))
    for future in (stuck, waiting):
        with pytest.raises(StoreError, match="within 1 s"):
            future.result(20)
    assert database.counters.overdue >= kept_before + 2
    assert "has not finished a write" in (database.health() or "")
    hold.set()
    until(lambda: database.health() is None)
    database.probe().result(10)
    rooms = database.read(lambda base: base.run("SELECT room_id FROM records")).result(10)
    assert rooms == [("kept",)], "an abandoned job is not written later"
    database.close()


class Proxy:
    """Forwards to a socket; while ``is_holding``, forwards nothing, like a network that loses packets."""

    def __init__(self, target: str) -> None:
        self.is_holding = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._target)
            other = {client: server, server: client}
            while self._is_open:
                if self.is_holding:
                    time.sleep(0.02)
                    continue
                for one in select.select([client, server], [], [], 0.05)[0]:
                    if not (data := one.recv(1 << 16)):
                        return
                    other[one].sendall(data)

    def close(self) -> None:
        self._is_open = False
        self._listener.close()


@pytest.fixture
def proxy(postgresql: str) -> Iterator[Proxy]:
    proxy = Proxy(postgresql.split("host=")[1] + "/.s.PGSQL.5432")
    yield proxy
    proxy.close()


def test_a_network_that_loses_everything_is_survived(postgresql: str, proxy: Proxy) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE silent")
    database = open_soon(f"postgresql://teleglyph@127.0.0.1:{proxy.port}/silent")
    database.write(lambda base: base.run(ADD, "before")).result(10)
    proxy.is_holding = True
    waiting = [database.write(lambda base, n=n: base.run(ADD, n)) for n in "abc"]  # type: ignore[misc]
    database.write_and_forget(lambda base: base.run(ADD, "kept"))
    for future in waiting:
        with pytest.raises(StoreError):
            future.result(20)
    until(database.health)
    proxy.is_holding = False
    until(lambda: database.health() is None)
    until(lambda: database.read(lambda base: base.run("SELECT 1 FROM records WHERE room_id = 'kept'")).result(20))
    database.close()


def test_a_frozen_backend_is_given_up_for_another(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE frozen")
    database = open_soon(postgresql.replace("/postgres?", "/frozen?"))
    pid = database.write(lambda base: base.run("SELECT pg_backend_pid()")).result(10)[0][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreError):
            database.write(lambda base: base.run(ADD, "lost")).result(20)
        until(lambda: database.health() is None)
        database.write(lambda base: base.run(ADD, "later")).result(20)
        assert database.counters.lost_connections == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    database.close()


def test_closing_does_not_wait_for_a_frozen_backend(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleglyph.store.database._CLOSE_SECONDS", 0.5)
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE frozen_end")
    database = open_database(postgresql.replace("/postgres?", "/frozen_end?"), 1)
    pid = database.write(lambda base: base.run("SELECT pg_backend_pid()")).result(10)[0][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = database.write(lambda base: base.run(ADD, "lost"))
        database.close()
        with pytest.raises(StoreError):
            waiting.result(10)
    finally:
        os.kill(pid, signal.SIGCONT)
