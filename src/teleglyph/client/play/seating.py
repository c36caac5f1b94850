"""Take a seat at a table, an earlier process's or a new one, and keep it stored on disk."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

from teleglyph.client.play.relay_errors import explain
from teleglyph.client.play.saved_seats import DEFAULT_GRACE, MAX_GRACE, SavedSeat, SeatFile
from teleglyph.client.play.table_address import TableAddress
from teleglyph.errors import SeatEndedError, SeatRefusedError
from teleglyph.rooms.client import TOO_MANY_GUESSES, Guest, Host, is_unproved
from teleglyph.wire.acip import Identity

MAX_NAME_BYTES = 128
"""Bytes of a table's name; our relays refuse longer ones."""
_TOUCH_SECONDS = 5.0


class Seating:
    """Takes and stores a seat at one table.

    A token is on disk before it is used, and a new one before the relay learns that it has arrived.  So a process
    killed at any moment leaves a token that opens its seat.

    Args:
        address: the table.
        file: an open file for the seat.
        patience: seconds in which to restore a lost connection.
        identity: proved to the relay; None proves none.
    """

    def __init__(
        self, address: TableAddress, file: SeatFile, patience: float, identity: Identity | None = None
    ) -> None:
        self.address = address
        self.patience = patience
        self.notice = ""
        """How we got the seat, for the user; empty if that is not worth a notice."""
        self.is_resumed = False
        """An earlier process had the seat."""
        self._file = file
        self._identity = identity
        self._saved = SavedSeat(0, is_confirmed=False, grace=DEFAULT_GRACE, state={})
        self._writing = asyncio.Lock()
        self._touched = 0.0

    @property
    def state(self) -> dict[str, Any]:
        """The game's state from the last :meth:`save`."""
        return self._saved.state

    @property
    def grace(self) -> float:
        """Seconds for which the relay keeps a seat, as far as known."""
        return self._saved.grace

    async def take_seat(self) -> Host | Guest:
        """Take an earlier process's seat, or a new one.

        Raises:
            SeatRefusedError: there is no seat for us; the message is for the user.
            ConnectError: the relay cannot be reached.
        """
        saved = await asyncio.to_thread(self._file.load)
        if saved is None:
            return await self.take_new_seat({})
        self._saved = saved
        seat = self._create(token=saved.token)
        try:
            await seat.__aenter__()
        except SeatRefusedError as error:
            # The seat still exists but is refused right now, so its token must not be lost.
            if saved.is_confirmed and (str(error) == TOO_MANY_GUESSES or is_unproved(str(error))):
                raise self._refused(error) from error
        else:
            self.is_resumed = True
            self.notice = f"Resumed your game as {self.address.role}"
            return seat
        # An unconfirmed seat was probably never granted, so there is no game to mention.
        self.notice = "Your earlier game at this table is over; this is a new one" if saved.is_confirmed else ""
        try:
            return await self.take_new_seat({})
        except SeatRefusedError as error:
            before = f"Your earlier game at table '{self.address.room}' is over. " if saved.is_confirmed else ""
            raise SeatRefusedError(f"{before}{error}") from error

    async def take_new_seat(self, state: dict[str, Any]) -> Host | Guest:
        """Open the table as host, or join it as guest.

        Args:
            state: the game's state to store.

        Raises:
            SeatRefusedError, ConnectError: as for :meth:`take_seat`.
        """
        self._saved = SavedSeat(secrets.randbits(64), is_confirmed=False, grace=DEFAULT_GRACE, state=state)
        is_safe = await self._write()
        seat = self._create(chosen=self._saved.token if is_safe else None)
        try:
            await seat.__aenter__()
        except SeatRefusedError as error:
            self.forget()
            raise self._refused(error) from error
        return seat

    async def save(self, state: dict[str, Any]) -> None:
        """Store the game's state."""
        self._saved.state = state
        await self._write()

    async def refresh(self, seat: Host | Guest, now: float) -> None:
        """Mark the stored seat as in use, and store the relay's grace period once it is known."""
        grace = self._saved.grace if seat.grace is None else min(seat.grace, MAX_GRACE)
        if grace != self._saved.grace:
            self._saved.grace = grace
            await self._write()
        elif now - self._touched >= _TOUCH_SECONDS:
            self._touched = now
            await asyncio.to_thread(self._file.touch)

    def keep_open(self) -> float:
        """End without leaving the seat; return the seconds for which the relay keeps it."""
        self._file.touch()
        return self._saved.grace

    def forget(self) -> None:
        """Delete the stored seat: it is no longer ours."""
        self._file.remove()

    def explain_end(self, error: SeatEndedError) -> SeatEndedError:
        """The same error, in words for the user."""
        return SeatEndedError(explain(str(error), self.address))

    def _refused(self, error: SeatRefusedError) -> SeatRefusedError:
        # An error with a cause is a web server's refusal in our own words; the others are the relay's texts.
        return SeatRefusedError(str(error) if error.__cause__ is not None else explain(str(error), self.address))

    def _create(self, *, token: int | None = None, chosen: int | None = None) -> Host | Guest:
        address, kind = self.address, Host if self.address.is_host else Guest
        return kind(
            address.url,
            address.game,
            address.room,
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
