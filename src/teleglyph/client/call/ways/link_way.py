"""One way to a host: link 2 over TCP, or through a tunnel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from teleglyph.client.address import Address
from teleglyph.client.call.connection import Credentials
from teleglyph.client.call.link_connection import LinkAttempt
from teleglyph.net import Connection
from teleglyph.wire.acip import HandshakeDone
from teleglyph.wire.acip.client_handshake import IdentityCheck

CONNECT_SECONDS = 4.0
HANDSHAKE_SECONDS = 8.0
"""Longer than over a known address: the packets may pass a relay."""


class LinkWay:
    """The handshake with a host, equal on all ways.

    Args:
        room: to join; empty for the lobby.
        credentials: how to join.
        check_identity: refuses other hosts.
    """

    def __init__(self, room: str, credentials: Credentials, check_identity: IdentityCheck) -> None:
        self._room = room
        self._credentials = credentials
        self._check = check_identity

    async def direct(self, host: str, port: int) -> tuple[Connection, HandshakeDone]:
        """Connect by TCP.

        Raises:
            PeerError: that failed, or the host refused us.
        """
        return await self._finish(self._attempt(Address(host, port, self._room)))

    async def through(
        self, name: str, port: int, open_tunnel: Callable[[], Awaitable[socket.socket]]
    ) -> tuple[Connection, HandshakeDone]:
        """Connect through a tunnel.

        Args:
            name: of the host, for messages and for TLS.
            port: for messages.
            open_tunnel: opens it; returns a connected Unix stream socket.

        Raises:
            PeerError: that failed, or the host refused us.
        """
        tunnel = await open_tunnel()
        try:
            return await self._finish(self._attempt(Address(name, port, self._room)), tunnel)
        except BaseException:
            tunnel.close()
            raise

    def _attempt(self, address: Address) -> LinkAttempt:
        credentials = self._credentials
        return LinkAttempt(
            address, credentials.password_key, credentials.client_key, None, invitation=credentials.invitation
        )

    async def _finish(
        self, attempt: LinkAttempt, tunnel: socket.socket | None = None
    ) -> tuple[Connection, HandshakeDone]:
        connection = await attempt.open(self._check, CONNECT_SECONDS, tunnel)
        try:
            return connection, await connection.handshake(HANDSHAKE_SECONDS)
        except BaseException:
            await asyncio.shield(connection.close())
            raise
