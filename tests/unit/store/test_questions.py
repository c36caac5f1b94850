"""Clients take turns at the database's readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from teleglyph.errors import StoreError
from teleglyph.store import Base, open_database
from teleglyph.store.database import Database
from teleglyph.store.questions import Asker, Question, QuestionLimits, Questions
from teleglyph.store.sqlite import SqliteBackend


def question(client: str | None) -> Question:
    return Question(lambda base: None, Asker(client), Future(), since=0.0)


def order(questions: Questions, cost: Callable[[str], float], now: float = 0.0) -> str:
    """Whose questions are answered, one after the other."""
    clients = ""
    while (one := questions.take(now)) is not None:
        client = str(one.asker.client)
        clients += client
        questions.finish(one, cost(client), now)
    return clients


def test_equal_clients_take_turns_however_much_one_asks() -> None:
    questions = Questions(QuestionLimits())
    for client in "aaaaabbc":
        questions.add(question(client))
    assert order(questions, lambda client: 0.0) == "abcabaaa"


def test_whoever_used_much_comes_after_whoever_used_little() -> None:
    questions = Questions(QuestionLimits())
    for client in "aabbbb":
        questions.add(question(client))
    assert order(questions, lambda client: {"a": 5.0, "b": 0.1}[client]) == "abbbba"
    for client in "ac":
        questions.add(question(client))
    assert order(questions, lambda client: 0.0, now=1.0) == "ca", "it is remembered"
    questions.add(question("c"))
    assert order(questions, lambda client: 0.0, now=1.0) == "c"
    for client in "ac":
        questions.add(question(client))
    assert order(questions, lambda client: 0.0, now=1000.0) == "ac", "it is forgiven"


def test_a_client_has_one_question_answered_at_a_time_and_the_server_many() -> None:
    questions = Questions(QuestionLimits())
    for client in ("a", "a", None, None):
        questions.add(question(client))
    taken = [questions.take(0.0) for _ in range(4)]
    assert [one and one.asker.client for one in taken] == ["a", None, None, None]
    assert taken[3] is None
    assert taken[0] is not None
    questions.finish(taken[0], 0.0, 0.0)
    assert questions.take(0.0) is not None


def test_what_waits_is_bounded() -> None:
    questions = Questions(QuestionLimits(questions=4, per_client=2))
    questions.add(question("a"))
    questions.add(question("a"))
    assert "of this client" in (questions.refusal(Asker("a")) or "")
    assert questions.refusal(Asker("b")) is None
    questions.add(question("b"))
    questions.add(question("c"))
    assert "4 questions" in (questions.refusal(Asker("d")) or "")
    assert order(questions, lambda client: 0.0) == "abca"
    assert questions.waiting == 0


def test_one_client_does_not_hold_all_readers(database_place: str) -> None:
    database = open_database(database_place, 1)
    hold = threading.Event()
    costs: list[float] = []
    greedy = Asker("greedy", on_cost=costs.append)
    held = [database.read(lambda base: hold.wait(30), greedy) for _ in range(20)]
    other = database.read(lambda base: base.run("SELECT 1"), Asker("other"))
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
        assert database.read(lambda base: 7, Asker("a", on_cost=fail)).result(10) == 7
    database.close()


def test_too_many_questions_are_refused_and_cancelled_ones_leave(tmp_path: Path) -> None:
    database = Database(SqliteBackend(tmp_path / "base"), 1, questions=QuestionLimits(per_client=3))
    hold, is_running = threading.Event(), threading.Event()

    def first(_base: Base) -> None:
        is_running.set()
        hold.wait(30)

    running = database.read(first, Asker("a"))
    assert is_running.wait(10)
    waiting = [database.read(lambda base: 1, Asker("a")) for _ in range(3)]
    with pytest.raises(StoreError, match="of this client"):
        database.read(lambda base: 1, Asker("a")).result(10)
    assert all(future.cancel() for future in waiting[:2])
    hold.set()
    running.result(10)
    assert waiting[2].result(10) == 1
    assert database.counters.refused == 1
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.read(lambda base: 1).result(10)
