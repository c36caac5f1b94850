"""The state that a host stores: the relay stores no boards, so a returning host needs its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teleglyph.client.play.four_in_a_row import Board
from teleglyph.client.play.result_reporter import MAX_PENDING

_log = logging.getLogger(__name__)
_MAX_ROUND = 1 << 30


@dataclass(slots=True)
class HostState:
    """A host's state besides the board.

    Attributes:
        round: number of the current round in this room, from 1.
        opponent: the guest's number; None without a guest.
    """

    round: int = 1
    opponent: int | None = None

    def encode(self, board: Board, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """State, board and unsent reports as JSON values."""
        return {
            "board": board.encode().hex(),
            "round": self.round,
            "opponent": self.opponent,
            "reports": [dict(report) for report in reports],
        }

    @classmethod
    def decode(cls, state: Mapping[str, Any]) -> tuple[HostState, Board, list[dict[str, Any]]]:
        """Decode the values from :meth:`encode`; unusable values become those of a new table."""
        if not state:
            return cls(), Board(), []
        try:
            number, opponent, reports = state["round"], state["opponent"], state["reports"]
            board = Board.decode(bytes.fromhex(state["board"]))
            if type(number) is not int or not 1 <= number <= _MAX_ROUND:
                raise ValueError("the round is not a positive number")
            if opponent is not None and (type(opponent) is not int or not 1 <= opponent <= 0xFFFF):
                raise ValueError("the opponent is not a player's number")
            if not isinstance(reports, list) or len(reports) > MAX_PENDING:
                raise ValueError("the reports are not a short list")
            if not all(isinstance(report, dict) for report in reports):
                raise ValueError("a report is not an object")
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("Ignored the saved board: %s", error)
            return cls(), Board(), []
        return cls(number, opponent), board, reports
