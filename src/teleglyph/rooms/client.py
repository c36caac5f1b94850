"""Host and join rooms from Python: connects, reconnects, and turns messages into events.

A host in a few lines::

    async with Host("ws://localhost:27224/rooms", "chess", "lobby") as host:
        async for event in host:
            match event:
                case PlayerCame(player):
                    await host.send_state(everything())
                case Call(player, data):
                    await host.send_change(what_came_of(player, data))

A guest gets :class:`State` and :class:`Change` events, and sends its requests with :meth:`Guest.call`.
"""

from __future__ import annotations

from teleglyph.errors import NotSupportedError
from teleglyph.rooms.client_events import (
    Away,
    Call,
    Change,
    Event,
    HostAway,
    HostBack,
    PlayerAway,
    PlayerCame,
    PlayerLeft,
    Returned,
    State,
)
from teleglyph.rooms.seat_client import HOST_PLAYER, TOO_MANY_GUESSES, SeatClient, is_unproved
from teleglyph.wire.rooms.extended import Extended, only_for
from teleglyph.wire.rooms.messages import FromGuest, FromHost, kick

__all__ = [
    "HOST_PLAYER",
    "TOO_MANY_GUESSES",
    "Away",
    "Call",
    "Change",
    "Event",
    "Guest",
    "Host",
    "HostAway",
    "HostBack",
    "PlayerAway",
    "PlayerCame",
    "PlayerLeft",
    "Returned",
    "State",
    "is_unproved",
]


class Host(SeatClient):
    """Creates a room and runs it."""

    _creates = True
    _proved: tuple[int, bytes] | None = None
    """The player that is announced next, and its proven key."""

    async def send_state(self, data: bytes) -> None:
        """Send the whole state to all players that do not have it yet."""
        await self._send(bytes([FromHost.FULL]) + data)

    async def send_change(self, data: bytes) -> None:
        """Send a change to all players that have the state."""
        await self._send(bytes([FromHost.DELTA]) + data)

    async def reset(self, data: bytes) -> None:
        """Send a new whole state to everybody."""
        await self._send(bytes([FromHost.RESET]) + data)

    async def send_state_to(self, player: int, data: bytes) -> None:
        """Send the whole state, as one player may see it, to that player only.

        Raises:
            NotSupportedError: the relay cannot do that.
        """
        await self._send_to(player, bytes([FromHost.RESET]) + data)

    async def send_change_to(self, player: int, data: bytes) -> None:
        """Send a change to one player, if it has a state; raises like :meth:`send_state_to`."""
        await self._send_to(player, bytes([FromHost.DELTA]) + data)

    async def _send_to(self, player: int, message: bytes) -> None:
        await self._connected.wait()
        if not self.is_extended:
            raise NotSupportedError("This relay cannot send messages to a single player.")
        await self._send(only_for(player, message))

    async def kick(self, player: int) -> None:
        """Remove a player; its token is no longer valid."""
        await self._send(kick(player))

    async def end(self) -> None:
        """End the room for everybody."""
        await self._send(bytes([FromHost.END]))

    def _absence_event(self, player: int, seconds: float) -> Event | None:
        return PlayerAway(player, seconds)

    def _event(self, message: bytes) -> Event | None:
        if len(message) < 3:
            return None
        player = int.from_bytes(message[1:3], "big")
        match message[0]:
            case Extended.IDENTITY:
                self._proved = player, message[3:]
            case 0:
                proved, self._proved = self._proved, None
                return PlayerCame(player, proved[1] if proved and proved[0] == player else None)
            case 1:
                return PlayerLeft(player)
            case FromGuest.RPC:
                return Call(player, message[3:])
        return None


class Guest(SeatClient):
    """Joins a room."""

    async def call(self, data: bytes) -> None:
        """Send a request to the host."""
        await self._send(bytes([FromGuest.RPC]) + data)

    async def leave(self) -> None:
        """Leave; the seat is free for others at once."""
        await self._send(bytes([FromGuest.LEAVE]))

    def _absence_event(self, player: int, seconds: float) -> Event | None:
        if player != HOST_PLAYER:
            return None
        return HostAway(seconds) if seconds > 0 else HostBack()

    def _event(self, message: bytes) -> Event | None:
        match message[:1]:
            case b"\x02":
                return Change(message[1:])
            case b"\x03" | b"\x04":
                return State(message[1:])
        return None
