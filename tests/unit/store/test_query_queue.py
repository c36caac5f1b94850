"""Clients take turns at the database's readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from teleglyph.errors import StoreError
from teleglyph.store import DatabaseConnection, open_database
from teleglyph.store.database import Database
from teleglyph.store.query_queue import Query, QueryLimits, QueryOwner, QueryQueue
from teleglyph.store.sqlite import SqliteBackend


def query(client: str | None) -> Query:
    return Query(lambda base: None, QueryOwner(client), Future(), since=0.0)


def order(queue: QueryQueue, cost: Callable[[str], float], now: float = 0.0) -> str:
    """The clients whose queries run, in order."""
    clients = ""
    while (one := queue.pop_next(now)) is not None:
        client = str(one.owner.client)
        clients += client
        queue.finish(one, cost(client), now)
    return clients


def test_equal_clients_take_turns_even_if_one_asks_more() -> None:
    queue = QueryQueue(QueryLimits())
    for client in "aaaaabbc":
        queue.add(query(client))
    assert order(queue, lambda client: 0.0) == "abcabaaa"


def test_a_client_that_used_little_goes_first() -> None:
    queue = QueryQueue(QueryLimits())
    for client in "aabbbb":
        queue.add(query(client))
    assert order(queue, lambda client: {"a": 5.0, "b": 0.1}[client]) == "abbbba"
    for client in "ac":
        queue.add(query(client))
    assert order(queue, lambda client: 0.0, now=1.0) == "ca", "it is remembered"
    queue.add(query("c"))
    assert order(queue, lambda client: 0.0, now=1.0) == "c"
    for client in "ac":
        queue.add(query(client))
    assert order(queue, lambda client: 0.0, now=1000.0) == "ac", "it is forgiven"


def test_a_client_has_one_query_running_at_a_time_and_the_server_many() -> None:
    queue = QueryQueue(QueryLimits())
    for client in ("a", "a", None, None):
        queue.add(query(client))
    taken = [queue.pop_next(0.0) for _ in range(4)]
    assert [one and one.owner.client for one in taken] == ["a", None, None, None]
    assert taken[3] is None
    assert taken[0] is not None
    queue.finish(taken[0], 0.0, 0.0)
    assert queue.pop_next(0.0) is not None


def test_waiting_queries_are_bounded() -> None:
    queue = QueryQueue(QueryLimits(queries=4, per_client=2))
    queue.add(query("a"))
    queue.add(query("a"))
    assert "of this client" in (queue.refusal_reason(QueryOwner("a")) or "")
    assert queue.refusal_reason(QueryOwner("b")) is None
    queue.add(query("b"))
    queue.add(query("c"))
    assert "4 queries" in (queue.refusal_reason(QueryOwner("d")) or "")
    assert order(queue, lambda client: 0.0) == "abca"
    assert queue.waiting == 0


def test_one_client_does_not_hold_all_readers(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold = threading.Event()
    costs: list[float] = []
    greedy = QueryOwner("greedy", on_cost=costs.append)
    held = [database.read(lambda base: hold.wait(30), greedy) for _ in range(20)]
    other = database.read(lambda base: base.run("SELECT 1"), QueryOwner("other"))
    assert other.result(20) == [(1,)]
    assert not any(future.done() for future in held)
    hold.set()
    assert all(future.result(20) for future in held)
    while len(costs) < 20:
        time.sleep(0.01)
    assert all(cost >= 0 for cost in costs)
    database.close()


@pytest.mark.parametrize("error", [SystemExit, MemoryError])
def test_no_error_ends_a_reader(database_place: str, error: type[BaseException]) -> None:
    database = open_database(database_place, 1)

    def fail(_argument: object) -> None:
        raise error

    for _ in range(4):
        with pytest.raises((StoreError, MemoryError)):
            database.read(fail).result(10)
        assert database.read(lambda base: 7, QueryOwner("a", on_cost=fail)).result(10) == 7
    database.close()


def test_too_many_queries_are_refused_and_cancelled_ones_are_removed(tmp_path: Path) -> None:
    database = Database(SqliteBackend(tmp_path / "base"), 1, query_limits=QueryLimits(per_client=3))
    hold, is_running = threading.Event(), threading.Event()

    def first(_base: DatabaseConnection) -> None:
        is_running.set()
        hold.wait(30)

    running = database.read(first, QueryOwner("a"))
    assert is_running.wait(10)
    waiting = [database.read(lambda base: 1, QueryOwner("a")) for _ in range(3)]
    with pytest.raises(StoreError, match="of this client"):
        database.read(lambda base: 1, QueryOwner("a")).result(10)
    assert all(future.cancel() for future in waiting[:2])
    hold.set()
    running.result(10)
    assert waiting[2].result(10) == 1
    assert database.counters.refused == 1
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.read(lambda base: 1).result(10)
