"""Rooms over WebSocket: passes messages between connections and seats, and closes silent connections."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass

from teleglyph.errors import (
    ConnectionLostError,
    PeerError,
    PeerTimeoutError,
    RateLimitError,
    SeatEndedError,
    SeatRefusedError,
)
from teleglyph.net import Connection, ConnectionLimits, OutboxLimits, OwnNames, StallDetector, needs_ping, timeout_error
from teleglyph.net.websocket import CLOSE_FRAME, BinaryMessage, WebSocketSession, frame_binary, frame_close
from teleglyph.rooms import end_texts as texts
from teleglyph.rooms.relay import NO_MESSAGE, Greeting, Player, Relay
from teleglyph.rooms.seats import HOST
from teleglyph.wire.rooms.extended import CHALLENGE_SIZE, SUBPROTOCOL, CloseCode, encode_hello, encode_idle
from teleglyph.wire.rooms.messages import encode_error

_log = logging.getLogger(__name__)

CONNECTION_LOST = "Connection lost."
GUEST_TOO_SLOW = "Lagging on internal channel - Computer too slow."
HOST_TOO_SLOW = "Error in communication with server endpoint."
TOO_LARGE = "Message too large."
_CODES = {
    texts.HOST_LEFT: CloseCode.LEFT,
    texts.GUEST_LEFT: CloseCode.LEFT,
    texts.ROOM_ENDED: CloseCode.ROOM_OVER,
    texts.HOST_GONE: CloseCode.ROOM_OVER,
    texts.KICKED: CloseCode.KICKED,
    texts.TAKEN_OVER: CloseCode.TAKEN_OVER,
    texts.EMPTY_MESSAGE: CloseCode.VIOLATION,
    texts.ILLEGAL_FROM_HOST: CloseCode.VIOLATION,
    texts.ILLEGAL_FROM_GUEST: CloseCode.VIOLATION,
    TOO_LARGE: CloseCode.VIOLATION,
    GUEST_TOO_SLOW: CloseCode.TOO_SLOW,
    HOST_TOO_SLOW: CloseCode.TOO_SLOW,
    CONNECTION_LOST: CloseCode.LOST,
}
TOO_LARGE_FRAMES = frame_binary(encode_error(TOO_LARGE))
"""Sent before the close when a message exceeds the WebSocket's maximum size."""
MAX_REQUEST = 1024
"""Bytes of a join request."""
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class RoomsLimits:
    """Bounds of one player's connection; times in seconds."""

    request_timeout: float = 10.0
    """From the connection to the join request."""
    ping_after: float = 20.0
    """Silence after which a ping is sent."""
    silence_timeout: float = 60.0
    """Silence, even after pings, after which a player counts as gone."""
    stall_timeout: float = 10.0
    """Time without accepting bytes after which a player counts as no longer reading."""
    connection: ConnectionLimits = ConnectionLimits(
        packets_per_second=500.0,
        packet_burst=1000.0,
        bytes_per_second=8 * 2**20,
        byte_burst=2 * 2**20,
        receive_buffer=256 << 10,
        outbox=OutboxLimits(control_bytes=2 << 20),
    )


class _Framer:
    """Frames a message once for consecutive recipients."""

    def __init__(self) -> None:
        self._message = self._framed = b""

    def frame(self, message: bytes) -> bytes:
        if message is not self._message:
            self._message, self._framed = message, frame_binary(message)
        return self._framed


class PlayerLink:
    """A player's WebSocket as its room sees it."""

    def __init__(self, connection: Connection, framer: _Framer, *, is_extended: bool = False) -> None:
        self._connection = connection
        self._framer = framer
        self.is_extended = is_extended
        self.is_seated = False
        """Whether the player got a seat."""
        self.text: str | None = None
        """The last message to the player; None while the link is open."""

    def send(self, message: bytes) -> None:
        """Queue a message."""
        if self.text is None:
            self._connection.outbox.queue_raw(self._framer.frame(message))

    def end(self, text: str) -> None:
        """Queue the last message, and make the connection's reader close it."""
        if self.text is None:
            self.text = text
            self._connection.outbox.queue_raw(frame_binary(encode_error(text)))
            if self.is_extended:
                refused = CloseCode.ENDED if self.is_seated else CloseCode.REFUSED
                self._connection.outbox.queue_last(frame_close(_CODES.get(text, refused), text))
            else:
                self._connection.outbox.queue_last(CLOSE_FRAME)
            self._connection.fail(SeatEndedError(text))


class RoomsService:
    """The relay on an event loop.

    Args:
        relay: the rooms.
        limits: bounds of one connection.
    """

    def __init__(self, relay: Relay, limits: RoomsLimits | None = None) -> None:
        self.relay = relay
        self.limits = limits or RoomsLimits()
        self._framer = _Framer()
        self._check_interval = min(1.0, self.limits.ping_after / 10)
        self._connections: dict[Connection, WebSocketSession] = {}

    @property
    def max_message(self) -> int:
        """Bytes of the largest message in any game."""
        return max([MAX_REQUEST, *(game.max_message for game in self.relay.games)])

    def __len__(self) -> int:
        return len(self._connections)

    async def run(self) -> None:
        """End expired rooms and dead connections, until cancelled."""
        checked, stalls = 0.0, StallDetector(_TICK)
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            if (stall := stalls.sample(now)) > 0:
                self.relay.postpone(stall)
                for connection in self._connections:
                    connection.postpone(stall)
            self.relay.expire(now)
            if now - checked > self._check_interval:
                checked = now
                for connection, session in list(self._connections.items()):
                    self._check_liveness(connection, session, now)

    async def serve(self, connection: Connection, session: WebSocketSession, network: str, own: OwnNames) -> None:
        """Serve one player's connection from its first message to its end.

        Args:
            connection: open, on a WebSocket; closed when this returns.
            session: the connection's.
            network: its address, as limits count it.
            own: the server's names on this connection.
        """
        greeting: Greeting | None = None
        if session.subprotocol == SUBPROTOCOL:
            hint = "" if own.is_own_host(own.asked) else str(own)
            greeting = Greeting(own.spellings, os.urandom(CHALLENGE_SIZE), hint)
            connection.outbox.queue_raw(frame_binary(encode_hello(greeting.challenge)))
        link = PlayerLink(connection, self._framer, is_extended=greeting is not None)
        player: Player | None = None
        text = CONNECTION_LOST
        self._connections[connection] = session
        try:
            request = await self._request(connection)
            player = self.relay.enter(request, link, network, time.monotonic(), greeting)
            link.is_seated = True
            await self._play(connection, player)
        except (RateLimitError, SeatRefusedError, SeatEndedError) as error:
            text = str(error)
        except PeerTimeoutError:
            if player is not None:
                text = HOST_TOO_SLOW if player.seat.player == HOST else GUEST_TOO_SLOW
        except PeerError as error:
            _log.debug("Player at %s left: %s", connection.peer, error)
        finally:
            del self._connections[connection]
            if player is not None:
                player.room.leave(player.seat, link, text, time.monotonic())
            link.end(text)
            await connection.close(half_close=True)

    async def _request(self, connection: Connection) -> bytes:
        """The first binary message.

        Raises:
            SeatRefusedError: none came, or it is too long.
        """
        try:
            async with asyncio.timeout(self.limits.request_timeout):
                async for message in connection:
                    if isinstance(message, BinaryMessage):
                        if len(message.data) > MAX_REQUEST:
                            raise SeatRefusedError(TOO_LARGE)
                        return message.data
        except (TimeoutError, ConnectionLostError):
            pass
        raise SeatRefusedError(NO_MESSAGE)

    async def _play(self, connection: Connection, player: Player) -> None:
        room = player.room
        async for message in connection:
            if isinstance(message, BinaryMessage):
                now = time.monotonic()
                if len(message.data) > room.rules.max_message:
                    room.leave(player.seat, player.link, TOO_LARGE, now)
                else:
                    room.receive(player.seat, player.link, message.data, now)

    def _check_liveness(self, connection: Connection, session: WebSocketSession, now: float) -> None:
        error = timeout_error(connection, self.limits, now)
        if error is not None:
            connection.fail(error)
        elif session.subprotocol == SUBPROTOCOL:
            # Pages in a browser cannot see pings, so they get a message that they answer.
            if now - connection.last_sent > self.limits.ping_after or needs_ping(connection, self.limits, now):
                connection.last_probed = now
                connection.outbox.queue_raw(frame_binary(encode_idle(round(self.limits.ping_after) or 1)))
        elif needs_ping(connection, self.limits, now):
            connection.last_probed = now
            session.ping()
            connection.flush_handshake()
