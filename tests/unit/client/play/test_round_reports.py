"""A host's reports on its rounds."""

import asyncio

from teleglyph.client.play.four_in_a_row import GUEST, Board
from teleglyph.client.play.host_state import HostState
from teleglyph.client.play.result_reporter import ResultReporter
from teleglyph.client.play.round_reports import RoundReports
from teleglyph.client.play.table_address import TableAddress


async def ignore() -> None:
    pass


def test_rounds_are_numbered_and_reported_with_each_players_outcome() -> None:
    async def work() -> None:
        reporter, state = ResultReporter("http://here", lambda: "", ignore), HostState(opponent=2)
        reports = RoundReports(reporter, TableAddress("ws://here", "four", "table", is_host=True))
        reports.add_result(state, Board())
        assert reporter.pending == []
        reports.add_result(state, Board(winner=GUEST))
        reports.add_abandoned(state, "the host left")
        table = {"game_id": "four", "room_code": "table"}
        assert reporter.pending == [
            {
                **table,
                "round": 1,
                "result": {"winner": "guest", "moves": 0},
                "outcomes": {"0": "loss", "2": "win"},
            },
            {**table, "round": 2, "abandoned": "the host left", "outcomes": {"0": None, "2": None}},
        ]
        assert state.round == 3

    asyncio.run(work())
