"""A host's reports on how rounds end."""

from __future__ import annotations

from typing import Any

from teleglyph.client.play.four_in_a_row import EMPTY, GUEST, HOST, Board
from teleglyph.client.play.host_state import HostState
from teleglyph.client.play.result_reporter import ResultReporter
from teleglyph.client.play.table_address import TableAddress

_HOST_PLAYER = "0"
_WINNERS = {HOST: "host", GUEST: "guest"}
_OUTCOMES = {HOST: ("win", "loss"), GUEST: ("loss", "win")}
"""The host's outcome and the guest's, by winner."""


class RoundReports:
    """Builds a host's reports and numbers its rounds.

    Args:
        reporter: sends the reports.
        address: the table.
    """

    def __init__(self, reporter: ResultReporter, address: TableAddress) -> None:
        self._reporter = reporter
        self._address = address

    def add_result(self, state: HostState, board: Board) -> None:
        """Report a round that is over; does nothing otherwise."""
        winner, opponent = board.winner, state.opponent
        if winner == EMPTY or opponent is None:
            return
        host, guest = _OUTCOMES.get(winner, ("draw", "draw"))
        self._add(
            state,
            {
                "result": {"winner": _WINNERS.get(winner, "draw"), "moves": board.stones},
                "outcomes": {_HOST_PLAYER: host, str(opponent): guest},
            },
        )

    def add_abandoned(self, state: HostState, reason: str) -> None:
        """Report a round that ended without a result."""
        players = [_HOST_PLAYER] if state.opponent is None else [_HOST_PLAYER, str(state.opponent)]
        self._add(state, {"abandoned": reason, "outcomes": dict.fromkeys(players)})

    def _add(self, state: HostState, report: dict[str, Any]) -> None:
        address = self._address
        self._reporter.add({"game_id": address.game, "room_code": address.room, "round": state.round, **report})
        state.round += 1
