"""One side of a game in the terminal: the host keeps the board, the guest sends its moves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from teleglyph.client.play.four_in_a_row import COLUMNS, EMPTY, GUEST, HOST, Board
from teleglyph.client.play.host_state import HostState
from teleglyph.client.play.result_reporter import ResultReporter, result_url
from teleglyph.client.play.round_reports import RoundReports
from teleglyph.client.play.seating import Seating
from teleglyph.client.play.table_status import TableStatus
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

_KEYS = "Left, Right and Space, or 1-7: drop a stone; q: quit"
_NEXT_ROUND = b"again"
_TICK = 0.25
_RETRY_SECONDS = 0.5
_REPORT_SECONDS = 2.0
"""How long leaving may wait until the server has the result."""
_MAX_PRESSES = 64
"""Keys whose messages may wait for a slow connection."""
_SHUTTING_DOWN = "The server is shutting down"


class Table:
    """One side of a game.

    Args:
        seating: took our seat, and stores it.
        seat: our end of the room.
        terminal: shows the game.
        stop: set when the user leaves.
    """

    def __init__(self, seating: Seating, seat: Host | Guest, terminal: Terminal, stop: asyncio.Event) -> None:
        self.kept_for: float | None = None
        """After :meth:`play`: seconds for which the seat is kept for us; None if we have left it."""
        self._seating = seating
        self._seat = seat
        self._me = HOST if isinstance(seat, Host) else GUEST
        self._stop = stop
        self._board = Board()
        self._state = HostState()
        self._reporter = ResultReporter(result_url(seating.address.url), lambda: self._seat.authorization, self._save)
        self._reports = RoundReports(self._reporter, seating.address)
        self._status = TableStatus()
        self._cursor = COLUMNS // 2
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Receives an exception when the game ends without the relay."""
        self._keyboard = Keyboard(self._press_all, self._abort, terminal.typed)
        self._view = TableView(terminal, self._me)
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self) -> None:
        """Play until the user leaves or the game is over.

        Raises:
            SeatEndedError: the game is over; the message is for the user.
            ConnectionLostError: the connection could not be restored in time.
        """
        loop = asyncio.get_running_loop()
        self._resume()
        with self._view:
            self._keyboard.open()
            loop.add_signal_handler(signal.SIGWINCH, self._resize)
            loop.add_signal_handler(signal.SIGTSTP, self._suspend)
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._abort)
            self._draw()
            events, stopped = loop.create_task(self._listen()), loop.create_task(self._stop.wait())
            background = [loop.create_task(self._tick())]
            if self._me == HOST:
                background.append(loop.create_task(self._reporter.run()))
            try:
                await asyncio.wait((events, stopped, self._over), return_when=asyncio.FIRST_COMPLETED)
                if self.kept_for is None and not events.done():
                    # Without a connection this would wait for ever.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_REPORT_SECONDS + 1.0):
                            await self._leave_seat()
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
        # Leaving ends the events, too, but that is not an error.
        if error is None or self._stop.is_set():
            return
        raise self._seating.explain_end(error) if isinstance(error, SeatEndedError) else error

    async def _leave_seat(self) -> None:
        seat = self._seat
        if isinstance(seat, Guest):
            await seat.leave()
            return
        await self._abandon("the host left")
        await self._reporter.flush(_REPORT_SECONDS)
        await seat.end()

    def _abort(self) -> None:
        """End without leaving the seat: the terminal is gone, and another process may resume the game."""
        self.kept_for = self._seating.keep_open()
        self._stop.set()

    # --- stored state ---------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Continue where an earlier process stopped."""
        now = asyncio.get_running_loop().time()
        if self._seating.notice:
            self._status.notify(self._seating.notice, now)
        if not (self._me == HOST and self._seating.is_resumed):
            return
        self._state, self._board, pending = HostState.decode(self._seating.state)
        for report in pending:
            self._reporter.add(report)
        if self._state.opponent is not None:
            # The relay reports at once who is there; until then nobody is.
            self._board.has_guest = False
            self._status.set_away(self._seating.grace, now, is_assumed=True)

    async def _save(self) -> None:
        if self._me == HOST:
            await self._seating.save(self._state.encode(self._board, self._reporter.pending))

    async def _abandon(self, reason: str) -> None:
        """As the host: end a round that has begun, without a result."""
        if self._board.is_in_progress:
            self._reports.add_abandoned(self._state, reason)
            self._board = Board()
            await self._save()

    # --- events from the relay ------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                async for event in self._seat:
                    await self._handle(event)
                    self._draw()
            except SeatGoneError as error:
                await self._reopen(error)
            except SeatEndedError as error:
                if str(error) != _SHUTTING_DOWN:
                    raise
                await self._reopen(error)

    async def _handle(self, event: Event) -> None:
        now = asyncio.get_running_loop().time()
        match event:
            case PlayerCame(player):
                await self._admit(player)
            case PlayerAway(player, seconds) if player == self._state.opponent:
                self._status.set_away(seconds, now)
            case PlayerLeft(player) if player == self._state.opponent:
                await self._handle_departure()
            case Call(player, data) if player == self._state.opponent:
                await self._handle_request(data)
            case State(data) | Change(data) if self._me == GUEST:
                self._replace_board(data)
            case HostAway(seconds):
                self._status.set_away(seconds, now)
            case HostBack():
                self._status.set_back(now)
            case Away(_):
                self._interrupt("Connection lost, reconnecting")
            case Returned():
                self._status.problem = ""
                self._status.notify("Reconnected", now)
                if self._me == GUEST:
                    self._status.absence = None
                else:
                    self._status.extend_absence(now)

    def _interrupt(self, problem: str) -> None:
        self._status.interrupt(problem, asyncio.get_running_loop().time() + self._seating.patience)
        self._draw()

    async def _admit(self, player: int) -> None:
        """As the host: accept a guest, or send them away if there is another one."""
        if self._state.opponent not in (None, player):
            if isinstance(self._seat, Host):
                await self._seat.kick(player)
            return
        self._status.set_back(asyncio.get_running_loop().time())
        self._state.opponent = player
        self._board.has_guest = True
        await self._publish(whole=True)

    async def _handle_departure(self) -> None:
        """As the host: the guest is gone, for a while or for good."""
        self._board.has_guest = False
        if self._status.absence is None:
            if self._seat.grace is not None:
                # A relay that reports absences has not reported one, so the guest will not return.
                await self._abandon("the guest left")
                self._board = Board()
                self._status.notify("The other player has left", asyncio.get_running_loop().time())
            self._state.opponent = None
        await self._publish()

    async def _reopen(self, error: SeatEndedError) -> None:
        """The relay has lost the table, for example in a restart: open it again, or wait until its host has.

        Raises:
            SeatEndedError: the table cannot be opened again.
        """
        state: dict[str, Any] = {}
        if self._me == HOST:
            self._state, self._board.has_guest = HostState(), False
            self._reporter.pending.clear()
            state = self._state.encode(self._board, [])
            self._interrupt("The server closed the table, opening it again")
        else:
            self._interrupt("The server closed the table, waiting for the host")
        # These tasks wait for the old connection. A returning guest receives the whole board anyway.
        for task in self._tasks:
            task.cancel()
        await self._seat.__aexit__(None, None, None)
        while True:
            try:
                self._seat = await self._seating.take_new_seat(state)
                break
            except (SeatRefusedError, ConnectError) as refusal:
                # Any other refusal may come from a server that is shutting down or starting.
                is_permanent = self._me == HOST and "already exists" in str(refusal.__cause__)
                if is_permanent or asyncio.get_running_loop().time() + _RETRY_SECONDS > self._status.problem_until:
                    raise error from refusal
            await asyncio.sleep(_RETRY_SECONDS)
        self._status.absence, self._status.problem = None, ""
        self._status.notify("The table is open again, and the game continues", asyncio.get_running_loop().time())
        self._draw()

    async def _handle_request(self, data: bytes) -> None:
        """As the host: perform a guest's move, or start another round, if the rules allow it."""
        if data == _NEXT_ROUND and self._board.winner != EMPTY:
            self._board.start_next_round()
        elif len(data) != 1 or not self._board.drop(data[0], GUEST):
            return
        else:
            self._reports.add_result(self._state, self._board)
        await self._publish()

    async def _publish(self, *, whole: bool = False) -> None:
        """Save the board before sending it: a later process must know everything that the guest has seen."""
        await self._save()
        if isinstance(self._seat, Host):
            send = self._seat.send_state if whole else self._seat.send_change
            await send(self._board.encode())

    def _replace_board(self, data: bytes) -> None:
        try:
            self._board = Board.decode(data)
        except ValueError:
            text = "The host is playing another game, or another version of this one"
            self._status.notify(text, asyncio.get_running_loop().time())

    # --- time -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = asyncio.get_running_loop().time()
            await self._seating.refresh(self._seat, now)
            absence = self._status.expired_absence(now)
            if self._me == HOST and absence is not None and not self._over.done():
                await self._give_up(absence.seconds)
            self._draw_status()

    async def _give_up(self, seconds: float) -> None:
        """As the host: end the game, because the guest did not return in time."""
        room = self._seating.address.room
        await self._abandon("the guest did not return")
        self._over.set_exception(
            SeatEndedError(
                f"The other player did not return within {seconds:.0f} s. The game at table '{room}' is over."
            )
        )

    # --- keys -----------------------------------------------------------------------------------------

    def _press_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._press(key)
        self._draw()

    def _press(self, key: str) -> None:
        if key in ("q", "ctrl-c"):
            self._stop.set()
        elif key in ("left", "right"):
            self._cursor = (self._cursor + (1 if key == "right" else -1)) % COLUMNS
        elif key == "n":
            self._start_task(self._start_next_round)
        elif key in ("space", "down") or key in "1234567":
            if key.isdigit():
                self._cursor = int(key) - 1
            self._start_task(self._drop)

    def _start_task(self, act: Callable[[], Awaitable[None]]) -> None:
        # A key pressed without a connection would take effect on a later board.
        if self._status.problem or len(self._tasks) >= _MAX_PRESSES:
            return

        async def run() -> None:
            await act()
            self._draw()

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drop(self) -> None:
        if isinstance(self._seat, Guest):
            await self._seat.call(bytes([self._cursor]))
        elif self._board.has_guest and self._board.drop(self._cursor, HOST):
            self._reports.add_result(self._state, self._board)
            await self._publish()

    async def _start_next_round(self) -> None:
        if self._board.winner == EMPTY:
            return
        if isinstance(self._seat, Guest):
            await self._seat.call(_NEXT_ROUND)
        else:
            self._board.start_next_round()
            await self._publish()

    # --- drawing --------------------------------------------------------------------------------------

    def _resize(self) -> None:
        self._view.resize()
        self._draw()

    def _suspend(self) -> None:
        self._view.suspend()
        self._draw()

    def _draw(self) -> None:
        self._view.draw_board(self._board, self._cursor)
        self._draw_status()

    def _draw_status(self) -> None:
        lines = self._status.lines(self._board, self._me, asyncio.get_running_loop().time())
        self._view.draw_status(*lines, f"You are {self._view.stone}", _KEYS)
