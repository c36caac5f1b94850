"""A connection to a relay that keeps its seat: joins a room, reconnects, and reads messages as events."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
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
from teleglyph.rooms.client_events import Away, Event, Returned
from teleglyph.wire.acip import Identity
from teleglyph.wire.rooms.extended import (
    STILL_HERE,
    SUBPROTOCOL,
    TOKEN_KEPT,
    Extended,
    JoinExtras,
    claim_identity,
    decode_seat_kept,
)
from teleglyph.wire.rooms.messages import JoinReply, JoinRequest, decode_error

_FIRST_PAUSE, _MAX_PAUSE = 0.25, 4.0
_OPEN_SECONDS = 5.0
_SILENCE_FACTOR = 2.5
"""Intervals without a sign of life after which a relay that promised them counts as gone."""
_TRANSIENT = frozenset({"Connection lost.", "Lagging on internal channel - Computer too slow."})
"""Reasons after which reconnecting makes sense."""
HOST_PLAYER = 0
TOO_MANY_GUESSES = "Too many wrong tokens, try again later."
"""A refusal unrelated to the seat: another client at our address may have caused it."""
_NOT_PROVED = ("This seat belongs to an identity that was not proved.", "The identity was not proved")


def is_unproved(refusal: str) -> bool:
    """Whether a refusal concerns a seat that still exists, but needs the proof of an identity."""
    return refusal.startswith(_NOT_PROVED)


class SeatClient:
    """The common part of hosts and guests.

    Args:
        url: of the relay: ``ws://host:port/rooms``.
        game, room: which room.
        variation: of the rules, for a new room.
        patience: seconds for which to retry a lost connection.
        identity: a key to prove; then nobody can take our seat with the token alone.
        is_public: the new room may be listed.
        tells_absences: yield :class:`~teleglyph.rooms.client.PlayerAway`, :class:`~teleglyph.rooms.client.HostAway` and
            :class:`~teleglyph.rooms.client.HostBack`.  Relays with the plain protocol do not send them.
        token: of a seat that an earlier process had; None asks for a new seat.
        chosen: a token of our own, 64 random bits, which opens a new seat until the relay's token is confirmed.
        keep: called with every new token before it is confirmed; returns whether the token is stored.  Otherwise the
            previous one stays valid.
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
        """Seconds for which the relay keeps a seat; None if it does not report absences."""
        self._url, self._game, self._room = url, game, room
        self._patience = patience
        self._identity = identity
        self._is_public = is_public
        self._tells_absences = tells_absences
        self._silence: float | None = None
        """Seconds of silence after which the relay counts as gone; None until it promises signs of life."""
        self._token = token
        self._chosen = chosen
        self._keep = keep
        self._stack = contextlib.AsyncExitStack()
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()

    @property
    def is_extended(self) -> bool:
        """Whether the relay speaks ``teleglyph.rooms.1``."""
        return self._socket is not None and self._socket.subprotocol == SUBPROTOCOL

    @property
    def authorization(self) -> str:
        """The header that authorizes the host at the relay's HTTP routes."""
        return f"Bearer {self._token or 0:016x}"

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connected.clear()
        await self._stack.aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield events until the room ends or we leave.

        Raises:
            SeatEndedError: we were removed, or the room ended; the message is the relay's text.
            ConnectionLostError: reconnecting failed for ``patience`` seconds.
        """
        while True:
            try:
                socket = self._socket
                if socket is None:
                    raise ConnectionLostError("not connected")
                while True:
                    async with asyncio.timeout(self._silence):
                        message = await socket.recv()
                    if isinstance(message, bytes) and (event := await self._decode(message)) is not None:
                        yield event
            except TimeoutError:
                yield Away(f"The relay has been silent for {self._silence:g} s")
            except (ConnectionClosed, ConnectionLostError, OSError) as error:
                yield Away(str(error))
            await self._reconnect()
            yield Returned()

    async def _connect(self) -> None:
        """Connect to our seat, or to a new one.

        Raises:
            ConnectError: the relay cannot be reached.
            SeatRefusedError: it refused us a seat; the message is its text.
        """
        await self._stack.aclose()
        try:
            await self._take_seat()
        except BaseException:
            await self._stack.aclose()
            raise
        self._connected.set()

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
            raise ProtocolError(f"'{self._url}' is not a relay for rooms. Check the address.")
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
        """The bytes after the join request; empty if the relay speaks the plain protocol."""
        if socket.subprotocol != SUBPROTOCOL:
            if self._identity is not None:
                raise NotSupportedError("This relay does not support identities. Join without one.")
            return b""
        async with asyncio.timeout(_OPEN_SECONDS):
            hello = await socket.recv()
        chosen = self._chosen if request.token is None else None
        extras = JoinExtras(is_public=self._is_public, rotates=True, wants_absences=self._tells_absences, chosen=chosen)
        if self._identity is not None and isinstance(hello, bytes) and socket.request is not None:
            host = socket.request.headers["Host"]
            extras = await asyncio.to_thread(claim_identity, extras, self._identity, request, host, hello)
        return extras.encode()

    async def _reconnect(self) -> None:
        self._connected.clear()
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
            pause = min(2 * pause, _MAX_PAUSE)

    async def _decode(self, message: bytes) -> Event | None:
        if self.is_extended and message[:1] == bytes([Extended.IDLE]):
            self._silence = _SILENCE_FACTOR * max(1, int.from_bytes(message[1:3], "big"))
            await self._send(STILL_HERE)
            return None
        if self.is_extended and message[:1] == bytes([Extended.KEPT]):
            player, seconds = decode_seat_kept(message)
            if player != self.player:
                return self._absence_event(player, seconds)
            self.grace = seconds
            return None
        text = decode_error(message)
        if text is None:
            return self._event(message)
        if text in _TRANSIENT:
            raise ConnectionLostError(text)
        raise SeatEndedError(text)

    def _event(self, message: bytes) -> Event | None:
        raise NotImplementedError

    def _absence_event(self, player: int, seconds: float) -> Event | None:
        raise NotImplementedError

    async def _send(self, message: bytes) -> None:
        """Send now, or after reconnecting.  A message is lost if the connection breaks while it is sent."""
        await self._connected.wait()
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(message)
