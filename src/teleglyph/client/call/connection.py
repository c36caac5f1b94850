"""Open a connection to a call server and complete the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field

from teleglyph.client.address import Address, CallAddress
from teleglyph.client.call.backoff import UNANSWERED_PAUSES
from teleglyph.client.trust import NotPinnedError, ServerTrust
from teleglyph.errors import (
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    PeerError,
    PeerTimeoutError,
    ProtocolError,
    RateLimitError,
)
from teleglyph.net import Connection, authority, connect_tcp
from teleglyph.wire.acip import ClientSession, Feature, HandshakeDone, Identity

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
WEBSOCKET_SECONDS = 8.0
"""For a WebSocket: a proxy, TLS and an HTTP request take longer than a TCP connection."""
HANDSHAKE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to join.

    Attributes:
        name: shown to the others.
        password_key: from :func:`~teleglyph.wire.acip.primitives.derive_password_key`.
        client_key: our own identity, for servers that require one.
        trust: decides about the server's identity; None accepts any.
        encrypt: False only for servers that run without encryption.
    """

    name: str
    password_key: bytes | None = field(default=None, repr=False)
    client_key: Identity | None = field(default=None, repr=False)
    trust: ServerTrust | None = None
    encrypt: bool = True


class NoAnswerError(RateLimitError):
    """The server closed the connection before its first byte; there are several possible causes."""

    def __init__(self, address: CallAddress) -> None:
        super().__init__(
            f"{address} closes every connection without a response. It may be blocking this address for a while, after "
            "too many connections or wrong passwords; it may be starting, busy or full; or another service may be "
            "listening on this port. Check the address and the port, and try again in a minute."
        )


async def open_connection(address: CallAddress, credentials: Credentials) -> tuple[Connection, HandshakeDone]:
    """Connect and complete the handshake.

    Returns:
        The connection, and what the handshake agreed on.

    Raises:
        PeerError: the server cannot be reached, is not the expected one, or refuses us.
    """
    trust = credentials.trust
    try:
        return await _retry_unanswered(address, credentials)
    except NotPinnedError:
        # A server with several identities shows the one that the client names. ascii-chat's server has only one and
        # closes the connection if a client names any, so this comes second
        # (docs/protocol/handshake.md#crypto_client_hello).
        for pinned in trust.pinned if trust is not None else ():
            with contextlib.suppress(PeerError):
                return await _retry_unanswered(address, credentials, pinned)
        raise


async def _retry_unanswered(
    address: CallAddress, credentials: Credentials, hello: bytes | None = None
) -> tuple[Connection, HandshakeDone]:
    """Retry a few times while the server closes the connection before its first byte."""
    for pause in UNANSWERED_PAUSES:
        try:
            return await _try_once(address, credentials, hello)
        except NoAnswerError:
            _log.debug("%s closed the connection before its first byte: retry in %g s", address, pause)
        await asyncio.sleep(pause)
    return await _try_once(address, credentials, hello)


async def _try_once(
    address: CallAddress, credentials: Credentials, hello: bytes | None
) -> tuple[Connection, HandshakeDone]:
    trust = credentials.trust

    def check(identity: bytes | None) -> None:
        if trust is not None:
            is_ascii_chat = session.features == Feature.NONE
            name = authority(address.host, address.port)
            trust.check(connection.numeric_peer, identity, name=name, is_ascii_chat=is_ascii_chat)

    session = ClientSession(
        password_key=credentials.password_key,
        client_key=credentials.client_key,
        encrypt=credentials.encrypt,
        check_identity=check,
        hello=hello,
        features=Feature.SCREEN_UPDATES,
    )
    try:
        connection = await _connect(address, session)
    except ConnectError as error:
        # A reset may arrive while the event loop is still setting up the connection.
        is_tcp = isinstance(address, Address)
        if is_tcp and isinstance(error.__cause__, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
            raise NoAnswerError(address) from error
        raise
    try:
        return connection, await _shake_hands(connection, address)
    except BaseException:
        await connection.close()
        raise


async def _connect(address: CallAddress, session: ClientSession) -> Connection:
    if isinstance(address, Address):
        return await connect_tcp(*address, session, timeout=CONNECT_SECONDS)
    # Imported here, because most calls do not need these libraries.
    from teleglyph.client.call.websocket_connection import connect_websocket

    return await connect_websocket(address, session, WEBSOCKET_SECONDS)


async def _shake_hands(connection: Connection, address: CallAddress) -> HandshakeDone:
    try:
        return await connection.handshake(HANDSHAKE_SECONDS)
    except PeerTimeoutError:
        raise PeerTimeoutError(
            f"{address} did not respond within {HANDSHAKE_SECONDS:g} s. Is a call server listening on that port?"
        ) from None
    except ConnectionLostError:
        if connection.traffic.bytes_in:
            raise
        raise NoAnswerError(address) from None
    except HandshakeError:
        raise
    except ProtocolError as error:
        raise ProtocolError(f"{address} is not a call server. Check the address and the port. {error}") from error
