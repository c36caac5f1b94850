"""The status of a table as the text of the status line."""

from __future__ import annotations

from dataclasses import dataclass

from teleglyph.client.play.four_in_a_row import DRAW, EMPTY, Board

_NOTICE_SECONDS = 6.0
_RETURN_SECONDS = 1.0
"""After our own return, the relay's time to report who is there."""
_GRACE_SECONDS = 0.25
"""An absence ends so long after its deadline, because the relay decides first."""


@dataclass(slots=True)
class Absence:
    """The other player is away.

    Attributes:
        seconds: how long the relay keeps their seat, altogether.
        until: when that ends, on the loop's clock.
        is_assumed: the relay has not reported it yet.
    """

    seconds: float
    until: float
    is_assumed: bool = False


class TableStatus:
    """The messages for a player: a notice, a connection problem, or the other player's absence.

    All times are on the loop's clock.
    """

    def __init__(self) -> None:
        self.problem = ""
        """The problem that interrupts the game; empty if there is none."""
        self.problem_until = 0.0
        self.absence: Absence | None = None
        self._notice = ""
        self._notice_until = 0.0

    def notify(self, text: str, now: float) -> None:
        """Show a notice for a few seconds."""
        self._notice, self._notice_until = text, now + _NOTICE_SECONDS

    def interrupt(self, problem: str, until: float) -> None:
        """Show a problem, and the time left until ``until``."""
        self.problem, self.problem_until = problem, until

    def set_away(self, seconds: float, now: float, *, is_assumed: bool = False) -> None:
        """Show that the other player is away and has ``seconds`` to return."""
        self.absence = Absence(seconds, now + seconds, is_assumed)

    def set_back(self, now: float) -> None:
        """End an absence, with a notice if the relay had reported it."""
        absence, self.absence = self.absence, None
        if absence is not None and not absence.is_assumed:
            self.notify("The other player is back", now)

    def extend_absence(self, now: float) -> None:
        """Leave the relay time to report who is there, after our own return."""
        if self.absence is not None:
            self.absence.until = max(self.absence.until, now + _RETURN_SECONDS)

    def expired_absence(self, now: float) -> Absence | None:
        """The absence, if it has lasted too long and no problem hides its end."""
        absence = self.absence
        if absence is None or self.problem or now <= absence.until + _GRACE_SECONDS:
            return None
        return absence

    def lines(self, board: Board, me: int, now: float) -> list[str]:
        """The current notice, if any, and the state of the game."""
        if self._notice and now > self._notice_until:
            self._notice = ""
        return [*([self._notice] if self._notice else []), self._describe(board, me, now)]

    def _describe(self, board: Board, me: int, now: float) -> str:
        if self.problem:
            return f"{self.problem} ({_time_left(self.problem_until - now)} left)"
        if self.absence is not None:
            return f"The other player is away ({_time_left(self.absence.until - now)} left)"
        if board.winner == DRAW:
            return "It's a draw; n: another game"
        if board.winner != EMPTY:
            return ("You won" if board.winner == me else "You lost") + "; n: another game"
        if not board.has_guest:
            return "Waiting for someone to join"
        return "Your turn" if board.turn == me else "The other player's turn"


def _time_left(seconds: float) -> str:
    return f"{max(0, round(seconds))} s"
