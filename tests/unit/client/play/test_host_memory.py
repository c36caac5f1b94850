"""What a host saves comes back, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.play.four_in_a_row import Board
from teleglyph.client.play.host_memory import HostMemory

NEW: tuple[HostMemory, Board, list[object]] = (HostMemory(), Board(), [])


@given(st.lists(st.integers(0, 6), max_size=42), st.integers(1, 1000), st.one_of(st.none(), st.integers(1, 65435)))
def test_a_game_in_any_state_comes_back_through_a_file(columns: list[int], number: int, opponent: int | None) -> None:
    board = Board(has_guest=opponent is not None)
    for column in columns:
        board.drop(column, board.turn)
    reports = [{"round": 1, "result": {"winner": "host"}}]
    saved = json.loads(json.dumps(HostMemory(number, opponent).encode(board, reports)))
    assert HostMemory.decode(saved) == (HostMemory(number, opponent), board, reports)


GOOD = HostMemory(3, 1).encode(Board(), [])


@pytest.mark.parametrize(
    "change",
    [
        {"board": "zz"},
        {"board": 5},
        {"board": "00"},
        {"board": None},
        {"round": 0},
        {"round": True},
        {"round": "1"},
        {"round": 1 << 40},
        {"opponent": 0},
        {"opponent": "1"},
        {"opponent": 70000},
        {"reports": {}},
        {"reports": [1]},
        {"reports": [{}] * 100},
    ],
)
def test_what_cannot_be_is_a_new_table(change: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    assert HostMemory.decode({**GOOD, **change}) == NEW
    assert "The saved board is ignored: " in caplog.text


def test_a_missing_value_is_a_new_table() -> None:
    for name in GOOD:
        assert HostMemory.decode({key: value for key, value in GOOD.items() if key != name}) == NEW
    assert HostMemory.decode({}) == NEW
