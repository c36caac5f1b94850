"""Hosting and joining rooms from Python: connects, comes back by itself, and turns messages into events.

A host in a few lines::

    async with Host("ws://localhost:27224/rooms", "chess", "lobby") as host:
        async for event in host:
            match event:
                case PlayerCame(player):
                    await host.send_state(everything())
                case Call(player, data):
                    await host.send_change(what_came_of(player, data))

A guest gets :class:`State` and :class:`Change` events, and says what it wants with :meth:`Guest.call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from teleglyph.errors import (
    ConnectError,
    ConnectionLostError,
    NotSupportedError,
    ProtocolError,
    SeatEndedError,
    SeatGoneError,
    SeatRefusedError,
)
from teleglyph.net.websocket_failure import CONNECT_ERRORS, GAMES, websocket_failure
from teleglyph.wire.acip import Identity
from teleglyph.wire.rooms.extended import (
    STILL_HERE,
    SUBPROTOCOL,
    TOKEN_KEPT,
    Extended,
    JoinExtras,
    claim_identity,
    decode_seat_kept,
    only_for,
)
from teleglyph.wire.rooms.messages import FromGuest, FromHost, JoinReply, JoinRequest, decode_error, kick

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 4.0
_OPEN_SECONDS = 5.0
_SILENCE_FACTOR = 2.5
"""Missed signs of life after which a relay that announces them counts as gone."""
_PASSING = frozenset({"Connection lost.", "Lagging on internal channel - Computer too slow."})
"""Ends after which coming back makes sense."""
HOST_PLAYER = 0
TOO_MANY_GUESSES = "Too many wrong tokens, try again later."
"""A refusal that says nothing about the seat: somebody else at our address may have caused it."""
_NOT_PROVED = ("This seat belongs to an identity that was not proved.", "The identity was not proved")


def is_unproved(refusal: str) -> bool:
    """Whether a refusal is about a seat that is still there, for whoever has its key."""
    return refusal.startswith(_NOT_PROVED)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True)
class PlayerCame(Event):
    """To a host: somebody is there and needs the whole state; also after the host itself has come back.

    Attributes:
        identity: the Ed25519 key that the player proved to the relay, if it did.
    """

    player: int
    identity: bytes | None = None


@dataclass(frozen=True, slots=True)
class PlayerLeft(Event):
    """To a host: somebody is gone; the seat may be taken again."""

    player: int


@dataclass(frozen=True, slots=True)
class PlayerAway(Event):
    """To a host, before :class:`PlayerLeft`: that player's connection is lost, and its seat is kept.

    Attributes:
        seconds: for which it is kept.
    """

    player: int
    seconds: float


@dataclass(frozen=True, slots=True)
class HostAway(Event):
    """To a guest: the host's connection is lost, and the room waits for it.

    Attributes:
        seconds: for which it waits.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class HostBack(Event):
    """To a guest: the host is there again."""


@dataclass(frozen=True, slots=True)
class Call(Event):
    """To a host: what a player wants."""

    player: int
    data: bytes


@dataclass(frozen=True, slots=True)
class State(Event):
    """To a guest: the whole state, which replaces all that was."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Change(Event):
    """To a guest: a change of the state."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Away(Event):
    """The connection is lost; the next events come when it is there again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Returned(Event):
    """The connection is there again, in the same seat."""


class _Player:
    """What hosts and guests share.

    Args:
        url: of the relay: ``ws://host:port/rooms``.
        game, room: which room.
        variation: of the rules, for a room that is made.
        patience: seconds for which a lost connection is tried again.
        identity: who we prove to be; the seat is ours then, and nobody else's who learns its token.
        is_public: the room that is made may be listed.
        tells_absences: events say who is away: :class:`PlayerAway`, :class:`HostAway` and :class:`HostBack`.  Relays
            of the plain protocol do not know.
        token: of a seat that an earlier process had; None asks for a new one.
        chosen: a token that we made up, 64 random bits, which opens a new seat until the relay's own has been kept.
        keep: gets every new token before the relay hears that it has arrived, and says whether it is safe.  While it is
            not, the token before stays good.
    """

    _creates = False

    def __init__(
        self,
        url: str,
        game: str,
        room: str,
        variation: int = 0,
        *,
        patience: float = 30.0,
        identity: Identity | None = None,
        is_public: bool = False,
        tells_absences: bool = False,
        token: int | None = None,
        chosen: int | None = None,
        keep: Callable[[int], Awaitable[bool]] | None = None,
    ) -> None:
        self.player = -1
        """Our number; 0 is the host."""
        self.variation = variation
        """The room's."""
        self.grace: float | None = None
        """Seconds for which the relay keeps a seat; None if it does not say, nor who is away."""
        self._url, self._game, self._room = url, game, room
        self._patience = patience
        self._identity = identity
        self._is_public = is_public
        self._tells_absences = tells_absences
        self._silence: float | None = None
        """Seconds of silence after which the relay counts as gone; None until it announces signs of life."""
        self._token = token
        self._chosen = chosen
        self._keep = keep
        self._stack = contextlib.AsyncExitStack()
        self._socket: ClientConnection | None = None
        self._there = asyncio.Event()

    @property
    def is_extended(self) -> bool:
        """The relay speaks ``teleglyph.rooms.1``, too."""
        return self._socket is not None and self._socket.subprotocol == SUBPROTOCOL

    @property
    def authorization(self) -> str:
        """The header by which a host proves to the relay's HTTP routes that it is one."""
        return f"Bearer {self._token or 0:016x}"

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._there.clear()
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """What happens, until the room is over or we have left.

        Raises:
            SeatEndedError: we were sent away, or the room ended; the message is the relay's text.
            ConnectionLostError: the connection is gone for longer than our patience.
        """
        while True:
            try:
                socket = self._socket
                if socket is None:
                    raise ConnectionLostError("not connected")
                while True:
                    async with asyncio.timeout(self._silence):
                        message = await socket.recv()
                    if isinstance(message, bytes) and (event := await self._understand(message)) is not None:
                        yield event
            except TimeoutError:
                yield Away(f"The relay has been silent for {self._silence:g} s")
            except (ConnectionClosed, ConnectionLostError, OSError) as error:
                yield Away(str(error))
            await self._return()
            yield Returned()

    async def _connect(self) -> None:
        """Take a seat, or take it again.

        Raises:
            ConnectError: the relay cannot be reached.
            SeatRefusedError: it gives us no seat; the message is its text.
        """
        await self._stack.aclose()
        try:
            await self._take_seat()
        except BaseException:
            await self._stack.aclose()
            raise
        self._there.set()

    async def _take_seat(self) -> None:
        try:
            context: Any = connect(
                self._url, compression=None, open_timeout=_OPEN_SECONDS, subprotocols=[Subprotocol(SUBPROTOCOL)]
            )
            socket: ClientConnection = await self._stack.enter_async_context(context)
            request = JoinRequest(self._game, self._room, self.variation, self._creates, self._token)
            await socket.send(request.encode() + await self._extras(socket, request))
            async with asyncio.timeout(_OPEN_SECONDS):
                answer = await socket.recv()
        except CONNECT_ERRORS as error:
            failure = await websocket_failure(error, self._url, GAMES, _OPEN_SECONDS)
            if isinstance(error, InvalidStatus) and error.response.status_code == HTTPStatus.NOT_FOUND:
                raise SeatRefusedError(failure) from error
            raise ConnectError(failure) from error
        if not isinstance(answer, bytes):
            raise ProtocolError(f"{self._url} is not a relay for rooms.")
        if (text := decode_error(answer)) is not None:
            raise SeatRefusedError(text)
        reply = JoinReply.decode(answer)
        self.player, self.variation, self._token = reply.player, reply.variation, reply.token
        self._socket, self._silence = socket, None
        is_safe = self._keep is None or await self._keep(reply.token)
        if self.is_extended and is_safe:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(TOKEN_KEPT)

    async def _extras(self, socket: ClientConnection, request: JoinRequest) -> bytes:
        """What stands behind the request, if the relay speaks more than the plain protocol."""
        if socket.subprotocol != SUBPROTOCOL:
            if self._identity is not None:
                raise NotSupportedError("This relay does not know identities: join without one")
            return b""
        async with asyncio.timeout(_OPEN_SECONDS):
            hello = await socket.recv()
        chosen = self._chosen if request.token is None else None
        extras = JoinExtras(is_public=self._is_public, rotates=True, wants_absences=self._tells_absences, chosen=chosen)
        if self._identity is not None and isinstance(hello, bytes) and socket.request is not None:
            host = socket.request.headers["Host"]
            extras = await asyncio.to_thread(claim_identity, extras, self._identity, request, host, hello)
        return extras.encode()

    async def _return(self) -> None:
        self._there.clear()
        deadline, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return await self._connect()
            except ConnectError as error:
                if time.monotonic() + pause > deadline:
                    raise ConnectionLostError(str(error)) from error
            except SeatRefusedError as error:
                if str(error) != TOO_MANY_GUESSES:
                    raise SeatGoneError(str(error)) from error
                if time.monotonic() + pause > deadline:
                    raise ConnectionLostError(str(error)) from error
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads attempts, keeps no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _understand(self, message: bytes) -> Event | None:
        if self.is_extended and message[:1] == bytes([Extended.IDLE]):
            self._silence = _SILENCE_FACTOR * max(1, int.from_bytes(message[1:3], "big"))
            await self._send(STILL_HERE)
            return None
        if self.is_extended and message[:1] == bytes([Extended.KEPT]):
            player, seconds = decode_seat_kept(message)
            if player != self.player:
                return self._other_is_kept(player, seconds)
            self.grace = seconds
            return None
        text = decode_error(message)
        if text is None:
            return self._event(message)
        if text in _PASSING:
            raise ConnectionLostError(text)
        raise SeatEndedError(text)

    def _event(self, message: bytes) -> Event | None:
        raise NotImplementedError

    def _other_is_kept(self, player: int, seconds: float) -> Event | None:
        raise NotImplementedError

    async def _send(self, message: bytes) -> None:
        """Send now, or when the connection is there again; it may get lost together with a connection."""
        await self._there.wait()
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(message)


class Host(_Player):
    """Makes a room and runs it."""

    _creates = True
    _proved: tuple[int, bytes] | None = None
    """Of the player that is announced next."""

    async def send_state(self, data: bytes) -> None:
        """The whole state, for those who do not have it; the others do not get it."""
        await self._send(bytes([FromHost.FULL]) + data)

    async def send_change(self, data: bytes) -> None:
        """A change, for those who have the state."""
        await self._send(bytes([FromHost.DELTA]) + data)

    async def reset(self, data: bytes) -> None:
        """A new whole state, for everybody."""
        await self._send(bytes([FromHost.RESET]) + data)

    async def send_state_to(self, player: int, data: bytes) -> None:
        """The whole state as one player may see it; only that player gets it.

        Raises:
            NotSupportedError: the relay cannot do that.
        """
        await self._send_to(player, bytes([FromHost.RESET]) + data)

    async def send_change_to(self, player: int, data: bytes) -> None:
        """A change for one player, if it has a state; raises as :meth:`send_state_to`."""
        await self._send_to(player, bytes([FromHost.DELTA]) + data)

    async def _send_to(self, player: int, message: bytes) -> None:
        await self._there.wait()
        if not self.is_extended:
            raise NotSupportedError("This relay cannot send anything to a single player")
        await self._send(only_for(player, message))

    async def kick(self, player: int) -> None:
        """Send somebody away; the seat cannot be taken again."""
        await self._send(kick(player))

    async def end(self) -> None:
        """End the room for everybody."""
        await self._send(bytes([FromHost.END]))

    def _other_is_kept(self, player: int, seconds: float) -> Event | None:
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


class Guest(_Player):
    """Joins a room."""

    async def call(self, data: bytes) -> None:
        """Tell the host what we want."""
        await self._send(bytes([FromGuest.RPC]) + data)

    async def leave(self) -> None:
        """Leave; the place is free for others at once."""
        await self._send(bytes([FromGuest.LEAVE]))

    def _other_is_kept(self, player: int, seconds: float) -> Event | None:
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
