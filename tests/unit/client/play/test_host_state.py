"""A host's stored state, valid and invalid."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.client.play.four_in_a_row import Board
from teleglyph.client.play.host_state import HostState

NEW: tuple[HostState, Board, list[object]] = (HostState(), Board(), [])


@given(st.lists(st.integers(0, 6), max_size=42), st.integers(1, 1000), st.one_of(st.none(), st.integers(1, 65435)))
def test_a_game_in_any_state_survives_a_file(columns: list[int], number: int, opponent: int | None) -> None:
    board = Board(has_guest=opponent is not None)
    for column in columns:
        board.drop(column, board.turn)
    reports = [{"round": 1, "result": {"winner": "host"}}]
    saved = json.loads(json.dumps(HostState(number, opponent).encode(board, reports)))
    assert HostState.decode(saved) == (HostState(number, opponent), board, reports)


GOOD = HostState(3, 1).encode(Board(), [])


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
def test_invalid_values_become_a_new_table(change: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    assert HostState.decode({**GOOD, **change}) == NEW
    assert "Ignored the saved board: " in caplog.text


def test_a_missing_value_becomes_a_new_table() -> None:
    for name in GOOD:
        assert HostState.decode({key: value for key, value in GOOD.items() if key != name}) == NEW
    assert HostState.decode({}) == NEW
