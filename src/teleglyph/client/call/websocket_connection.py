"""Open a connection to a call server over WebSocket, also through an HTTP proxy (docs/protocol/websocket.md)."""

from __future__ import annotations

import asyncio
import json
import ssl
from http import HTTPStatus

from websockets.exceptions import InvalidMessage, InvalidStatus

from teleglyph.client.address import WebSocketAddress
from teleglyph.errors import ConnectError, HandshakeError, PeerError, RateLimitError, ServerFullError
from teleglyph.net import Connection, ConnectionLimits, authority
from teleglyph.net.acip_websocket import LIKE_TCP, MAX_MESSAGE, SUBPROTOCOLS, AcipWebSocket
from teleglyph.net.http_proxy import HttpProxy, ProxyError, open_tunnel, proxy_for
from teleglyph.net.tcp import open_transport
from teleglyph.net.websocket import FEED_BYTES
from teleglyph.net.websocket_client import ClientWebSocket, Upgraded, UpgradeError
from teleglyph.net.websocket_failure import CALLS, websocket_failure
from teleglyph.wire.acip import ClientSession

_MAX_BODY = 4096
"""Bytes of a refusal's body; more are not an error message of our servers."""
_MAX_REASON = 200


async def connect_websocket(
    address: WebSocketAddress, session: ClientSession, timeout: float, limits: ConnectionLimits | None = None
) -> Connection:
    """Connect to a server and open a WebSocket; the handshake of the session comes next.

    Args:
        address: the server.
        session: new; begins or waits for the server, whichever the server selects.
        timeout: for everything until the WebSocket is open, in seconds.
        limits: of the connection.

    Raises:
        ConnectError: the server cannot be reached, has no calls, or the proxy does not let us through.
        RateLimitError: our address connects too often.
        ServerFullError: the server takes no more participants.
        UserError: the environment names a proxy that cannot be used.
    """
    proxy = proxy_for(address.host, address.port, is_secure=address.is_secure)
    # Only the conversation of TCP can do without encryption.
    subprotocols = SUBPROTOCOLS if session.has_handshake else (LIKE_TCP,)
    websocket = ClientWebSocket(str(address), subprotocols=subprotocols, max_message=MAX_MESSAGE)
    acip = AcipWebSocket(websocket, session)
    connection = Connection(acip, authority(address.host, address.port), limits, feed_bytes=FEED_BYTES)
    connection.envelope = acip
    try:
        async with asyncio.timeout(timeout):
            await _open(connection, address, proxy)
            if await connection.wait_for(Upgraded) is None:
                websocket.receive_end()
                acip.next_event()
                raise InvalidMessage("did not receive a valid HTTP response") from EOFError()
    except (ProxyError, HandshakeError):
        connection.abort()
        raise
    except TimeoutError as error:
        connection.abort()
        if proxy is not None:
            text = f"{proxy} did not connect us to {connection.peer} within {timeout:g} s. Check {proxy.variable}."
            raise ProxyError(text) from error
        raise await _failure(error, address, timeout, proxy) from error
    except (OSError, UpgradeError, InvalidMessage) as error:
        connection.abort()
        cause = error.__cause__ if isinstance(error, UpgradeError) else error
        raise await _failure(cause if isinstance(cause, Exception) else error, address, timeout, proxy) from cause
    except BaseException:
        connection.abort()
        raise
    return connection


async def _open(connection: Connection, address: WebSocketAddress, proxy: HttpProxy | None) -> None:
    host, port = address.host, address.port
    tls = await asyncio.to_thread(ssl.create_default_context) if address.is_secure else None
    tunnel = None if proxy is None else await open_tunnel(proxy, host, port)
    try:
        await open_transport(connection, host, port, tls=tls, tunnel=tunnel)
    except BaseException:
        if tunnel is not None:
            tunnel.close()
        raise


async def _failure(error: Exception, address: WebSocketAddress, timeout: float, proxy: HttpProxy | None) -> PeerError:
    """The error for the user."""
    where = authority(address.host, address.port)
    status, reason = 0, ""
    if isinstance(error, InvalidStatus):
        status, reason = error.response.status_code, _reason(bytes(error.response.body or b""))
    if status == HTTPStatus.SERVICE_UNAVAILABLE and reason:
        return ServerFullError(f"The server is full: {reason}.")
    if status == HTTPStatus.NOT_FOUND and reason:
        return ConnectError(f"{where} refused the call: {reason}.")
    text = await websocket_failure(error, str(address), CALLS, timeout, may_probe=proxy is None)
    return RateLimitError(text) if status == HTTPStatus.TOO_MANY_REQUESTS else ConnectError(text)


def _reason(body: bytes) -> str:
    """The error in a JSON answer, without its full stop; empty if there is none."""
    if len(body) > _MAX_BODY:
        return ""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = answer.get("error") if isinstance(answer, dict) else None
    return reason[:_MAX_REASON].rstrip(".") if isinstance(reason, str) else ""
