"""What the host of a table saves: the relay keeps no boards, so a host that comes back brings its own."""

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
class HostMemory:
    """What a host knows besides the board.

    Attributes:
        round: number of the round that is played, in this room, counted from 1.
        opponent: the guest's number; None while the second place is free.
    """

    round: int = 1
    opponent: int | None = None

    def encode(self, board: Board, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The values for a JSON file."""
        return {
            "board": board.encode().hex(),
            "round": self.round,
            "opponent": self.opponent,
            "reports": [dict(report) for report in reports],
        }

    @classmethod
    def decode(cls, state: Mapping[str, Any]) -> tuple[HostMemory, Board, list[dict[str, Any]]]:
        """The memory, the board and the reports from :meth:`encode`; a new table's, if they are not usable."""
        if not state:
            return cls(), Board(), []
        try:
            number, opponent, reports = state["round"], state["opponent"], state["reports"]
            board = Board.decode(bytes.fromhex(state["board"]))
            if type(number) is not int or not 1 <= number <= _MAX_ROUND:
                raise ValueError("the round is not a number from 1")
            if opponent is not None and (type(opponent) is not int or not 1 <= opponent <= 0xFFFF):
                raise ValueError("the opponent is not a player's number")
            if not isinstance(reports, list) or len(reports) > MAX_PENDING:
                raise ValueError("the reports are not a short list")
            if not all(isinstance(report, dict) for report in reports):
                raise ValueError("a report is not an object")
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("The saved board is ignored: %s", error)
            return cls(), Board(), []
        return cls(number, opponent), board, reports
