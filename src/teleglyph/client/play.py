"""A game in the terminal, on a room of the relay: one side hosts and keeps the board, the other says what it wants."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

from teleglyph.client.four import COLUMNS, DRAW, EMPTY, GUEST, HOST, Board
from teleglyph.client.keyboard import Keyboard
from teleglyph.client.screen import Screen
from teleglyph.client.terminal import Terminal, terminal_size
from teleglyph.media.frame_text import check_frame
from teleglyph.media.modes import ColorLevel
from teleglyph.rooms.client import Away, Call, Change, Guest, Host, PlayerCame, PlayerLeft, Returned, State

_KEYS = "Left, Right and Space drop a stone; so does its number. q quits"
_AGAIN = b"again"


class Table:
    """One side of a game.

    Args:
        seat: our end of the room.
        terminal: where it is drawn.
        stop: set when the user leaves.
    """

    def __init__(self, seat: Host | Guest, terminal: Terminal, stop: asyncio.Event) -> None:
        self._seat = seat
        self._me = HOST if isinstance(seat, Host) else GUEST
        self._terminal = terminal
        self._stop = stop
        self._board = Board()
        self._opponent: int | None = None
        self._cursor = COLUMNS // 2
        self._trouble = ""
        """What keeps the game from going on."""
        self._keyboard = Keyboard(self._press_all, stop.set)
        self._screen = Screen(*terminal_size(os.environ), synchronized=terminal.synchronized)
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self) -> None:
        """Play until the user leaves or the room is over.

        Raises:
            SeatEnded, ConnectionLost: the room is over for us.
        """
        loop = asyncio.get_running_loop()
        with self._screen:
            self._keyboard.open()
            loop.add_signal_handler(signal.SIGWINCH, self._resized)
            self._show()
            events, stopped = loop.create_task(self._listen()), loop.create_task(self._stop.wait())
            try:
                await asyncio.wait((events, stopped), return_when=asyncio.FIRST_COMPLETED)
                if not events.done():
                    # Without a connection nobody is there to take leave of.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._farewell(), 1.0)
            finally:
                self._keyboard.close()
                loop.remove_signal_handler(signal.SIGWINCH)
                for task in (events, stopped, *self._tasks):
                    task.cancel()
                await asyncio.wait((events, stopped))
        error = None if events.cancelled() else events.exception()
        # Who leaves is told that the room is over for him; that is no error.
        if error is not None and not self._stop.is_set():
            raise error

    async def _farewell(self) -> None:
        seat = self._seat
        await (seat.end() if isinstance(seat, Host) else seat.leave())

    # --- what comes -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for event in self._seat:
            match event:
                case PlayerCame(player):
                    self._opponent = player if self._opponent is None else self._opponent
                    self._board.has_guest = True
                    await self._publish(whole=True)
                case PlayerLeft(player) if player == self._opponent:
                    self._opponent, self._board.has_guest = None, False
                    await self._publish()
                case Call(player, data) if player == self._opponent:
                    await self._decide(data)
                case State(data) | Change(data):
                    self._take(data)
                case Away(reason):
                    self._trouble = f"Connecting again: {reason}"
                case Returned():
                    self._trouble = ""
            self._show()

    async def _decide(self, data: bytes) -> None:
        """As the host: what the guest wants, if the rules allow it."""
        if data == _AGAIN and self._board.winner != EMPTY:
            self._board.again()
        elif len(data) != 1 or not self._board.drop(data[0], GUEST):
            return
        await self._publish()

    async def _publish(self, *, whole: bool = False) -> None:
        if isinstance(self._seat, Host):
            send = self._seat.send_state if whole else self._seat.send_change
            await send(self._board.encode())

    def _take(self, data: bytes) -> None:
        try:
            self._board = Board.decode(data)
        except ValueError as error:
            self._trouble = f"The other side plays something else: {error}"

    # --- what is pressed ------------------------------------------------------------------------------

    def _press_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._press(key)
        self._show()

    def _press(self, key: str) -> None:
        if key in ("q", "escape"):
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
        self._screen.resize(*terminal_size(os.environ))
        self._show()

    def _show(self) -> None:
        is_mine = self._board.turn == self._me and self._board.winner == EMPTY
        text = self._board.draw(
            self._cursor if is_mine else -1,
            color=self._terminal.color != ColorLevel.NONE,
            utf8=self._terminal.utf8,
        )
        columns, rows = self._screen.picture_size
        margin = " " * max(0, (columns - 31) // 2)
        top = "\n" * max(0, (rows - 9) // 2)
        drawn = top + "\n".join(margin + line for line in text.split("\n"))
        if (frame := check_frame(drawn.encode(), columns, rows)) is not None:
            self._screen.show(frame)
        stone = self._board.stone(self._me, utf8=self._terminal.utf8)
        self._screen.set_status(f" You are {stone} | {self._say()} | {_KEYS}")

    def _say(self) -> str:
        board = self._board
        if self._trouble:
            return self._trouble
        if board.winner == DRAW:
            return "Nobody can win any more; n: another game"
        if board.winner != EMPTY:
            return ("You have won" if board.winner == self._me else "You have lost") + "; n: another game"
        if not board.has_guest:
            return "Waiting for somebody to join"
        return "Your turn" if board.turn == self._me else "The other one's turn"
