"""Open a connection to a call server and complete the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from teleglyph.client.address import Address, CallAddress, WebSocketAddress
from teleglyph.client.call.backoff import UNANSWERED_PAUSES
from teleglyph.client.call.link_connection import TLS_SECONDS, LinkAttempt, NoLinkError
from teleglyph.client.trust import NotPinnedError, ServerTrust
from teleglyph.discovery.service_trust import CheckIdentity
from teleglyph.errors import (
    CallRoomError,
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    InvitationError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
    RateLimitError,
    UnknownServerError,
)
from teleglyph.net import Connection, authority, connect_tcp
from teleglyph.net.tcp import ENDED
from teleglyph.wire.acip import ClientSession, Feature, HandshakeDone, Identity
from teleglyph.wire.invitation import Invitation

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
WEBSOCKET_SECONDS = 8.0
"""For a WebSocket: a proxy, TLS and an HTTP request take longer than a TCP connection."""
HANDSHAKE_SECONDS = 5.0

Opened = tuple[Connection, HandshakeDone]


class CallProtocol(enum.Enum):
    """How a client talks to a server."""

    AUTO = "auto"
    """Link 2, and ACIP with servers that never spoke link 2."""
    LINK2 = "2"
    ACIP = "acip"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to join.

    Attributes:
        name: shown to the others.
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`.
        client_key: our own identity, for servers that require one.
        trust: decides about the server's identity; None accepts any.
        encrypt: False only for servers that run without encryption.
        protocol: how to talk to the server.
        invitation: to the room, instead of a password and a key; only for link 2, which is then the only protocol.
        check_service: decides about the identity of a discovery service, by its numeric address; None accepts any.
        insecure_service: the discovery service is one of ascii-chat's, which encrypt nothing.
    """

    name: str
    password_key: bytes | None = field(default=None, repr=False)
    client_key: Identity | None = field(default=None, repr=False)
    trust: ServerTrust | None = None
    encrypt: bool = True
    protocol: CallProtocol = CallProtocol.AUTO
    invitation: Invitation | None = field(default=None, repr=False)
    check_service: CheckIdentity | None = field(default=None, repr=False)
    insecure_service: bool = False


class NoAnswerError(RateLimitError):
    """The server closed the connection before its first byte; there are several possible causes."""

    def __init__(self, address: CallAddress) -> None:
        super().__init__(
            f"{address} closes every connection without a response. It may be blocking this address for a while, after "
            "too many connections or wrong passwords; it may be starting, busy or full; or another service may be "
            "listening on this port. Check the address and the port, and try again in a minute."
        )


class ServerConnector:
    """Connects to one server, perhaps several times.

    Args:
        address: the server.
        credentials: how to join.
    """

    def __init__(self, address: Address | WebSocketAddress, credentials: Credentials) -> None:
        self._address = address
        self._name = authority(address.host, address.port)
        self._credentials = credentials
        has_link = credentials.encrypt and isinstance(address, Address)
        self._protocol = credentials.protocol if has_link else CallProtocol.ACIP
        if credentials.invitation is not None:
            # Only link 2 proves the server before it gets the invitation.
            self._protocol = CallProtocol.LINK2

    async def open(self) -> Opened:
        """Connect and complete the handshake.

        Returns:
            The connection, and what the handshake agreed on.

        Raises:
            PeerError: the server cannot be reached, is not the expected one, or refuses us.
        """
        if self._protocol is CallProtocol.ACIP:
            return await self._try_identities(self._try_acip)
        try:
            return await self._try_identities(self._try_link)
        except NoLinkError as error:
            if self._credentials.invitation is not None and not error.speaks_tls:
                raise InvitationError(
                    f"{self._address} does not speak Teleglyph's secure link, so it cannot take your invitation. Check "
                    "the address, or ask its host to update the server."
                ) from error
            if self._protocol is CallProtocol.LINK2 or error.speaks_tls:
                raise
            if self._credentials.trust is not None:
                self._credentials.trust.check_downgrade(error.numeric_peer, self._name)
            _log.debug("%s does not speak link 2; trying ACIP", self._address)
        opened = await self._try_identities(self._try_acip)
        # Reconnecting does not have to find this out again.
        self._protocol = CallProtocol.ACIP
        return opened

    async def _try_identities(self, attempt: Callable[[bytes | None], Awaitable[Opened]]) -> Opened:
        """Let a server with several identities show one that is pinned."""
        trust = self._credentials.trust
        try:
            return await self._retry_unanswered(attempt, None)
        except NotPinnedError:
            # A server with several identities shows the one that the client names. ascii-chat's server has only one and
            # closes the connection if a client names any, so this comes second
            # (docs/protocol/handshake.md#crypto_client_hello).
            for pinned in trust.pinned if trust is not None else ():
                with contextlib.suppress(PeerError):
                    return await self._retry_unanswered(attempt, pinned)
            raise

    async def _retry_unanswered(
        self, attempt: Callable[[bytes | None], Awaitable[Opened]], expected: bytes | None
    ) -> Opened:
        """Retry a few times while the server closes the connection before its first byte."""
        for pause in UNANSWERED_PAUSES:
            try:
                return await attempt(expected)
            except NoAnswerError:
                _log.debug("%s closed the connection before its first byte: retry in %g s", self._address, pause)
            await asyncio.sleep(pause)
        return await attempt(expected)

    # --- link 2 -----------------------------------------------------------------------------------------

    async def _try_link(self, expected: bytes | None) -> Opened:
        attempt = self._link_attempt(expected)
        try:
            return await self._finish_link(attempt)
        except UnknownServerError as unknown:
            if not attempt.has_authority:
                raise
            try:
                return await self._finish_link(self._link_attempt(expected, verify=True), is_certified=True)
            except NoLinkError:
                raise unknown from None
        except NoLinkError as error:
            trust = self._credentials.trust
            is_known = trust is not None and trust.hosts.speaks_link2(error.numeric_peer, self._name)
            if is_known or self._protocol is CallProtocol.LINK2:
                # Neither is a sign of a server without link 2, and both may pass.
                if error.was_silent:
                    raise NoAnswerError(self._address) from error
                if error.timed_out:
                    raise _timeout(self._address, TLS_SECONDS) from error
            raise

    def _link_attempt(self, expected: bytes | None, *, verify: bool = False) -> LinkAttempt:
        credentials = self._credentials
        return LinkAttempt(
            self._address,
            credentials.password_key,
            credentials.client_key,
            expected,
            verify=verify,
            invitation=credentials.invitation,
        )

    async def _finish_link(self, attempt: LinkAttempt, *, is_certified: bool = False) -> Opened:
        trust, invitation = self._credentials.trust, self._credentials.invitation

        def check(identity: bytes | None) -> None:
            if trust is not None:
                trust.check(
                    attempt.numeric_peer,
                    identity,
                    name=self._name,
                    has_link2=True,
                    is_certified=is_certified,
                    invited_by=None if invitation is None else invitation.identity,
                )

        return await self._shake_hands(await attempt.open(check, CONNECT_SECONDS))

    # --- ACIP -------------------------------------------------------------------------------------------

    async def _try_acip(self, hello: bytes | None) -> Opened:
        address = self._address
        if isinstance(address, Address) and address.room:
            raise CallRoomError(
                f"{address} does not support rooms by name over this protocol. Leave out /{address.room} to join its "
                "lobby."
            )
        credentials, trust = self._credentials, self._credentials.trust

        def check(identity: bytes | None) -> None:
            if trust is not None:
                is_ascii_chat = session.features == Feature.NONE
                trust.check(connection.numeric_peer, identity, name=self._name, is_ascii_chat=is_ascii_chat)

        session = ClientSession(
            password_key=credentials.password_key,
            client_key=credentials.client_key,
            encrypt=credentials.encrypt,
            check_identity=check,
            hello=hello,
            features=Feature.SCREEN_UPDATES,
        )
        try:
            connection = await self._connect(session)
        except ConnectError as error:
            # A reset may arrive while the event loop is still setting up the connection.
            if isinstance(address, Address) and isinstance(error.__cause__, ENDED):
                raise NoAnswerError(address) from error
            raise
        return await self._shake_hands(connection)

    async def _connect(self, session: ClientSession) -> Connection:
        address = self._address
        if isinstance(address, Address):
            return await connect_tcp(address.host, address.port, session, timeout=CONNECT_SECONDS)
        # Imported here, because most calls do not need these libraries.
        from teleglyph.client.call.websocket_connection import connect_websocket

        return await connect_websocket(address, session, WEBSOCKET_SECONDS)

    # --- both -------------------------------------------------------------------------------------------

    async def _shake_hands(self, connection: Connection) -> Opened:
        try:
            return connection, await self._handshake(connection)
        except BaseException:
            await connection.close()
            raise

    async def _handshake(self, connection: Connection) -> HandshakeDone:
        address = self._address
        try:
            return await connection.handshake(HANDSHAKE_SECONDS)
        except PeerTimeoutError:
            raise _timeout(address, HANDSHAKE_SECONDS) from None
        except ConnectionLostError:
            if connection.traffic.bytes_in:
                raise
            raise NoAnswerError(address) from None
        except HandshakeError:
            raise
        except ProtocolError as error:
            raise ProtocolError(f"{address} is not a call server. Check the address and the port. {error}") from error


def _timeout(address: CallAddress, seconds: float) -> PeerTimeoutError:
    return PeerTimeoutError(f"{address} did not respond within {seconds:g} s. Is a call server listening on that port?")
