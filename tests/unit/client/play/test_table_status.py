"""The status of a table in words."""

import pytest

from teleglyph.client.play.four_in_a_row import DRAW, GUEST, HOST, Board
from teleglyph.client.play.table_status import TableStatus


@pytest.mark.parametrize(
    ("board", "text"),
    [
        (Board(), "Waiting for someone to join"),
        (Board(has_guest=True), "Your turn"),
        (Board(has_guest=True, turn=GUEST), "The other player's turn"),
        (Board(has_guest=True, winner=HOST), "You won; n: another game"),
        (Board(has_guest=True, winner=GUEST), "You lost; n: another game"),
        (Board(has_guest=True, winner=DRAW), "It's a draw; n: another game"),
    ],
)
def test_a_board_is_described_for_its_host(board: Board, text: str) -> None:
    assert TableStatus().lines(board, HOST, 0.0) == [text]


def test_a_problem_hides_an_absence_and_an_absence_hides_the_board() -> None:
    status = TableStatus()
    status.set_away(30.0, 100.0)
    assert status.lines(Board(), HOST, 110.0) == ["The other player is away (20 s left)"]
    status.interrupt("Connection lost", 120.0)
    assert status.lines(Board(), HOST, 110.0) == ["Connection lost (10 s left)"]
    assert status.expired_absence(200.0) is None


def test_a_notice_goes_away_after_a_few_seconds() -> None:
    status = TableStatus()
    status.notify("Reconnected", 0.0)
    assert status.lines(Board(), HOST, 5.0)[0] == "Reconnected"
    assert len(status.lines(Board(), HOST, 7.0)) == 1


def test_only_a_reported_absence_ends_with_a_notice() -> None:
    for is_assumed in (False, True):
        status = TableStatus()
        status.set_away(30.0, 0.0, is_assumed=is_assumed)
        status.set_back(1.0)
        assert status.absence is None
        assert ("The other player is back" in status.lines(Board(), HOST, 1.0)) is not is_assumed


def test_an_absence_expires_a_moment_after_its_deadline_and_not_right_after_our_return() -> None:
    status = TableStatus()
    status.set_away(10.0, 0.0)
    assert status.expired_absence(10.2) is None
    assert status.expired_absence(10.3) is not None
    status.extend_absence(10.3)
    assert status.expired_absence(11.4) is None
    assert status.expired_absence(11.6) is not None
