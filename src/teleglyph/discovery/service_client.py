"""A connection to a discovery service, for hosts and joiners."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TypeVar

from teleglyph.discovery.service_errors import error_of
from teleglyph.discovery.service_trust import CheckIdentity
from teleglyph.errors import (
    ConnectError,
    ConnectionLostError,
    DiscoveryError,
    HandshakeError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
)
from teleglyph.keys.certificate import channel_of, may_have_authority
from teleglyph.net import Connection, authority, connect_tcp, connect_tls
from teleglyph.net.addresses import SERVICE_PORT
from teleglyph.net.tcp import TlsFailedError, client_context
from teleglyph.wire.acip import ErrorMessage, Event, HandshakeDone, Identity, Message, Ping, Pong, RemoteLog
from teleglyph.wire.discovery import (
    AcipError,
    NatProbe,
    NatProbed,
    SessionCreate,
    SessionCreated,
    SessionEnd,
    SessionInfo,
    SessionJoin,
    SessionJoined,
    SessionLeave,
    SessionLookup,
    StringRelease,
    StringRenew,
    StringReserve,
    StringReserved,
    sign,
)
from teleglyph.wire.discovery.client_session import DiscoveryClientSession
from teleglyph.wire.link2 import ALPN

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer", bound=Message)


_CHECK_PORT = f"A discovery service uses port {SERVICE_PORT} unless its operator chose another one."
_CONNECT_SECONDS = 5.0
_HANDSHAKE_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_PING_SECONDS = 10.0
"""Between two pings."""
_SILENCE_SECONDS = 25.0
"""Silence after which the service counts as gone; it answers pings."""
_MAX_WAITING = 1000
"""Messages that wait for :meth:`ServiceClient.messages`."""


class ServiceClient:
    """A connection to a discovery service.

    Use::

        async with ServiceClient.open(host, port, check_identity=check) as service:
            joined = await service.join("quiet-river-stone")
            service.send(Rendezvous(...))
            async for message in service.messages():
                ...

    All methods raise ConnectionLostError when the connection has ended.

    Args:
        connection: with a finished handshake.
        identity: signs requests; None for somebody without a key.
        is_foreign: the service is ascii-chat's, which answers no pings.
    """

    def __init__(self, connection: Connection, identity: Identity | None, *, is_foreign: bool) -> None:
        self.service_identity: bytes | None = None
        """The key that the service proved; None for none."""
        self.has_public_certificate = False
        """Whether an authority has issued its certificate, so that browsers may accept it."""
        self.joined: SessionJoined | None = None
        """The session that this client has joined."""
        self._connection = connection
        self._identity = identity
        self._is_foreign = is_foreign
        self._asking = asyncio.Lock()
        self._expected: type[Message] | None = None
        self._answer: asyncio.Future[Message] | None = None
        self._pongs = 0
        """Pongs that come before the answer; errors before them belong to earlier messages."""
        self._barrier: asyncio.Future[None] | None = None
        self._waiting: asyncio.Queue[Event | None] = asyncio.Queue(_MAX_WAITING)
        self._ending: PeerError | None = None
        self._last_timestamp = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        host: str,
        port: int = SERVICE_PORT,
        *,
        check_identity: CheckIdentity,
        identity: Identity | None = None,
        insecure: bool = False,
        verify: bool = False,
    ) -> AsyncIterator[ServiceClient]:
        """Connect to a service, and close the connection at the end of the ``async with`` block.

        Args:
            host: of the service.
            port: of the service.
            check_identity: decides about the service's key.
            identity: our own; signs what we register.
            insecure: for services of ascii-chat: nothing is encrypted.
            verify: also require a certificate that this machine trusts, for the service's name.

        Raises:
            PeerError: the service cannot be reached, is not the expected one, or refuses us.
        """
        connection = await (_connect_plain if insecure else partial(_connect_link, verify=verify))(
            host, port, check_identity
        )
        client = cls(connection, identity, is_foreign=insecure)
        client.has_public_certificate = not insecure and may_have_authority(connection.certificate)
        try:
            client.service_identity = (await _shake_hands(connection)).identity
            client._begin()
            yield client
        finally:
            await client.close()

    # --- requests -----------------------------------------------------------------------------------------

    async def lookup(self, name: str) -> SessionInfo | None:
        """Find a session; None if there is none.

        Raises:
            RateLimitError: this machine's address asks too often.
        """
        info = await self._ask(SessionLookup(name), SessionInfo)
        return info if info.found else None

    async def join(self, name: str, password: str = "", *, proves_identity: bool = False) -> SessionJoined:
        """Join a session.

        Args:
            name: of the session.
            password: for a session whose service checks passwords; the service can read it.
            proves_identity: show our key to the service and the others.

        Raises:
            NoSuchSessionError, SessionFullError, SessionPasswordError, RateLimitError, DiscoveryError: it was refused.
        """
        message = SessionJoin(name, has_password=bool(password), password=password)
        if proves_identity and self._identity is not None:
            message = sign(message, self._identity, self._timestamp())
        joined = await self._ask(message, SessionJoined)
        if not joined.success:
            raise error_of(joined)
        self.joined = joined
        return joined

    async def create(self, message: SessionCreate) -> SessionCreated:
        """Register a session, signed with our identity if we have one.

        Raises:
            NameTakenError: the wanted name belongs to another host.
            RateLimitError, DiscoveryError: it was refused for another reason.
        """
        if self._identity is not None:
            message = sign(message, self._identity, self._timestamp())
        return await self._ask(message, SessionCreated)

    async def leave(self) -> None:
        """Leave the session that we joined, if any."""
        joined, self.joined = self.joined, None
        if joined is not None:
            await self.leave_as(joined.session_id, joined.participant_id)

    async def leave_as(self, session_id: bytes, participant_id: bytes) -> None:
        """Leave a session; a host of our kind ends it."""
        await self._tell(SessionLeave(session_id, participant_id))

    async def end(self, session_id: bytes) -> None:
        """End a session that our identity registered."""
        if self._identity is None:
            raise DiscoveryError("Only the key that registered a session can end it, but there is no key.")
        await self._tell(sign(SessionEnd(session_id), self._identity, self._timestamp()))

    async def change_name(self, message: StringReserve | StringRenew | StringRelease) -> int:
        """Reserve a name, reserve it for longer, or free it; returns when the reservation ends, Unix milliseconds.

        Raises:
            NameTakenError: the name belongs to another key.
            DiscoveryError: it was refused for another reason.
        """
        if self._identity is not None:
            message = sign(message, self._identity, self._timestamp())
        reserved = await self._ask(message, StringReserved)
        if not reserved.success:
            raise error_of(reserved)
        return reserved.expires_at

    async def probe(self, port: int) -> NatProbed:
        """Ask whether the service can reach a TCP port of ours."""
        return await self._ask(NatProbe(port), NatProbed)

    # --- messages -----------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send a message to others; a failure comes with :meth:`messages`."""
        self._raise_ending()
        self._connection.send(message)

    async def messages(self) -> AsyncIterator[Event]:
        """What comes without being asked for: messages of others, news about participants, ErrorMessage.

        Raises:
            ConnectionLostError: the connection has ended.
        """
        while True:
            event = await self._waiting.get()
            if event is None:
                self._waiting.put_nowait(None)  # for other readers
                self._raise_ending()
                return
            yield event

    async def close(self) -> None:
        """Close the connection; safe to call more than once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end(ConnectionLostError("The connection to the discovery service is closed."))
        await self._connection.close()

    # --- inside -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._read(), name="discovery client"),
            loop.create_task(self._keep_alive(), name="discovery keep-alive"),
        ]

    def _timestamp(self) -> int:
        """Unix milliseconds, later than the last one: the service accepts each signature once."""
        self._last_timestamp = max(int(time.time() * 1000), self._last_timestamp + 1)
        return self._last_timestamp

    async def _ask(self, message: Message, kind: type[_Answer]) -> _Answer:
        async with self._asking:
            self._raise_ending()
            self._expected, self._answer = kind, asyncio.get_running_loop().create_future()
            self._ping()
            self._connection.send(message)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await self._answer
            except TimeoutError:
                raise PeerTimeoutError(
                    f"{self._connection.peer} did not answer within {_ANSWER_SECONDS:g} s. Is it a discovery service?"
                ) from None
            finally:
                self._expected = self._answer = None
            if not isinstance(answer, kind):
                raise ProtocolError(f"The discovery service answered with {answer.type.name}.")
            return answer

    async def _tell(self, message: Message) -> None:
        """Send a request that only has an answer if it fails."""
        if self._is_foreign:
            self.send(message)
            return
        async with self._asking:
            self._raise_ending()
            self._expected, self._answer = Pong, asyncio.get_running_loop().create_future()
            self._ping()
            self._connection.send(message)
            self._connection.send(Ping())
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._answer
            except TimeoutError:
                raise PeerTimeoutError(
                    f"{self._connection.peer} did not answer within {_ANSWER_SECONDS:g} s."
                ) from None
            finally:
                self._expected = self._answer = None

    def _ping(self) -> None:
        if not self._is_foreign:
            self._pongs += 1
            self._connection.send(Ping())

    async def _read(self) -> None:
        try:
            async for event in self._connection:
                self._receive(event)
            self._end(ConnectionLostError(f"{self._connection.peer} closed the connection."))
        except PeerError as error:
            self._end(error)

    def _receive(self, event: Event) -> None:
        if isinstance(event, RemoteLog):
            _log.debug("The discovery service says: %s", event.text)
            return
        if isinstance(event, Pong) and self._pongs:
            self._pongs -= 1
            return
        answer = self._answer
        if answer is not None and not answer.done() and not self._pongs:
            if self._expected is not None and isinstance(event, self._expected):
                answer.set_result(event)
                return
            if isinstance(event, ErrorMessage | AcipError):
                answer.set_exception(error_of(event))
                return
        if isinstance(event, Ping | Pong):
            return
        if self._waiting.full():
            self._connection.fail(ProtocolError("The discovery service sent more messages than were read."))
            return
        self._waiting.put_nowait(event)

    async def _keep_alive(self) -> None:
        connection = self._connection
        while True:
            await asyncio.sleep(_PING_SECONDS)
            silence = time.monotonic() - connection.last_received
            if not self._is_foreign and silence > _SILENCE_SECONDS:
                connection.fail(PeerTimeoutError(f"{connection.peer} has not responded for {silence:.0f} s."))
                return
            self._ping()
            if self._is_foreign:
                connection.send(Ping())

    def _end(self, error: PeerError) -> None:
        if self._ending is not None:
            return
        self._ending = error if isinstance(error, ConnectionLostError) else ConnectionLostError(str(error))
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._ending)
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    def _raise_ending(self) -> None:
        if self._ending is not None:
            raise self._ending.with_traceback(None)


async def _connect_link(host: str, port: int, check_identity: CheckIdentity, *, verify: bool) -> Connection:
    name = authority(host, port)

    def make_session(tls: ssl.SSLObject, numeric_peer: str) -> DiscoveryClientSession:
        if tls.selected_alpn_protocol() != ALPN:
            raise HandshakeError(f"{name} speaks TLS, but is not a discovery service. Check the address and the port.")
        try:
            channel = channel_of(tls.getpeercert(binary_form=True) or b"")
        except ValueError:
            raise HandshakeError(f"{name} shows a certificate that cannot be read.") from None
        return DiscoveryClientSession.over_link(channel, partial(check_identity, numeric_peer))

    context = client_context([ALPN], verify=verify)
    try:
        return await connect_tls(host, port, context, make_session, timeout=_CONNECT_SECONDS, check_port=_CHECK_PORT)
    except TlsFailedError as error:
        raise ConnectError(
            f"{name} does not speak Teleglyph's secure link. Is it a discovery service? A service of ascii-chat needs "
            "--discovery-insecure."
        ) from error


async def _connect_plain(host: str, port: int, check_identity: CheckIdentity) -> Connection:
    def check(identity: bytes | None) -> None:
        check_identity(connection.numeric_peer, identity)

    session = DiscoveryClientSession.in_plaintext(check)
    connection = await connect_tcp(host, port, session, timeout=_CONNECT_SECONDS, check_port=_CHECK_PORT)
    return connection


async def _shake_hands(connection: Connection) -> HandshakeDone:
    try:
        return await connection.handshake(_HANDSHAKE_SECONDS)
    except PeerTimeoutError:
        raise PeerTimeoutError(
            f"{connection.peer} did not respond within {_HANDSHAKE_SECONDS:g} s. Is it a discovery service?"
        ) from None
