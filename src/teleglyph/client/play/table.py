"""A game in the terminal, on a room of the relay: one side hosts and keeps the board, the other says what it wants."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from teleglyph.client.play.four_in_a_row import COLUMNS, DRAW, EMPTY, GUEST, HOST, Board
from teleglyph.client.play.host_state import HostMemory
from teleglyph.client.play.result_reporter import Results, result_url
from teleglyph.client.play.seating import Seating
from teleglyph.client.play.table_view import TableView
from teleglyph.client.terminal.capabilities import Terminal
from teleglyph.client.terminal.keyboard import Keyboard
from teleglyph.errors import ConnectError, SeatEndedError, SeatGoneError, SeatRefusedError
from teleglyph.rooms.client import (
    Away,
    Call,
    Change,
    Event,
    Guest,
    Host,
    HostAway,
    HostBack,
    PlayerAway,
    PlayerCame,
    PlayerLeft,
    Returned,
    State,
)

_KEYS = "Left, Right and Space drop a stone; so does its number. q quits"
_AGAIN = b"again"
_TICK = 0.25
_NOTICE_SECONDS = 6.0
_RETRY_SECONDS = 0.5
_REPORT_SECONDS = 2.0
"""How long leaving may wait for the server to note the result."""
_MAX_PRESSES = 64
"""Keys whose messages wait for a slow connection."""
_SHUTTING_DOWN = "The server is shutting down"
_RETURN_SECONDS = 1.0
"""After our own return, the relay's time to say who is there."""


@dataclass(slots=True)
class _Absence:
    """The other player is away.

    Attributes:
        seconds: for which the relay keeps its place, altogether.
        until: when that ends, on the loop's clock.
        is_assumed: the relay has not said so yet.
    """

    seconds: float
    until: float
    is_assumed: bool = False


class Table:
    """One side of a game.

    Args:
        seating: where our seat comes from, and is saved.
        seat: our end of the room, as ``seating`` gave it.
        terminal: where it is drawn.
        stop: set when the user leaves.
    """

    def __init__(self, seating: Seating, seat: Host | Guest, terminal: Terminal, stop: asyncio.Event) -> None:
        self.kept_for: float | None = None
        """After :meth:`play`: seconds for which the seat waits for us; None if we have left it."""
        self._seating = seating
        self._seat = seat
        self._me = HOST if isinstance(seat, Host) else GUEST
        self._stop = stop
        self._board = Board()
        self._memory = HostMemory()
        self._results = Results(result_url(seating.place.url), lambda: self._seat.authorization, self._save)
        self._absence: _Absence | None = None
        self._cursor = COLUMNS // 2
        self._trouble = ""
        """What keeps the game from going on."""
        self._trouble_until = 0.0
        self._notice, self._notice_until = "", 0.0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets an exception when the game is over without the relay saying so."""
        self._keyboard = Keyboard(self._press_all, self._vanish, terminal.typed)
        self._view = TableView(terminal, self._me)
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self) -> None:
        """Play until the user leaves or the room is over.

        Raises:
            SeatEndedError: the game is over; the message is for people.
            ConnectionLostError: the connection is gone for longer than our patience.
        """
        loop = asyncio.get_running_loop()
        self._resume()
        with self._view:
            self._keyboard.open()
            loop.add_signal_handler(signal.SIGWINCH, self._resized)
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._vanish)
            self._show()
            events, stopped = loop.create_task(self._listen()), loop.create_task(self._stop.wait())
            background = [loop.create_task(self._tick())]
            if self._me == HOST:
                background.append(loop.create_task(self._results.run()))
            try:
                await asyncio.wait((events, stopped, self._over), return_when=asyncio.FIRST_COMPLETED)
                if self.kept_for is None and not events.done():
                    # Without a connection nobody is there to take leave of.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_REPORT_SECONDS + 1.0):
                            await self._farewell()
            finally:
                self._keyboard.close()
                for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP):
                    loop.remove_signal_handler(number)
                for task in (events, stopped, *background, *self._tasks):
                    task.cancel()
                await asyncio.gather(events, stopped, *background, return_exceptions=True)
                await self._seat.__aexit__(None, None, None)
        self._conclude(None if events.cancelled() else events.exception())

    def _conclude(self, error: BaseException | None) -> None:
        over = self._over.exception() if self._over.done() else None
        if self.kept_for is None and (over is not None or error is None or isinstance(error, SeatEndedError)):
            self._seating.forget()
        if over is not None:
            raise over
        # Leaving ends our stay, too; that is not an error.
        if error is None or self._stop.is_set():
            return
        raise self._seating.ended(error) if isinstance(error, SeatEndedError) else error

    async def _farewell(self) -> None:
        seat = self._seat
        if isinstance(seat, Guest):
            await seat.leave()
            return
        await self._abandon("the host left")
        await self._results.drain(_REPORT_SECONDS)
        await seat.end()

    def _vanish(self) -> None:
        """The terminal or the machine goes; the seat stays ours, and the next process may go on with the game."""
        self.kept_for = self._seating.leave_open()
        self._stop.set()

    # --- what is kept ---------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Go on where an earlier process was."""
        if self._seating.word:
            self._say_for_a_while(self._seating.word)
        if not (self._me == HOST and self._seating.is_resumed):
            return
        self._memory, self._board, pending = HostMemory.decode(self._seating.state)
        for report in pending:
            self._results.add(report)
        if self._memory.opponent is not None:
            # The relay says at once who is there; until then nobody is.
            self._board.has_guest = False
            self._is_away(self._seating.grace, is_assumed=True)

    async def _save(self) -> None:
        if self._me == HOST:
            await self._seating.save(self._memory.encode(self._board, self._results.pending))

    def _report(self, report: dict[str, Any]) -> None:
        """A round is over: have the server record it, and count the next one."""
        place = self._seating.place
        self._results.add({"game_id": place.game, "room_code": place.room, "round": self._memory.round, **report})
        self._memory.round += 1

    def _report_if_over(self) -> None:
        winner, opponent = self._board.winner, self._memory.opponent
        if winner == EMPTY or opponent is None:
            return
        mine, other = {HOST: ("win", "loss"), GUEST: ("loss", "win")}.get(winner, ("draw", "draw"))
        self._report(
            {
                "result": {"winner": {HOST: "host", GUEST: "guest"}.get(winner, "draw"), "moves": self._board.stones},
                "outcomes": {"0": mine, str(opponent): other},
            }
        )

    async def _abandon(self, reason: str) -> None:
        """As the host: the round ends without a result, if it had begun."""
        if self._board.is_in_progress:
            opponent = self._memory.opponent
            players = {"0": None} if opponent is None else {"0": None, str(opponent): None}
            self._report({"abandoned": reason, "outcomes": players})
            self._board = Board()
            await self._save()

    # --- what comes -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                async for event in self._seat:
                    await self._handle(event)
                    self._show()
            except SeatGoneError as error:
                await self._sit_down_again(error)
            except SeatEndedError as error:
                if str(error) != _SHUTTING_DOWN:
                    raise
                await self._sit_down_again(error)

    async def _handle(self, event: Event) -> None:
        match event:
            case PlayerCame(player):
                await self._welcome(player)
            case PlayerAway(player, seconds) if player == self._memory.opponent:
                self._is_away(seconds)
            case PlayerLeft(player) if player == self._memory.opponent:
                await self._miss()
            case Call(player, data) if player == self._memory.opponent:
                await self._decide(data)
            case State(data) | Change(data) if self._me == GUEST:
                self._take(data)
            case HostAway(seconds):
                self._is_away(seconds)
            case HostBack():
                self._is_back()
            case Away(_):
                self._is_cut_off("Connection lost, connecting again")
            case Returned():
                self._trouble = ""
                self._say_for_a_while("Connected again")
                if self._me == GUEST:
                    self._absence = None
                elif self._absence is not None:
                    earliest = asyncio.get_running_loop().time() + _RETURN_SECONDS
                    self._absence.until = max(self._absence.until, earliest)

    def _is_cut_off(self, trouble: str) -> None:
        self._trouble = trouble
        self._trouble_until = asyncio.get_running_loop().time() + self._seating.patience
        self._show()

    def _is_away(self, seconds: float, *, is_assumed: bool = False) -> None:
        self._absence = _Absence(seconds, asyncio.get_running_loop().time() + seconds, is_assumed)

    def _is_back(self) -> None:
        absence, self._absence = self._absence, None
        if absence is not None and not absence.is_assumed:
            self._say_for_a_while("The other player is back")

    async def _welcome(self, player: int) -> None:
        """As the host: somebody is there."""
        if self._memory.opponent not in (None, player):
            if isinstance(self._seat, Host):
                await self._seat.kick(player)
            return
        self._is_back()
        self._memory.opponent = player
        self._board.has_guest = True
        await self._publish(whole=True)

    async def _miss(self) -> None:
        """As the host: the other player is gone, for a while or for good."""
        self._board.has_guest = False
        if self._absence is None:
            if self._seat.grace is not None:
                # A relay that tells who is away has not said so: this player is not coming back.
                await self._abandon("the guest left")
                self._board = Board()
                self._say_for_a_while("The other player has left")
            self._memory.opponent = None
        await self._publish()

    async def _sit_down_again(self, error: SeatEndedError) -> None:
        """The relay has forgotten the table, as after a restart: set it up again, or wait until its host has.

        Raises:
            SeatEndedError: that is not possible.
        """
        state: dict[str, Any] = {}
        if self._me == HOST:
            self._memory, self._board.has_guest = HostMemory(), False
            self._results.pending.clear()
            state = self._memory.encode(self._board, [])
            self._is_cut_off("The server closed the table, opening it again")
        else:
            self._is_cut_off("The server closed the table, waiting for the host")
        # They wait for the old connection.  Whoever comes back gets the whole board.
        for task in self._tasks:
            task.cancel()
        await self._seat.__aexit__(None, None, None)
        while True:
            try:
                self._seat = await self._seating.take_anew(state)
                break
            except (SeatRefusedError, ConnectError) as refusal:
                # Any other refusal may be one of a server that is still going, or not yet all there.
                is_hopeless = self._me == HOST and "already exists" in str(refusal.__cause__)
                if is_hopeless or asyncio.get_running_loop().time() + _RETRY_SECONDS > self._trouble_until:
                    raise error from refusal
            await asyncio.sleep(_RETRY_SECONDS)
        self._absence, self._trouble = None, ""
        self._say_for_a_while("The table is open again, and the game goes on")
        self._show()

    async def _decide(self, data: bytes) -> None:
        """As the host: what the guest wants, if the rules allow it."""
        if data == _AGAIN and self._board.winner != EMPTY:
            self._board.again()
        elif len(data) != 1 or not self._board.drop(data[0], GUEST):
            return
        else:
            self._report_if_over()
        await self._publish()

    async def _publish(self, *, whole: bool = False) -> None:
        """Save the board, and only then send it: what the guest has seen, a later process of ours knows."""
        await self._save()
        if isinstance(self._seat, Host):
            send = self._seat.send_state if whole else self._seat.send_change
            await send(self._board.encode())

    def _take(self, data: bytes) -> None:
        try:
            self._board = Board.decode(data)
        except ValueError:
            self._say_for_a_while("The host plays another game, or another version of this one")

    # --- time -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = asyncio.get_running_loop().time()
            await self._seating.look_after(self._seat, now)
            if self._notice and now > self._notice_until:
                self._notice = ""
            absence = self._absence
            is_over = absence is not None and now > absence.until + _TICK
            if self._me == HOST and is_over and not self._trouble and not self._over.done():
                await self._give_up(absence.seconds if absence is not None else 0.0)
            self._show_status()

    async def _give_up(self, seconds: float) -> None:
        """As the host: the guest did not come back in time."""
        room = self._seating.place.room
        await self._abandon("the guest did not return")
        self._over.set_exception(
            SeatEndedError(
                f"The other player did not return within {seconds:.0f} s. The game at table '{room}' is over."
            )
        )

    def _say_for_a_while(self, text: str) -> None:
        self._notice, self._notice_until = text, asyncio.get_running_loop().time() + _NOTICE_SECONDS

    # --- what is pressed ------------------------------------------------------------------------------

    def _press_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._press(key)
        self._show()

    def _press(self, key: str) -> None:
        if key in ("q", "ctrl-c"):
            self._stop.set()
        elif key in ("left", "right"):
            self._cursor = (self._cursor + (1 if key == "right" else -1)) % COLUMNS
        elif key == "n":
            self._soon(self._again)
        elif key in ("space", "down") or key in "1234567":
            if key.isdigit():
                self._cursor = int(key) - 1
            self._soon(self._drop)

    def _soon(self, act: Callable[[], Awaitable[None]]) -> None:
        # What is pressed without a connection would arrive when the board is another one.
        if self._trouble or len(self._tasks) >= _MAX_PRESSES:
            return

        async def run() -> None:
            await act()
            self._show()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drop(self) -> None:
        if isinstance(self._seat, Guest):
            await self._seat.call(bytes([self._cursor]))
        elif self._board.has_guest and self._board.drop(self._cursor, HOST):
            self._report_if_over()
            await self._publish()

    async def _again(self) -> None:
        if self._board.winner == EMPTY:
            return
        if isinstance(self._seat, Guest):
            await self._seat.call(_AGAIN)
        else:
            self._board.again()
            await self._publish()

    # --- what is seen ---------------------------------------------------------------------------------

    def _resized(self) -> None:
        self._view.fit()
        self._show()

    def _suspend(self) -> None:
        self._view.suspend()
        self._show()

    def _show(self) -> None:
        self._view.show(self._board, self._cursor)
        self._show_status()

    def _show_status(self) -> None:
        notice = [self._notice] if self._notice else []
        self._view.say(*notice, self._say(), f"You are {self._view.stone}", _KEYS)

    def _say(self) -> str:
        board, now = self._board, asyncio.get_running_loop().time()
        if self._trouble:
            return f"{self._trouble} ({_left(self._trouble_until - now)} left)"
        if self._absence is not None:
            return f"The other player is away ({_left(self._absence.until - now)} left)"
        if board.winner == DRAW:
            return "Nobody can win any more; n: another game"
        if board.winner != EMPTY:
            return ("You have won" if board.winner == self._me else "You have lost") + "; n: another game"
        if not board.has_guest:
            return "Waiting for somebody to join"
        return "Your turn" if board.turn == self._me else "The other one's turn"


def _left(seconds: float) -> str:
    return f"{max(0, round(seconds))} s"
