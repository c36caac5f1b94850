"""Lets clients into a discovery service, and runs each connection until it ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial

from teleglyph.discovery.service.live_session import ServicePeer
from teleglyph.discovery.service.service import DiscoveryService
from teleglyph.errors import BadDataError, KeyFileError, PeerError, PeerTimeoutError, RateLimitError, ServerFullError
from teleglyph.net import Connection, charged, needs_ping, timeout_error
from teleglyph.net.tcp import ConnectionProtocol
from teleglyph.server.address_gate import AddressGate
from teleglyph.server.discovery_config import DiscoveryConfig
from teleglyph.wire.acip import ErrorMessage, LogDirection, LogLevel, RemoteLog, encode
from teleglyph.wire.discovery.server_session import DiscoveryServerSession
from teleglyph.wire.link2 import Channel

_log = logging.getLogger(__name__)

_CLOSE_SECONDS = 0.8
"""For farewells; together with the rest of the shutdown well under a second."""
_INVALID = 86
"""The number of ERROR_MESSAGE for a request that cannot be understood."""


class DiscoveryDoor:
    """Serves clients (a :class:`~teleglyph.server.front_door.CallDoor`).

    Args:
        config: of the service.
        service: answers the requests.
        gate: limits the connections of each address.
    """

    def __init__(self, config: DiscoveryConfig, service: DiscoveryService, gate: AddressGate) -> None:
        self._config = config
        self._service = service
        self._gate = gate
        self._numbers = itertools.count(1)
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._unfinished = 0

    def __len__(self) -> int:
        return len(self._connections)

    def refuse(self, peer: str, *, is_counted: bool = False) -> PeerError | None:
        """Why a client may not connect; None if it may.

        Args:
            peer: its address.
            is_counted: its connection counts for its address already.
        """
        if (reason := self._gate.refuse(peer, is_counted=is_counted)) is not None:
            return RateLimitError(reason)
        if self._unfinished >= self._config.max_handshakes:
            text = f"{self._unfinished} handshakes are unfinished"
            self._gate.record_refusal("handshakes", "too many unfinished handshakes", peer, text)
            return ServerFullError("Too many connections are being set up. Try again in a moment.")
        return None

    def plain(self, peer: str, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a client without TLS, or the bytes that refuse it.

        Args:
            peer: its address.
            leave: called when its connection has ended.
        """
        session = DiscoveryServerSession.over_acip(
            self._config.identities, allow_plaintext=self._config.allow_plaintext
        )
        return self._protocol(peer, session, leave, is_private=False)

    def link(self, peer: str, channel: Channel, leave: Callable[[], None]) -> asyncio.Protocol | bytes:
        """The protocol for a client that speaks link 2, or the bytes that refuse it.

        Args:
            peer: its address.
            channel: the TLS connection.
            leave: called when its connection has ended.
        """
        session = DiscoveryServerSession.over_link(channel, self._config.identities)
        return self._protocol(peer, session, leave, is_private=True)

    def _protocol(
        self, peer: str, session: DiscoveryServerSession, leave: Callable[[], None], *, is_private: bool
    ) -> asyncio.Protocol | bytes:
        if (refusal := self.refuse(peer, is_counted=True)) is not None:
            # An answer would cost too much where an address connects too often.
            return b"" if isinstance(refusal, RateLimitError) else encode(ErrorMessage(refusal.exit_code, str(refusal)))
        connection = Connection(session, peer, self._config.connection, meter=self._gate.meter(peer))
        return ConnectionProtocol(connection, lambda _: self.start(connection, session, leave, is_private=is_private))

    def start(
        self,
        connection: Connection,
        session: DiscoveryServerSession,
        leave: Callable[[], None] = lambda: None,
        *,
        is_private: bool,
    ) -> asyncio.Task[None]:
        """Serve an open connection; returns the task that does.

        Args:
            connection: with an open transport.
            session: on it.
            leave: called when the connection has ended.
            is_private: nobody else can read it.
        """
        task = asyncio.get_running_loop().create_task(
            charged(self._serve(connection, session, is_private), connection.stopwatch),
            name=f"discovery {next(self._numbers)}",
        )
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)
        task.add_done_callback(lambda _: leave())
        return task

    async def _serve(self, connection: Connection, session: DiscoveryServerSession, is_private: bool) -> None:
        peer: ServicePeer | None = None
        farewell: list[bytes] = []
        ending: BaseException | None = None
        try:
            await self._shake_hands(connection, session)
            charge = partial(connection.charge, elsewhere=True)
            peer = self._service.connected(connection.peer, connection.send, is_private=is_private, charge=charge)
            async for message in connection:
                await self._service.receive(peer, message)
        except PeerError as error:
            ending = error
            _log.debug("%s is gone: %s", connection.peer, error)
            if peer is not None and isinstance(error, BadDataError | RateLimitError):
                number = _INVALID if isinstance(error, BadDataError) else error.exit_code
                farewell = [encode(ErrorMessage(number, str(error)))]
            # The session keeps the error, whose frames hold the session.
            error.__traceback__ = error.__cause__ = error.__context__ = None
        except KeyFileError as error:
            ending = error
            _log.error("Cannot prove the service's identity, so nobody can connect: %s", error)
        except asyncio.CancelledError as error:
            ending = error
            if peer is not None:
                text = "The discovery service is shutting down"
                farewell = [encode(RemoteLog(LogLevel.INFO, LogDirection.SERVER_TO_CLIENT, text))]
        except Exception as error:
            ending = error
            _log.exception("Connection of %s failed", connection.peer)
        if peer is not None:
            await self._service.disconnected(peer)
        await connection.close(*farewell, ending=ending)

    async def _shake_hands(self, connection: Connection, session: DiscoveryServerSession) -> None:
        self._unfinished += 1
        try:
            await connection.handshake(self._config.timeouts.handshake)
        except PeerTimeoutError:
            session.explain_timeout()
            raise
        finally:
            self._unfinished -= 1
            connection.flush_handshake()

    def watch(self, now: float) -> None:
        """Find dead connections; call it every second.

        Args:
            now: on the monotonic clock.
        """
        timeouts = self._config.timeouts
        for connection in self._connections.values():
            if (error := timeout_error(connection, timeouts, now)) is not None:
                connection.fail(error)
            elif connection.envelope is not None and needs_ping(connection, timeouts, now):
                connection.ping(now)

    def postpone(self, seconds: float) -> None:
        """Extend all timeouts by a time in which this process could neither read nor write."""
        for connection in self._connections.values():
            connection.postpone(seconds)

    async def close(self) -> None:
        """End all connections."""
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_CLOSE_SECONDS)
        for connection in self._connections.values():
            connection.abort()
