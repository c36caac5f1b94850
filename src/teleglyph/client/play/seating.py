"""Taking a seat at a table: the one that an earlier process left, or a new one; and keeping it on disk meanwhile."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

from teleglyph.client.play.relay_errors import Place, explain
from teleglyph.client.play.saved_seats import DEFAULT_GRACE, MAX_GRACE, SavedSeat, SeatFile
from teleglyph.errors import SeatEndedError, SeatRefusedError
from teleglyph.rooms.client import TOO_MANY_GUESSES, Guest, Host, is_unproved
from teleglyph.wire.acip import Identity

MAX_NAME_BYTES = 128
"""Bytes of a table's name; relays of ours refuse longer ones."""
_TOUCH_SECONDS = 5.0


class Seating:
    """Sits us down at one table.

    A token is on disk before it is used, and a new one before the relay hears that it has arrived, so a process that is
    killed at any moment leaves a token behind that opens its seat.

    Args:
        place: the table.
        file: where the seat is saved; open.
        patience: seconds for which a lost connection is tried again.
        identity: who we prove to be; None proves nothing.
    """

    def __init__(self, place: Place, file: SeatFile, patience: float, identity: Identity | None = None) -> None:
        self.place = place
        self.patience = patience
        self.word = ""
        """What the user should hear about how we sat down; empty if there is nothing to say."""
        self.is_resumed = False
        """The seat is one that an earlier process had."""
        self._file = file
        self._identity = identity
        self._saved = SavedSeat(0, is_confirmed=False, grace=DEFAULT_GRACE, state={})
        self._writing = asyncio.Lock()
        self._touched = 0.0

    @property
    def state(self) -> dict[str, Any]:
        """What the game saved last."""
        return self._saved.state

    @property
    def grace(self) -> float:
        """Seconds for which the relay keeps a seat, as far as we know."""
        return self._saved.grace

    async def take(self) -> Host | Guest:
        """Sit down where an earlier process sat, or anew.

        Raises:
            SeatRefusedError: there is no seat for us; the message is for people.
            ConnectError: the relay cannot be reached.
        """
        saved = await asyncio.to_thread(self._file.load)
        if saved is None:
            return await self.take_anew({})
        self._saved = saved
        seat = self._make(token=saved.token)
        try:
            await seat.__aenter__()
        except SeatRefusedError as error:
            # The seat is still there, only not for us at this moment: its token must not be lost.
            if saved.is_confirmed and (str(error) == TOO_MANY_GUESSES or is_unproved(str(error))):
                raise self._refused(error) from error
        else:
            self.is_resumed = True
            self.word = f"Resumed your game as {self._role}"
            return seat
        # A seat that we only asked for was probably never given; then there is nothing to regret.
        self.word = "Your earlier game at this table is over; this is a new one" if saved.is_confirmed else ""
        try:
            return await self.take_anew({})
        except SeatRefusedError as error:
            before = f"Your earlier game at table '{self.place.room}' is over. " if saved.is_confirmed else ""
            raise SeatRefusedError(f"{before}{error}") from error

    async def take_anew(self, state: dict[str, Any]) -> Host | Guest:
        """Open the table, or join it; raises as :meth:`take`.

        Args:
            state: what the game has to save.
        """
        self._saved = SavedSeat(secrets.randbits(64), is_confirmed=False, grace=DEFAULT_GRACE, state=state)
        is_safe = await self._write()
        seat = self._make(chosen=self._saved.token if is_safe else None)
        try:
            await seat.__aenter__()
        except SeatRefusedError as error:
            self.forget()
            raise self._refused(error) from error
        return seat

    async def save(self, state: dict[str, Any]) -> None:
        """Keep what the game needs to go on."""
        self._saved.state = state
        await self._write()

    async def look_after(self, seat: Host | Guest, now: float) -> None:
        """Say from time to time that we are still there, and note the relay's grace period when it is known."""
        grace = self._saved.grace if seat.grace is None else min(seat.grace, MAX_GRACE)
        if grace != self._saved.grace:
            self._saved.grace = grace
            await self._write()
        elif now - self._touched >= _TOUCH_SECONDS:
            self._touched = now
            await asyncio.to_thread(self._file.touch)

    def leave_open(self) -> float:
        """We go without leaving the seat; returns the seconds for which it is kept."""
        self._file.touch()
        return self._saved.grace

    def forget(self) -> None:
        """The seat is not ours any more."""
        self._file.remove()

    def ended(self, error: SeatEndedError) -> SeatEndedError:
        """The same end of our stay, in words for people."""
        return SeatEndedError(explain(str(error), self.place))

    def _refused(self, error: SeatRefusedError) -> SeatRefusedError:
        # A web server that turned us away is the cause of an error in our own words; the others are the relay's.
        return SeatRefusedError(str(error) if error.__cause__ is not None else explain(str(error), self.place))

    @property
    def _role(self) -> str:
        return "host" if self.place.hosts else "guest"

    def _make(self, *, token: int | None = None, chosen: int | None = None) -> Host | Guest:
        place, kind = self.place, Host if self.place.hosts else Guest
        return kind(
            place.url,
            place.game,
            place.room,
            patience=self.patience,
            identity=self._identity,
            tells_absences=True,
            token=token,
            chosen=chosen,
            keep=self._keep,
        )

    async def _keep(self, token: int) -> bool:
        self._saved.token, self._saved.is_confirmed = token, True
        return await self._write()

    async def _write(self) -> bool:
        async with self._writing:
            return await asyncio.to_thread(self._file.save, replace(self._saved))
